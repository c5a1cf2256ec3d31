"""Configs on disk and changes to them: written as JSON beside every run, read back strictly."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.schema import (
    TAG,
    config_keys,
    field_types,
    section_keys,
    tagged_unions,
    without_tags,
)
from mobilenetdet.config.validation import fault_text
from mobilenetdet.files.plain_yaml import parse_yaml, refuse_repeated
from mobilenetdet.files.text import read_text, why_no_file

# The entry of a config file that says which version of the layout it has.
_FORMAT = "format"


class _WholeConfig(Protocol):
    """What a dataclass has that is a whole config, as `DetectionConfig` has it."""

    KIND: ClassVar[str]
    COMMAND: ClassVar[str]
    FORMAT: ClassVar[int]
    OTHER_KINDS: ClassVar[Mapping[str, str]]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @staticmethod
    def upgrade(tree: Mapping[str, Any], *, whole: bool = True) -> dict[str, Any]:
        """Makes today's layout of an earlier one."""


Config = TypeVar("Config", bound=_WholeConfig)


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Makes a dict of pairs.

    Raises:
        ValueError: two of them have the same key.
    """
    refuse_repeated([key for key, _ in pairs])
    return dict(pairs)


def to_json(config: Config) -> str:
    """Writes a config as indented JSON; `from_json` reads it back equal."""
    return json.dumps({_FORMAT: config.FORMAT, **dataclasses.asdict(config)}, indent=2) + "\n"


def from_json(
    text: str,
    source: str,
    kind: type[Config] = DetectionConfig,  # type: ignore[assignment]
) -> Config:
    """Reads a config, of today's layout or an earlier one.

    Args:
        text: what `to_json` wrote. Leaves that are absent take their defaults.
        source: name for error messages, usually the path.
        kind: of the config.

    Raises:
        ValueError: unknown keys (with the nearest known one), wrong types, values out of range;
            every fault is named, not just the first.
    """
    return _validated(_upgraded(_parsed(text, source, kind), source, kind), source, kind)


def read_config(
    path: str | Path,
    kind: type[Config] = DetectionConfig,  # type: ignore[assignment]
) -> Config:
    """Reads a config file; `runs.RunDir.read_config` reads that of a run directory.

    Raises:
        FileNotFoundError: there is none.
        ValueError: see `from_json`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} {why_no_file(path)}; give a run directory that {kind.COMMAND} has written"
        )
    return from_json(read_text(path), str(path), kind)


