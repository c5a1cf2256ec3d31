"""Evaluation and overlays."""

from __future__ import annotations

from typing import Literal

from mobilenetdet.config.validation import NonNegativeInt, PositiveInt, Share, section


@section("eval")
class EvalConfig:
    """How AP is measured, and what is drawn."""

    # Rules of the official evaluation: those since April 2017 (current), or those before, which
    # SqueezeDet's paper used (pre2017). The two differ by 0.1 to 1.8 points of AP.
    protocol: Literal["current", "pre2017"] = "current"
    # Images a step, 1 or more; 1 takes the least memory.
    batch_size: PositiveInt = 4
    # Number of frames to draw, spread over the split; 0 = none.
    num_overlays: NonNegativeInt = 24
    # Lowest score of a detection that is drawn, 0 to 1.
    overlay_score: Share = 0.5
