"""The option --score: from which score on detections are drawn, counted and written."""

from __future__ import annotations

from dataclasses import replace

from mobilenetdet.config.detection import DetectionConfig


def with_score(config: DetectionConfig, score: float | None) -> DetectionConfig:
    """Returns a config by whose `drawing_scores` detections are drawn as a command line asks.

    Args:
        config: of the run, with the other options in it.
        score: of --score; None leaves what the config says.

    Raises:
        ValueError: the score is not 0 to 1.
    """
    if score is None:
        return config
    if not 0 <= score <= 1:
        raise ValueError(f"--score is {score:g}; it must be 0 to 1")
    return replace(config, eval=replace(config.eval, drawing_score=score))


def describe_scores(config: DetectionConfig) -> str:
    """Says from which scores on detections are drawn and counted.

    Example: "from the score of the best F1 on (Car 0.43, Cyclist 0.22)".
    """
    scores = config.drawing_scores()
    if config.eval.drawing_score is not None or not config.eval.best_f1_scores:
        return f"with a score of {next(iter(scores.values())):g} or more"
    named = ", ".join(f"{name} {score:.2f}" for name, score in scores.items())
    return f"from the score of the best F1 on ({named})"
