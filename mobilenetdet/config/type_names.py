"""Names of types and classes: KITTI's, comparing them in any case, and refusing those that fail."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from mobilenetdet.system.terminal_text import is_control

Value = TypeVar("Value")

# KITTI's types, in the order of their ids in the records.
KITTI_TYPES = (
    *("Car", "Pedestrian", "Cyclist", "Van", "Truck"),
    *("Person_sitting", "Tram", "Misc", "DontCare"),
)
# The type of a region in which nothing is labelled.
DONT_CARE_TYPE = "DontCare"
# Names that stand for something else among the metrics of an evaluation.
_RESERVED = (
    *("protocol", "frames", "split", "coco", "mean", "task", "measured"),
    *("frames_sha256", "frames_seen_in_training"),
)
# Longer words are no names, and an array of them takes the longest for each.
MAX_NAME = 100
_MAX_CLASSES = 1000


def choose_preset(name: str, presets: Mapping[str, Callable[[], Value]]) -> Value:
    """Returns the config that a preset of these makes.

    Raises:
        ValueError: no such preset; the nearest is named.
    """
    if name not in presets:
        near = difflib.get_close_matches(str(name), presets, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"unknown preset {name!r}; {hint}there are {', '.join(presets)}")
    return presets[name]()


def check_choice(kind: str, value: str, choices: Sequence[str]) -> None:
    """Refuses a value that is not one of the choices, and names the nearest one.

    Raises:
        ValueError: names the kind, the value and the choices.
    """
    if value not in choices:
        hint = nearest(str(value), choices, quoted=True)
        raise ValueError(f"unknown {kind} {value!r}, expected one of {', '.join(choices)}{hint}")


def nearest(value: str, choices: Iterable[str], *, quoted: bool = False) -> str:
    """Returns the end of a message: "; did you mean X?", or nothing if no choice is like it.

    Example: `nearest("car", ["Car", "Van"])` is "; did you mean Car?".
    """
    by_lower = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(value.lower(), by_lower, n=1)
    if not near:
        return ""
    found = by_lower[near[0]]
    return f"; did you mean {found!r}?" if quoted else f"; did you mean {found}?"


NAME_RULE = f"a name has up to {MAX_NAME} characters, and none that steers a terminal"


def is_type_name(name: str) -> bool:
    """Returns whether a word may be the name of a type: short, and shown as what it is."""
    return len(name) <= MAX_NAME and (name.isprintable() or not any(map(is_control, name)))


def same(first: str, second: str) -> bool:
    """Returns whether two names are of one type: the case of letters does not matter."""
    return first.lower() == second.lower()


def is_reserved(name: str) -> bool:
    """Returns whether a name stands for something else among the metrics of an evaluation."""
    return name.lower() in _RESERVED


def check_class_names(names: Sequence[str]) -> None:
    """Refuses names that cannot be those of classes.

    Raises:
        ValueError: there is none, one is used twice, one stands for something else, or it is one
            text instead of a list.
    """
    if isinstance(names, str):
        raise ValueError(f"classes is the text {names!r}; it must be a list of names: [{names!r}]")
    if not isinstance(names, Collection) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"classes is {names!r}; it must be a list of names, such as ['Car']")
    if not names or len({name.lower() for name in names}) < len(names):
        raise ValueError(f"classes is {tuple(names)}; it must be one or more distinct names")
    if len(names) > _MAX_CLASSES:
        raise ValueError(f"classes has {len(names):,} names; at most {_MAX_CLASSES:,} will do")
    for name in names:
        if not is_type_name(name):
            raise ValueError(f"classes: {name[:MAX_NAME]!r} is no name; {NAME_RULE}")
        if (
            is_reserved(name)
            or same(name, DONT_CARE_TYPE)
            or len(name.split()) != 1
            or set(name) & set("/,")
        ):
            raise ValueError(
                f"classes: {name!r} cannot name a class; it must be one word without / and comma, "
                f"and none of {', '.join((*_RESERVED, DONT_CARE_TYPE))}"
            )


def check_class_map(names: Sequence[str], class_map: Mapping[str, str]) -> dict[str, str]:
    """Refuses a mapping of types to classes that makes no sense, and returns a copy otherwise.

    Args:
        names: of the classes.
        class_map: class that a type is learnt and scored as, by type.

    Raises:
        ValueError: it maps to what is no class, or maps a class away.
    """
    _check_mapping("class_map", class_map, str)
    for type_name, target in class_map.items():
        if not any(same(target, name) for name in names):
            hint = nearest(target, names)
            raise ValueError(
                f"class_map maps {type_name} to {target!r}, which is none of the classes "
                f"{', '.join(names)}{hint}"
            )
        if any(same(type_name, name) for name in names):
            raise ValueError(
                f"class_map maps {type_name} to {target}, but {type_name} is one of the classes; "
                "take it out of one of the two"
            )
        if same(type_name, DONT_CARE_TYPE):
            raise ValueError(f"class_map maps {type_name}, which marks regions, to a class")
    if len({type_name.lower() for type_name in class_map}) < len(class_map):
        raise ValueError(f"class_map is {dict(class_map)}; it maps one type twice")
    return dict(class_map)


def _check_mapping(setting: str, values: Mapping[str, Any], kind: type = object) -> None:
    """Refuses what is no mapping of names to values of a type."""
    if not isinstance(values, Mapping) or not all(
        isinstance(name, str) and isinstance(value, kind) for name, value in values.items()
    ):
        what = "names to names" if kind is str else "names of classes to values"
        raise ValueError(f"{setting} is {values!r}; it must map {what}")


def by_class(setting: str, names: Sequence[str], values: Mapping[str, Value]) -> dict[str, Value]:
    """Returns values by the names of classes, spelled as the classes are.

    Args:
        setting: what they are, for messages.
        names: of the classes.
        values: by class, in any case.

    Raises:
        ValueError: a key is no class, or two are one class.
    """
    _check_mapping(setting, values)
    spelled = {name.lower(): name for name in names}
    for key in values:
        if key.lower() not in spelled:
            raise ValueError(
                f"{setting}: {key!r} is none of the classes {', '.join(names)}{nearest(key, names)}"
            )
    found = {spelled[key.lower()]: value for key, value in values.items()}
    if len(found) < len(values):
        raise ValueError(f"{setting} is {dict(values)}; it names one class twice")
    return found
