"""How the parts of a config are checked when they are made, and how faults are told."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass
from typing_extensions import dataclass_transform

Section = TypeVar("Section")

Share = Annotated[float, Field(ge=0, le=1)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
# A share that may not be all of it: momentum, dropout.
Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
# What a machine might hold; more is a slip of the keys, and would end for want of memory.
Width = Annotated[float, Field(gt=0, le=8)]
Channels = Annotated[int, Field(gt=0, le=8192)]
BatchSize = Annotated[int, Field(gt=0, le=65_536)]
NumBoxes = Annotated[int, Field(gt=0, le=16_384)]
# What the random generators of all libraries take.
Seed = Annotated[int, Field(ge=0, lt=2**32)]
NonNegative = Annotated[float, Field(ge=0)]
PositiveInt = Annotated[int, Field(gt=0, le=1_000_000_000)]
NonNegativeInt = Annotated[int, Field(ge=0, le=1_000_000_000)]
# Devices of a training: all accelerators, a number of them, or a number of virtual ones.
# Before a number of virtual devices on the CPU.
VIRTUAL_DEVICES = "cpu:"
_DEVICES = r"^(all|(cpu:)?[1-9][0-9]*)$"
DeviceList = Annotated[str, Field(pattern=_DEVICES)]
# Where the first of several processes is to be reached: nowhere, HOST:PORT, or as the scheduler of
# a cluster says.
_COORDINATOR = r"^(|auto|([^\s:\[\]]+|\[[0-9a-fA-F:]+\]):[1-9][0-9]{0,4})$"
Coordinator = Annotated[str, Field(pattern=_COORDINATOR)]
ImageSide = Annotated[int, Field(gt=0, le=8192, multiple_of=32)]

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
# Rules of pydantic in the words of a user: type of the error, and what the value must be.
_RULES = {
    "greater_than": "above {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "below {lt:g}",
    "less_than_equal": "at most {le:g}",
    "multiple_of": "a multiple of {multiple_of:g}",
    "finite_number": "a finite number",
    "string_too_short": "not empty",
}
# What the patterns above stand for.
_PATTERNS = {
    _DEVICES: "all, a number of GPUs from 1, or cpu:N with N from 1",
    _COORDINATOR: "HOST:PORT of the first process, such as 10.0.0.1:9876, auto, or empty",
}
_MAX_SHOWN = 100


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def section(key: str) -> Callable[[type[Section]], type[Section]]:
    """Decorates a class: a frozen dataclass whose fields pydantic checks on construction.

    Unknown keys are refused, too.

    Args:
        key: dotted name of the section in its config, "" for a whole config; begins the names in
            error messages.

    Returns:
        The decorator. What it makes raises ValueError with one line a fault.
    """

    def make(cls: type[Section]) -> type[Section]:
        """Makes the dataclass."""
        made: Any = dataclass(cls, frozen=True, config=_STRICT)
        validate = made.__init__

        @functools.wraps(validate)
        def __init__(self: Section, *args: Any, **values: Any) -> None:
            """Checks and sets the fields."""
            try:
                validate(self, *args, **values)
            except ValidationError as error:
                names = [item.name for item in dataclasses.fields(made)]
                lines = [fault_text(fault, key, names) for fault in error.errors()]
                raise ValueError("\n".join(lines)) from None

        made.__init__ = __init__
        return made

    return make


def require(holds: bool, key: str, value: Any, rule: str) -> None:
    """Refuses a value by a rule that involves several fields; others are the field's `Field`.

    Raises:
        ValueError: the rule does not hold; names the key, the value and the rule.
    """
    if not holds:
        raise ValueError(f"{key} is {value!r}; it must be {rule}")


def fault_text(fault: Mapping[str, Any], key: str = "", names: list[str] | None = None) -> str:
    """Says in one line what is wrong: key, value and rule.

    Args:
        fault: one of `ValidationError.errors()`.
        key: dotted name of the section that was validated.
        names: of its fields, which stand for positional arguments; not needed for a tree.
    """
    parts = list(fault["loc"])
    if names and parts and isinstance(parts[0], int):
        parts[0] = names[parts[0]]
    path = ".".join(str(part) for part in [key, *parts] if part != "")
    kind, value, context = fault["type"], fault["input"], fault.get("ctx", {})
    if kind == "value_error":  # from __post_init__; it names the key and the value
        return fault["msg"].removeprefix("Value error, ")
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"unknown key {path}"
    if kind == "union_tag_invalid":
        return f"{path}.kind is {context['tag']!r}; it must be one of {context['expected_tags']}"
    if kind == "union_tag_not_found":
        return f"{path}.kind is missing; it says which settings {path} has"
    if kind == "missing":
        return f"{path} is missing"
    if kind == "string_pattern_mismatch" and context["pattern"] in _PATTERNS:
        return f"{path} is {_shown(value)}; it must be {_PATTERNS[context['pattern']]}"
    if kind in _RULES:
        return f"{path} is {_shown(value)}; it must be {_RULES[kind].format(**context)}"
    return f"{path}: {fault['msg']}, not {_shown(value)}" if path else fault["msg"]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
