"""Configs on disk: written as JSON beside every run, read back strictly."""

from __future__ import annotations

import dataclasses
import difflib
import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from mobilenetdet.config.detection import DetectionConfig

# Slope and offset of each class in a run directory, see PostprocessConfig.calibration.
CALIBRATION_FILE = "calibration.json"

# A frozen dataclass with the class attributes KIND and COMMAND, as `DetectionConfig` has them.
Config = TypeVar("Config")


def to_json(config: Config) -> str:
    """Writes a config as indented JSON; `from_json` reads it back equal."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(text: str, source: str, kind: type[Config] = DetectionConfig) -> Config:
    """Reads a config.

    Args:
        text: what `to_json` wrote. Leaves that are absent take their defaults.
        source: name for error messages, usually the path.
        kind: of the config.

    Raises:
        ValueError: unknown keys (with the nearest known one), wrong types, values out of range;
            every fault is named, not just the first.
    """
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        faults = "\n".join(f"  {_describe(fault, kind)}" for fault in error.errors())
        raise ValueError(f"{source} is not a {kind.KIND} config:\n{faults}") from None


def read_config(path: str | Path, kind: type[Config] = DetectionConfig) -> Config:
    """Reads the config of a run; `path` is the run directory or its config.json.

    That of a detector's run directory has the calibration which training has left there.
    """
    path = Path(path)
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} does not exist; give a run directory that {kind.COMMAND} has written"
        )
    config = from_json(file.read_text(), str(file), kind)
    calibration = path / CALIBRATION_FILE
    if not (path.is_dir() and calibration.is_file()):
        return config
    lines = tuple(tuple(line) for line in json.loads(calibration.read_text()))
    return dataclasses.replace(
        config, postprocess=dataclasses.replace(config.postprocess, calibration=lines)
    )


def config_keys(kind: type[Config] = DetectionConfig) -> list[str]:
    """Lists every leaf of a config by its dotted name, as overrides spell it."""
    tree = dataclasses.asdict(kind())
    return [f"{section}.{leaf}" for section, leaves in tree.items() for leaf in leaves]


def _describe(fault: dict[str, Any], kind: type[Config]) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        near = difflib.get_close_matches(key, config_keys(kind) + _sections(kind), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"unknown key {key}{hint}"
    if fault["type"] == "value_error":  # from __post_init__; it names the key and the value
        return fault["msg"].removeprefix("Value error, ")
    return f"{key}: {fault['msg']}, not {fault['input']!r}" if key else fault["msg"]


def _sections(kind: type[Config]) -> list[str]:
    return [item.name for item in dataclasses.fields(kind)]
