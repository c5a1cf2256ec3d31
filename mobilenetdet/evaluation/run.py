"""A finished or half-finished run, opened for use."""

from __future__ import annotations

from pathlib import Path

from mobilenetdet.config import DetectionConfig
from mobilenetdet.evaluation.detect import make_detection_model
from mobilenetdet.models.detection_model import DetectionModel
from mobilenetdet.models.detector import build_detector

WEIGHTS = ("best.weights.h5", "last.weights.h5")


def find_weights(run_dir: Path) -> Path:
    """Returns the best weights of a run, or the last if no AP was measured yet.

    Raises:
        FileNotFoundError: the run has none.
    """
    for name in WEIGHTS:
        if (run_dir / name).is_file():
            return run_dir / name
    raise FileNotFoundError(
        f"{run_dir} holds neither {' nor '.join(WEIGHTS)}; train it with scripts/train.py, "
        "or name the weights with --weights"
    )


def load_detection_model(config: DetectionConfig, weights: Path) -> DetectionModel:
    """Builds the detector of a config with the weights of a run.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file does not fit the config.
    """
    if not weights.is_file():
        raise FileNotFoundError(f"weight file {weights} does not exist")
    detector, _ = build_detector(config, load_weights=False)
    try:
        detector.load_weights(weights)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(f"{weights} does not fit the config of the run: {error}") from None
    return make_detection_model(detector)
