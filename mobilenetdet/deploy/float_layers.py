"""What int8 leaves in float32: the few layers that cost the most AP and little time.

- The first three convolutions, up to the end of block 1. The depthwise kernel of block 1 has
  weights up to 32 in the ImageNet weights, by which it multiplies the rounding of the map before
  it: of the error of the scores that int8 makes, three quarters come from there. In OpenVINO an
  int8 convolution can give floats, and the depthwise one alone is enough there: the first
  convolution reads the 8 bits of a picture as they are, and its output is not rounded.
- The prediction layers, whose deltas would be in steps of a tenth of an anchor; conv_preds of a
  classifier.
- Decoding and suppression.

LiteRT's converter keeps the names of the layers. The others do not, and go by the graph.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple

# Keras numbers the layers of a copied model: conv_dw_1_1 is conv_dw_1.
# "scale" is the input of a classifier.
_STEM = r"(?:^|[/;])(?:scale|conv(?:1|_[dp]w_1)(?:_relu)?)(?:_\d+)?/"
# Matches the names of operations that are quantised, whole.
QUANTISED = rf"^(?!.*(?:{_STEM}|prediction|conv_preds|postprocess)).*$"
# Depths of the convolutions that stay in float, 1 for the first: of the whole first block, and of
# its depthwise one.
STEM = (1, 2, 3)
DEPTHWISE_OF_STEM = (2,)


class Operation(NamedTuple):
    """An operation of a graph.

    Attributes:
        name: unique in the graph.
        is_convolution: of any kind.
        inputs: names of the operations whose outputs it reads.
    """

    name: str
    is_convolution: bool
    inputs: tuple[str, ...]


def float_operations(
    operations: Sequence[Operation], stem_depths: Collection[int] = STEM
) -> list[str]:
    """Returns the names of the operations that stay in float32.

    Args:
        operations: of the whole graph, each behind those that it reads.
        stem_depths: of the first convolutions those that stay in float, by depth from 1.
    """
    depths: dict[str, int] = {}  # convolutions on the longest way from the input
    readers: dict[str, list[Operation]] = defaultdict(list)
    for each in operations:
        depths[each.name] = each.is_convolution + max(
            (depths.get(name, 0) for name in each.inputs), default=0
        )
        for name in each.inputs:
            readers[name].append(each)
    stem = {
        each.name for each in operations if each.is_convolution and depths[each.name] in stem_depths
    }
    activations = {
        reader.name for name in stem for reader in readers[name] if not reader.is_convolution
    }
    before: set[str] = set()  # what a convolution reads, at once or later
    for each in reversed(operations):
        if each.is_convolution or each.name in before:
            before.update(each.inputs)
    after = {each.name for each in operations if each.name not in before and depths[each.name] > 0}
    return sorted(stem | after | activations)
