"""Configs on disk: written as JSON beside every run, read back strictly."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from mobilenetdet.config.detection import DetectionConfig

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
    """Reads a config file; `runs.RunDir.read_config` reads that of a run directory.

    Raises:
        FileNotFoundError: there is none.
        ValueError: see `from_json`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist; give a run directory that {kind.COMMAND} has written"
        )
    return from_json(path.read_text(encoding="utf-8"), str(path), kind)


def with_changes(config: Config, changes: Mapping[str, Any], source: str = "overrides") -> Config:
    """Returns a config with other values for some settings.

    Args:
        config: to begin with.
        changes: dotted key to value.
        source: of the changes, for error messages.

    Raises:
        ValueError: as `from_json`.

    Example: `with_changes(config, {"train.epochs": 5})`.
    """
    tree = dataclasses.asdict(config)
    for key, value in changes.items():
        *groups, leaf = key.split(".")
        section = tree
        for group in groups:
            section = section.setdefault(group, {})
        section[leaf] = value
    return from_json(json.dumps(tree), source, type(config))


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
