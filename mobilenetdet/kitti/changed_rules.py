"""What of a scoring differs from KITTI's, so that its AP is not taken for KITTI's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mobilenetdet.config.classes import KITTI_TASK

# The rules of `EvalTask.to_dict`, in words.
_RULES = {
    "min_overlap": "minimum overlap",
    "neighbours": "neighbours",
    "mapped_types": "other types scored as objects",
    "difficulties": "lowest height, highest occlusion and truncation",
}


def changed_rules(scoring: Mapping[str, Any]) -> list[str]:
    """Returns a line for each rule of scoring that is not KITTI's for a class of KITTI's.

    Args:
        scoring: what `EvalTask.to_dict` returns.

    Example: "minimum overlap of Car: 0.5 instead of KITTI's 0.7".
    """
    ours = KITTI_TASK.to_dict()
    return [
        f"{what} of {name}: {_spelled(found[key])} instead of KITTI's {_spelled(ours[name][key])}"
        for name, found in scoring.items()
        if name in ours and isinstance(found, Mapping)  # it may have been read from a file
        for key, what in _RULES.items()
        if found.get(key, ours[name][key]) != ours[name][key]
    ]


def _spelled(value: float | Sequence[str] | Mapping[str, Sequence[float]]) -> str:
    """A rule in words."""
    if isinstance(value, Mapping):
        return ", ".join(" ".join(f"{n:g}" for n in limits) for limits in value.values())
    return f"{value:g}" if isinstance(value, float) else ", ".join(map(str, value)) or "none"
