"""Evaluation and overlays."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from mobilenetdet.config.classes import AllLimits
from mobilenetdet.config.frozen import freeze
from mobilenetdet.config.validation import BatchSize, NonNegativeInt, Share, require, section


@section("eval")
class EvalConfig:
    """How AP is measured, and what is drawn."""

    # Official rules: since April 2017 (current) or before, as in SqueezeDet's paper (pre2017). They
    # differ by up to 1.4 points of R40 and 3.0 of R11.
    protocol: Literal["current", "pre2017"] = "current"
    # IoU that a hit must exceed: Scooter 0.5. Else KITTI's or 0.7 (vehicles), 0.5.
    min_overlaps: dict[str, float] = field(default_factory=dict)
    # Limits of easy, moderate, hard, by class: its name and, three times, lowest height (px),
    # most occlusion (0-3), truncation. Default: 40 0 0.15 25 1 0.3 25 2 0.5.
    difficulties: dict[str, AllLimits] = field(default_factory=dict)
    # Images a step, 1 or more; 1 takes the least memory.
    batch_size: BatchSize = 4
    # Number of frames to draw, spread over the split; 0 = none.
    num_overlays: NonNegativeInt = 24
    # Lowest score drawn and counted; None = that of the best F1, else 0.5.
    drawing_score: Share | None = None
    # Score of the best F1, by class.
    best_f1_scores: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Freezes the mappings."""
        for name, score in self.best_f1_scores.items():
            require(0 <= score <= 1, f"eval.best_f1_scores.{name}", score, "0 to 1")
        for name in ("min_overlaps", "difficulties", "best_f1_scores"):
            object.__setattr__(self, name, freeze(getattr(self, name)))
