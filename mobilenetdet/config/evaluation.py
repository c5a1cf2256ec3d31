"""Evaluation and overlays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mobilenetdet.config.classes import AllLimits
from mobilenetdet.config.frozen import freeze
from mobilenetdet.config.validation import STRICT, require


@dataclass(frozen=True)
class EvalConfig:
    """Evaluation and overlays."""

    # Rules of the official evaluation: since 2017, or before as in SqueezeDet's paper.
    protocol: Literal["current", "pre2017"] = "current"
    # Intersection over union that a hit must exceed, by class: Scooter 0.5 Bus 0.7. A class that is
    # not named has KITTI's, or else 0.7 for vehicles and 0.5 for the rest.
    min_overlaps: dict[str, float] = field(default_factory=dict)
    # Limits of easy, moderate and hard, by class: its name and, for each of the three, the lowest
    # height in pixels, highest occlusion (0 to 3) and highest truncation. A class that is not named
    # has KITTI's: 40 0 0.15 25 1 0.3 25 2 0.5.
    difficulties: dict[str, AllLimits] = field(default_factory=dict)
    # Frames a step; 1 takes the least memory.
    batch_size: int = 4
    # Overlays to draw in eval and visualize.
    num_overlays: int = 24
    # Detections below this score are not drawn.
    overlay_score: float = 0.5

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Checks the ranges."""
        for name in ("min_overlaps", "difficulties"):
            object.__setattr__(self, name, freeze(getattr(self, name)))
        require(self.batch_size > 0, "eval.batch_size", self.batch_size, "above 0")
        require(self.num_overlays >= 0, "eval.num_overlays", self.num_overlays, "0 or more")
        score = self.overlay_score
        require(0 <= score <= 1, "eval.overlay_score", score, "between 0 and 1")
