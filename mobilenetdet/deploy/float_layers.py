"""What int8 leaves in float32: the few layers that cost the most AP and little time.

- The first convolutions up to block 1. The depthwise kernel of block 1 has weights up to 32 in the
  ImageNet weights, by which it multiplies the rounding of the map before it: of the error of the
  scores that int8 makes, three quarters come from there.
- The prediction layers, whose deltas would be in steps of a tenth of an anchor.
- Decoding and suppression.
"""

from __future__ import annotations

import re

# Keras numbers the layers of a copied model: conv_dw_1_1 is conv_dw_1.
_STEM = r"(?:^|[/;])conv(?:1|_[dp]w_1)(?:_relu)?(?:_\d+)?/"
_PATTERN = rf"{_STEM}|prediction|postprocess"

# Of names that are quantised, whole.
QUANTISED = rf"^(?!.*(?:{_PATTERN})).*$"
# Of names that are not, whole.
FLOAT = rf".*(?:{_PATTERN}).*"


def stays_float(name: str) -> bool:
    """Returns whether an operation, by its name in the graph, is left in float32."""
    return re.search(_PATTERN, name) is not None
