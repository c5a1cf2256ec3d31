"""Evaluation and overlays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mobilenetdet.config.validation import STRICT, require


@dataclass(frozen=True)
class EvalConfig:
    """Evaluation and overlays."""

    # Rules of the official evaluation: since 2017, or before as in SqueezeDet's paper.
    protocol: Literal["current", "pre2017"] = "current"
    # Frames a step; 1 takes the least memory.
    batch_size: int = 4
    # Overlays to draw in eval and visualize.
    num_overlays: int = 24
    # Detections below this score are not drawn.
    overlay_score: float = 0.5

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Checks the ranges."""
        require(self.batch_size > 0, "eval.batch_size", self.batch_size, "above 0")
        require(self.num_overlays >= 0, "eval.num_overlays", self.num_overlays, "0 or more")
        score = self.overlay_score
        require(0 <= score <= 1, "eval.overlay_score", score, "between 0 and 1")
