"""The keys of a config and its tagged unions, read off the types of its fields."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Iterator, Mapping
from types import MappingProxyType, UnionType
from typing import Annotated, Any, TypeGuard, Union

# The field that says which class of a union a section is of.
TAG = "kind"


def config_keys(config_class: type) -> list[str]:
    """Lists every leaf of a config by its dotted name, those of all kinds of its unions."""
    return list(dict.fromkeys(_keys(config_class, "")))


def tagged_unions(config_class: type) -> dict[str, dict[str, type]]:
    """Finds the sections of which there are several kinds.

    Returns:
        By dotted key, outer ones first: the class of each kind, as {"ssd": SsdHeadConfig, ...}.
    """
    found: dict[str, dict[str, type]] = {}
    for key, annotation in _sections(config_class, ""):
        kinds = kinds_of(annotation)
        if kinds:
            found.setdefault(key, {}).update(kinds)
    return found


def section_keys(config_class: type) -> set[str]:
    """Returns the dotted keys that are sections, not leaves."""
    return {key for key, _ in _sections(config_class, "")}


def kinds_of(annotation: Any) -> dict[str, type]:
    """Returns the classes of a union by their tag; of what is no tagged union nothing."""
    classes = [kind for kind in _options(annotation) if _is_section(kind)]
    return {_tag(kind): kind for kind in classes} if len(classes) > 1 else {}


def without_tags(config_class: type, location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Leaves out the tags that pydantic puts behind unions when it says where a fault is.

    Example: ("head", "ssd", "channels") is ("head", "channels").
    """
    kept: list[int | str] = []
    current: Any = config_class
    for part in location:
        kinds = kinds_of(current)
        if isinstance(part, str) and part in kinds:
            current = kinds[part]
            continue
        kept.append(part)
        current = field_types(current).get(str(part)) if _is_section(current) else None
    return tuple(kept)


@functools.cache  # Command lines ask for each of their options.
def field_types(config_class: type) -> Mapping[str, Any]:
    """Returns the annotated type of each field."""
    hints = typing.get_type_hints(config_class)
    return MappingProxyType(
        {item.name: hints[item.name] for item in dataclasses.fields(config_class)}
    )


def _keys(config_class: type, prefix: str) -> Iterator[str]:
    for name, annotation in field_types(config_class).items():
        sections = [kind for kind in _options(annotation) if _is_section(kind)]
        if not sections:
            yield prefix + name
        for section in sections:
            yield from _keys(section, f"{prefix}{name}.")


def _sections(config_class: type, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, annotation in field_types(config_class).items():
        sections = [kind for kind in _options(annotation) if _is_section(kind)]
        if sections:
            yield prefix + name, annotation
        for section in sections:
            yield from _sections(section, f"{prefix}{name}.")


def _is_section(kind: Any) -> TypeGuard[type]:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _options(annotation: Any) -> tuple[Any, ...]:
    """Members of a union; anything else is the only one."""
    if typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    is_union = typing.get_origin(annotation) in (Union, UnionType)
    return typing.get_args(annotation) if is_union else (annotation,)


def _tag(section: type) -> str:
    (value,) = typing.get_args(field_types(section)[TAG])
    return value
