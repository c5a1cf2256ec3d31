"""Configs on a command line: from a preset, a run or a file, with single values changed.

Of a section of which there are several kinds, the command line has the settings of one. So options
that choose a kind, and files, are read first; what they make is the default of all others.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin

from tyro.constructors import PrimitiveConstructorSpec, PrimitiveTypeInfo

from mobilenetdet.cli.options import Rule, command_line, divided, option_values, parse
from mobilenetdet.config.detection import DetectionConfig, LevelConfig
from mobilenetdet.config.schema import TAG, tagged_unions
from mobilenetdet.config.storage import Config, read_changes, with_changes
from mobilenetdet.config.upgrade import REMOVED, RENAMED, REPLACED, replaced_text

Options = TypeVar("Options")
_LEVELS = "model.levels"
# Begins the last line of a preset's docstring.
_EXPECTED = "Expected: "
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


def expected_result(preset: Callable[[], object]) -> str:
    """Returns what the docstring of a preset expects of it: AP and time."""
    lines = (inspect.getdoc(preset) or "").splitlines()
    return next(line for line in lines if line.startswith(_EXPECTED)).removeprefix(_EXPECTED)


def parse_with_config(
    kind: type[Options],
    argv: list[str] | None,
    config: Config,
    default: Callable[[Config], Options],
    *,
    presets: Mapping[str, Callable[[], Config]],
) -> Options:
    """Parses a command line that may change any setting of a config.

    Args:
        kind: dataclass of the options, with a config among them.
        argv: arguments, by default those of the program.
        config: of the preset.
        default: makes the options of a config.
        presets: to list in the help.

    Raises:
        FileNotFoundError: the file of --config does not exist.
        ValueError: an unknown key or kind, or a value out of range.
    """
    if isinstance(config, DetectionConfig):
        argv = present_options(argv)
    expected = {name: expected_result(make) for name, make in presets.items()}
    options = default(default_config(config, argv))
    return parse(kind, argv, options, presets=expected, rules=CONFIG_RULES)


def present_options(argv: Sequence[str] | None) -> list[str]:
    """Replaces options of earlier versions by those of today.

    Raises:
        ValueError: an option is gone; names the one to use instead, or why.
    """
    words: list[str] = []
    former = iter(command_line(argv))
    for word in former:
        key, equals, value = divided(word)
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


# For `parse` where there are settings of a config among the options.
CONFIG_RULES: tuple[Rule, ...] = (_level_rule, _levels_rule, _kind_rule)


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
