"""The run directory: whose it is, and with which config."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TypeVar

from mobilenetdet.classifier_config import ClassifierConfig
from mobilenetdet.config import DetectionConfig
from mobilenetdet.config_file import read_config, to_json
from mobilenetdet.files import whole_file

Config = TypeVar("Config", DetectionConfig, ClassifierConfig)
CONFIG_FILE = "config.json"


def claim_run_dir(config: Config, run_dir: Path) -> None:
    """Writes config.json into a new run directory, or checks that the old one is equal.

    Raises:
        ValueError: the directory belongs to a run with another config; names what differs.
    """
    path = run_dir / CONFIG_FILE
    if not path.exists():
        with whole_file(path) as temporary:
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
