"""How settings that belong to single classes are spelled on a command line.

tyro reads a mapping as key and value in turn, but only where its default is empty, and takes no
lists as values. Here the words after `--data.class_map` are keys and values in turn, whatever the
default is, and a list of types is spelled with commas.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tyro.constructors import PrimitiveConstructorSpec, PrimitiveTypeInfo

from mobilenetdet.config.classes import DIFFICULTY_NAMES, AllLimits

_LIMITS = ("height", "occlusion", "truncation")


@dataclass(frozen=True)
class _Value:
    """How one value of a mapping is spelled.

    Attributes:
        metavar: what stands for key and value in the help.
        num_words: of a value.
        parse: makes a value of its words.
        spell: makes its words.
    """

    metavar: str
    num_words: int
    parse: Callable[[list[str]], Any]
    spell: Callable[[Any], list[str]]


def _parse_limits(words: list[str]) -> AllLimits:
    rows = [words[start : start + 3] for start in range(0, len(words), 3)]
    return tuple((float(height), int(occ), float(trunc)) for height, occ, trunc in rows)


_VALUES: dict[Any, _Value] = {
    dict[str, str]: _Value("TYPE CLASS", 1, lambda words: words[0], lambda value: [value]),
    dict[str, float]: _Value("CLASS FLOAT", 1, lambda w: float(w[0]), lambda value: [f"{value:g}"]),
    dict[str, tuple[str, ...]]: _Value(
        "CLASS TYPE,TYPE",
        1,
        lambda words: tuple(filter(None, words[0].split(","))),
        lambda value: [",".join(value)],
    ),
    dict[str, AllLimits]: _Value(
        "CLASS 9xFLOAT",
        len(DIFFICULTY_NAMES) * len(_LIMITS),
        _parse_limits,
        lambda value: [f"{number:g}" for row in value for number in row],
    ),
}


def mapping_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Tells tyro how the mappings above are spelled, and nothing of other types."""
    value = _VALUES.get(info.type) if isinstance(info.type, _GENERIC) else None
    return None if value is None else _spec(value)


_GENERIC = type(dict[str, str])


def _spec(value: _Value) -> PrimitiveConstructorSpec:
    step = 1 + value.num_words

    def parse(words: list[str]) -> dict[str, Any]:
        """Reads key and value in turn."""
        if len(words) % step:
            raise ValueError(f"{' '.join(words)!r} is not a sequence of {value.metavar}")
        rows = [words[start : start + step] for start in range(0, len(words), step)]
        if len({row[0] for row in rows}) < len(rows):
            raise ValueError(f"{' '.join(words)!r} names one key twice")
        return {row[0]: value.parse(row[1:]) for row in rows}

    def spell(mapping: dict[str, Any]) -> list[str]:
        """Writes what `parse` reads."""
        pairs = ((key, *value.spell(item)) for key, item in mapping.items())
        return list(itertools.chain.from_iterable(pairs))

    return PrimitiveConstructorSpec(
        nargs="*",
        metavar=f"[{value.metavar} ...]",
        instance_from_str=parse,
        is_instance=lambda instance: isinstance(instance, dict),
        str_from_instance=spell,
    )
