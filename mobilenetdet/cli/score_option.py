"""The option --score: from which score on detections are drawn, counted and written."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from mobilenetdet.config.detection import DetectionConfig

_SETTING = "eval.overlay_score"


def with_score(
    config: DetectionConfig, score: float | None, argv: Sequence[str] | None
) -> DetectionConfig:
    """Returns a config by whose `drawing_scores` detections are drawn as a command line asks.

    Args:
        config: of the run, with the other options in it.
        score: of --score; None leaves the scores of the best F1.
        argv: arguments, by default those of the program. --eval.overlay_score counts as --score.

    Raises:
        ValueError: the score is not 0 to 1.
    """
    if not asks_for_score(score, argv):
        return config
    score = config.eval.overlay_score if score is None else score
    if not 0 <= score <= 1:
        raise ValueError(f"--score is {score:g}; it must be 0 to 1")
    return replace(config, eval=replace(config.eval, overlay_score=score, best_f1_scores={}))


def describe_scores(config: DetectionConfig) -> str:
    """Says from which scores on detections are drawn and counted.

    Example: "from the score of the best F1 on (Car 0.43, Cyclist 0.22)".
    """
    scores = config.drawing_scores()
    if not any(name in config.eval.best_f1_scores for name in scores):
        return f"with a score of {config.eval.overlay_score:g} or more"
    named = ", ".join(f"{name} {score:.2f}" for name, score in scores.items())
    return f"from the score of the best F1 on ({named})"


def asks_for_score(score: float | None, argv: Sequence[str] | None) -> bool:
    """Returns whether a command line says from which score on to draw."""
    words = sys.argv[1:] if argv is None else argv
    names = (word.partition("=")[0].removeprefix("--").replace("-", "_") for word in words)
    return score is not None or _SETTING in names
