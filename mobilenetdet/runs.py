"""The run directory: every file name in it, claiming it, opening it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TypeVar

from mobilenetdet.atomic_write import atomic_write
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.storage import read_config, to_json
from mobilenetdet.inference.detect import make_detection_model
from mobilenetdet.inference.detection_model import DetectionModel
from mobilenetdet.models.detector import build_detector

Config = TypeVar("Config")
CONFIG_FILE = "config.json"
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
        f"{run_dir} holds neither {' nor '.join(WEIGHTS)}; train it with `mobilenetdet train`, "
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


def claim_run_dir(config: Config, run_dir: Path) -> None:
    """Writes config.json into a new run directory, or checks that the old one is equal.

    Raises:
        ValueError: the directory belongs to a run with another config; names what differs.
    """
    path = run_dir / CONFIG_FILE
    if not path.exists():
        with atomic_write(path) as temporary:
            temporary.write_text(to_json(config))
        return
    differences = config_differences(read_config(path, type(config)), config)
    if differences:
        raise ValueError(
            f"{run_dir} holds a run with another config:\n  "
            + "\n  ".join(differences)
            + "\nresume with the same options, choose another --run_dir, or remove the directory"
        )


def config_differences(old: Config, new: Config) -> list[str]:
    """Names the leaves in which two configs differ, with both values."""
    old_tree, new_tree = dataclasses.asdict(old), dataclasses.asdict(new)
    return [
        f"{section}.{leaf}: {old_tree[section][leaf]!r} there, {value!r} now"
        for section, leaves in new_tree.items()
        for leaf, value in leaves.items()
        if old_tree[section][leaf] != value
    ]