def read_changes(
    path: str | Path,
    kind: type[Config] = DetectionConfig,  # type: ignore[assignment]
) -> dict[str, Any]:
    """Reads a file with some settings of a config, for `with_changes`.

    Args:
        path: JSON, or YAML where the name ends in .yaml or .yml; sections as in config.json.
        kind: of the config.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is not a mapping of sections.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"config file {path} {why_no_file(path)}")
    return _parsed(read_text(path), str(path), kind)


def with_changes(config: Config, changes: Mapping[str, Any], source: str = "overrides") -> Config:
    """Returns a config with other values for some settings.

    Args:
        config: to begin with.
        changes: dotted key to value, or section name to a mapping, of today's layout or an earlier
            one. Another kind of head, loss or suppression begins with the defaults of that kind.
        source: of the changes, for error messages.

    Raises:
        ValueError: as `from_json`.

    Example: `with_changes(config, {"train.epochs": 5, "head": {"kind": "ssd"}})`.
    """
    kind = type(config)
    tree = _upgraded(_nested(changes, source), source, kind, whole=False)
    for key in changes:
        if (whole := key.rpartition(".")[0]) in config_keys(kind):
            raise ValueError(f"{source}: {key} is an entry of {whole}; give all of {whole}")
    merged = _merged(dataclasses.asdict(config), tree, section_keys(kind))
    return _validated(merged, source, kind)


def _parsed(text: str, source: str, kind: type[Config]) -> dict[str, Any]:
    """Parses JSON, or YAML by the name of the source, and takes the format out of it."""
    is_yaml = Path(source).suffix in (".yaml", ".yml")
    try:
        if is_yaml:
            tree = parse_yaml(text)
        else:
            tree = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source} is not a {kind.KIND} config: {error}") from None
    if not isinstance(tree, dict):
        raise ValueError(
            f"{source} is not a {kind.KIND} config: it must be a mapping of sections, not "
            f"{type(tree).__name__}"
        )
    for name, settings in tree.items():
        for key in (name, *settings) if isinstance(settings, dict) else (name,):
            if not isinstance(key, str):
                raise ValueError(f"{source} is not a {kind.KIND} config: {key!r} is no key")
    _refuse_other_kind(tree, source, kind)
    version = tree.pop(_FORMAT, 1)
    if type(version) is not int or not 1 <= version <= kind.FORMAT:
        is_later = type(version) is int and version > kind.FORMAT
        raise ValueError(
            f"{source} has format {version!r}; this version of mobilenetdet reads 1 to "
            f"{kind.FORMAT}: {'update it' if is_later else f'correct the entry {_FORMAT}'}"
        )
    return tree


def find_other_kind(tree: Any, kind: type[Config]) -> tuple[str, str] | None:
    """Finds out whether a parsed config is of another kind than a command takes.

    Args:
        tree: what the file holds, whatever it is.
        kind: that the command takes.

    Returns:
        A setting that only the other kind has, by its dotted key, and the name of that kind.
    """
    if not isinstance(tree, dict):
        return None
    for key, other in kind.OTHER_KINDS.items():
        group, _, leaf = key.partition(".")
        inside = tree.get(group)
        if group in tree and (not leaf or (isinstance(inside, dict) and leaf in inside)):
            return key, other
    return None


def _refuse_other_kind(tree: Mapping[str, Any], source: str, kind: type[Config]) -> None:
    if found := find_other_kind(tree, kind):
        key, other = found
        raise ValueError(
            f"{source} is the config of a {other} ({key} is in it), not a {kind.KIND} config; "
            f"name one that {kind.COMMAND} has written"
        )


def _upgraded(
    tree: Mapping[str, Any], source: str, kind: type[Config], *, whole: bool = True
) -> dict[str, Any]:
    try:
        return kind.upgrade(tree, whole=whole)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError(
            f"{source}: a setting of an earlier version has a value of another type ({error}); "
            "correct it, or write the config again"
        ) from None


def _validated(tree: Mapping[str, Any], source: str, kind: type[Config]) -> Config:
    try:
        return TypeAdapter(kind).validate_python(tree)
    except ValidationError as error:
        faults = "\n".join(f"  {_describe(fault, kind)}" for fault in error.errors())
        raise ValueError(f"{source} is not a {kind.KIND} config:\n{faults}") from None


def _nested(changes: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Makes mappings of dotted keys: {"a.b": 1} is {"a": {"b": 1}}."""
    if not isinstance(changes, Mapping) or not all(isinstance(key, str) for key in changes):
        raise ValueError(
            f"{source} is {changes!r}; it must map settings to values, such as "
            '{"postprocess.max_detections": 100}'
        )
    tree: dict[str, Any] = {}
    for key, value in changes.items():
        *groups, leaf = key.split(".")
        inner = tree
        for depth, group in enumerate(groups, 1):
            inner = inner.setdefault(group, {})
            if not isinstance(inner, dict):
                whole = ".".join(groups[:depth])
                raise ValueError(
                    f"{source}: {whole} is {inner!r}, and {key} sets a part of it; give one of them"
                )
        old: Any = inner.get(leaf)
        both = isinstance(value, Mapping) and isinstance(old, dict)
        if leaf in inner and not (both and old.keys().isdisjoint(value)):
            raise ValueError(f"{source}: {key} comes twice; leave one of them out")
        inner[leaf] = {**(old if both else {}), **_copied(value)} if both else _copied(value)
    return tree


def _copied(value: Any) -> Any:
    """Copies mappings and those within, so that changes to them stay ours."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if not isinstance(value, Mapping):
        return value
    return {name: _copied(each) for name, each in value.items()}


def _merged(
    base: Mapping[str, Any], changes: Mapping[str, Any], sections: set[str], prefix: str = ""
) -> dict[str, Any]:
    """Puts changes into a tree; a section of another kind replaces the one that was there."""
    merged = dict(base)
    for name, value in changes.items():
        old, key = base.get(name), prefix + name
        if not (key in sections and isinstance(value, Mapping) and isinstance(old, Mapping)):
            merged[name] = value
        elif value.get(TAG, old.get(TAG)) != old.get(TAG):
            merged[name] = dict(value)
        else:
            merged[name] = _merged(old, value, sections, f"{key}.")
    return merged


def _describe(fault: Mapping[str, Any], kind: type[Config]) -> str:
    location = without_tags(kind, fault["loc"])
    text = fault_text({**fault, "loc": location})
    if fault["type"] not in ("unexpected_keyword_argument", "extra_forbidden"):
        return text
    key = ".".join(str(part) for part in location)
    keys = [*config_keys(kind), *sorted(section_keys(kind))]
    if key in keys:
        group = key.rpartition(".")[0]
        return f"{key} is no setting of this {group}.{TAG}; it belongs to {_owners(key, kind)}"
    near = difflib.get_close_matches(key, keys, n=1)
    return f"{text}; did you mean {near[0]}?" if near else text


def _owners(key: str, kind: type[Config]) -> str:
    group, _, leaf = key.rpartition(".")
    kinds = tagged_unions(kind).get(group, {})
    return " or ".join(name for name, section in kinds.items() if leaf in field_types(section))
