"""Configs on a command line: from a preset, a run or a file, with single values changed.

Of a section of which there are several kinds, the command line has the settings of one. So options
that choose a kind, and files, are read first; what they make is the default of all others.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    UnsupportedTypeAnnotationError,
)

from mobilenetdet.cli.mappings import mapping_rule
from mobilenetdet.config.detection import DetectionConfig, LevelConfig
from mobilenetdet.config.schema import TAG, tagged_unions
from mobilenetdet.config.storage import read_changes, with_changes
from mobilenetdet.config.upgrade import REMOVED, RENAMED, REPLACED, replaced_text

Config = TypeVar("Config")
# Options of a union are flat: --head.channels, not a subcommand.
TYRO_MARKERS = (tyro.conf.SuppressFixed, tyro.conf.AvoidSubcommands)
_LEVELS = "model.levels"
_SIGMA = "postprocess.soft_nms_sigma"


def default_config(config: Config, argv: Sequence[str] | None) -> Config:
    """Returns the config that the options of a command line are defaults of.

    Args:
        config: of the preset or the run.
        argv: with today's options; by default those of the program. --config names a file with some
            settings, and options that end in .kind choose the kind of a section.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an unknown key, kind or value.
    """
    for path in option_values(argv, "config"):
        config = with_changes(config, read_changes(path, type(config)), path)
    changes: dict[str, Any] = {
        f"{section}.{TAG}": value
        for section in tagged_unions(type(config))
        for value in option_values(argv, f"{section}.{TAG}")
    }
    if levels := list(option_values(argv, _LEVELS, many=True)):
        # Which heads will do depends on them.
        changes[_LEVELS] = [dataclasses.asdict(parse_level(word)) for word in levels]
    return with_changes(config, changes, "the command line") if changes else config


def present_options(argv: Sequence[str] | None) -> list[str]:
    """Replaces options of earlier versions by those of today.

    Raises:
        ValueError: an option is gone; names the one to use instead, or why.
    """
    words: list[str] = []
    former = iter(_words(argv))
    for word in former:
        key, equals, value = _divided(word)
        if key in REPLACED:
            raise ValueError(f"--{replaced_text(key)}")
        if key in REMOVED:
            value = value if equals else next(former, "")
            if not _is_zero(value):
                raise ValueError(f"--{key} is gone: {REMOVED[key]}; leave it out")
        elif key == _SIGMA:
            words += _suppression(value if equals else next(former, ""))
        elif key in RENAMED:
            words.append(f"--{RENAMED[key]}{equals}{value}")
        else:
            words.append(word)
    return words


def option_values(argv: Sequence[str] | None, name: str, *, many: bool = False) -> Iterator[str]:
    """Yields the words that belong to an option, the last time that it is given.

    Args:
        argv: the command line, by default that of the program.
        name: of the option with underscores; hyphens in the command line are the same.
        many: whether it takes any number of words instead of one.
    """
    found: list[str] = []
    words = _words(argv)
    for index, word in enumerate(words):
        key, equals, value = _divided(word)
        if key != name:
            continue
        found = [value] if equals else []
        for following in words[index + 1 :]:
            if following.startswith("--") or (found and not many):
                break
            found.append(following)
    yield from found


def parse_level(word: str) -> LevelConfig:
    """Reads a level as it is spelled on a command line.

    Raises:
        ValueError: it is spelled otherwise, or its stride or a side is out of range.

    Example: "8:10x20,30x15" is LevelConfig(8, ((10, 20), (30, 15))).
    """
    stride, _, shapes = word.partition(":")
    try:
        pairs = (map(float, shape.split("x")) for shape in shapes.split(","))
        sides = tuple((width, height) for width, height in pairs)
        number = int(stride)
    except ValueError:
        raise ValueError(
            f"level {word!r} is not STRIDE:WIDTHxHEIGHT,WIDTHxHEIGHT,... as 16:36x37,115x59"
        ) from None
    return LevelConfig(number, sides)


def format_level(level: LevelConfig) -> str:
    """Spells a level for a command line; `parse_level` reads it."""
    return f"{level.stride}:" + ",".join(f"{w:g}x{h:g}" for w, h in level.anchors)


def config_rules() -> ConstructorRegistry:
    """Returns tyro's rules for levels, kinds and mappings; parse in a `with` block of them."""
    registry = ConstructorRegistry()
    for rule in (_level_rule, _levels_rule, _kind_rule, mapping_rule):
        registry.primitive_rule(rule)
    find_spec = registry.get_primitive_spec

    def find_spec_or_none(
        info: PrimitiveTypeInfo, rule_mode: str = "all"
    ) -> PrimitiveConstructorSpec | None:
        """Returns None where no rule of ours applies."""
        try:
            return find_spec(info, rule_mode)
        except UnsupportedTypeAnnotationError:
            if rule_mode == "custom":
                return None
            raise

    # The tyro that goes with tensorflow-addons, 0.9.1, expects None but raises.
    registry.get_primitive_spec = find_spec_or_none
    return registry


def _level_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    if info.type is not LevelConfig:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="STRIDE:WxH,...",
        instance_from_str=lambda words: parse_level(words[0]),
        is_instance=lambda value: isinstance(value, LevelConfig),
        str_from_instance=lambda level: [format_level(level)],
    )


def _levels_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """As tyro makes it of `_level_rule`; tyro 0.9.1 would take the levels apart."""
    if info.type != tuple[LevelConfig, ...]:
        return None
    return PrimitiveConstructorSpec(
        nargs="*",
        metavar="STRIDE:WxH,... [STRIDE:WxH,... ...]",
        instance_from_str=lambda words: tuple(map(parse_level, words)),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda levels: list(map(format_level, levels)),
    )


def _kind_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Shows all kinds as choices; `default_config` has chosen one by now."""
    if get_origin(info.type) is not Literal:
        return None
    for kinds in tagged_unions(DetectionConfig).values():
        if len(get_args(info.type)) == 1 and get_args(info.type)[0] in kinds:
            return PrimitiveConstructorSpec(
                nargs=1,
                metavar="{" + ",".join(kinds) + "}",
                instance_from_str=lambda words: words[0],
                is_instance=lambda value: isinstance(value, str),
                str_from_instance=lambda value: [value],
                choices=tuple(kinds),
            )
    return None


def _words(argv: Sequence[str] | None) -> list[str]:
    return list(sys.argv[1:] if argv is None else argv)


def _divided(word: str) -> tuple[str, str, str]:
    """Divides --KEY=VALUE; the key with underscores, "" for what is no option."""
    if not word.startswith("--"):
        return "", "", ""
    name, equals, value = word[2:].partition("=")
    return name.replace("-", "_"), equals, value


def _suppression(sigma: str) -> list[str]:
    """A sigma of 0 meant greedy suppression."""
    kind = "--postprocess.suppression.kind"
    if _is_zero(sigma):
        return [kind, "greedy"]
    return [kind, "soft", f"--{RENAMED[_SIGMA]}", sigma]


def _is_zero(word: str) -> bool:
    try:
        return float(word) == 0
    except ValueError:
        return False
