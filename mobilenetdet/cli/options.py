"""Command lines from typed dataclasses."""

from __future__ import annotations

import inspect
import itertools
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    UnsupportedTypeAnnotationError,
)

from mobilenetdet.cli.commands import command_of, examples_text
from mobilenetdet.cli.default_checks import quick_default_checks
from mobilenetdet.cli.foreign_options import refuse_foreign_options
from mobilenetdet.cli.mappings import mapping_rule

Options = TypeVar("Options")
# How the values of a type are spelled on a command line, as tyro asks for it.
Rule = Callable[[PrimitiveTypeInfo], PrimitiveConstructorSpec | None]
# What training starts from where no preset is named, and where that run goes.
DEFAULT_PRESET = "ssd_fpn"
DEFAULT_RUN = Path("runs") / DEFAULT_PRESET
# Options of a union are flat: --head.channels, not a subcommand.
TYRO_MARKERS = (tyro.conf.SuppressFixed, tyro.conf.AvoidSubcommands)
# Most columns of a help page.
_WIDTH = 100
# The field of a command's options for --config.
CONFIG_FILE = Annotated[Path | None, tyro.conf.arg(name="config", metavar="FILE")]


def parse(
    kind: type[Options],
    argv: list[str] | None,
    default: Options | None = None,
    *,
    presets: Mapping[str, str] | None = None,
    rules: Sequence[Rule] = (),
) -> Options:
    """Parses a command line; a mistake ends the program with the nearest option named.

    Args:
        kind: dataclass whose fields are the options, its docstring and comments the help.
        argv: arguments, by default those of the program.
        default: values of the options that are not given.
        presets: to list in the help, by name what to expect of each.
        rules: for types of values that tyro does not know.

    Raises:
        ValueError: an option goes by another name here, one that takes several values was given
            none, or one for a local path a URL.
    """
    options: dict[str, Any] = {} if default is None else {"default": default}
    refuse_foreign_options(argv, kind if default is None else default)
    with option_rules(rules), quick_default_checks():
        parsed = tyro.cli(
            kind,
            args=argv,
            description=_description(kind, presets or {}),
            use_underscores=True,
            config=TYRO_MARKERS,
            **options,
        )
    empty = _empty_options(argv)
    for item in fields(kind):
        value = getattr(parsed, item.name)
        if item.name in empty and isinstance(value, Path):  # would be this folder
            raise ValueError(f"--{item.name} is empty; name a folder or file (. is this folder)")
        if value == () != item.default:
            raise ValueError(f"--{item.name} needs one value or more; --help has examples")
        if isinstance(value, Path) and _was_url(value):
            raise ValueError(
                f"--{item.name} takes a local path, and {value} was a URL; records of train and "
                "eval are read from gs:// (--data.records_dir), all else from a local disk"
            )
    return parsed


def _empty_options(argv: Sequence[str] | None) -> set[str]:
    """Returns the names of the options that were given an empty value, as "$UNSET" is one."""
    given = list(sys.argv[1:] if argv is None else argv)
    before = [flag for flag, value in itertools.pairwise(given) if value == ""]
    before += [flag[:-1] for flag in given if flag.endswith("=")]
    return {flag.lstrip("-").replace("-", "_") for flag in before if flag.startswith("--")}


def refuse_no_effect(
    options: Any, names: Collection[str], where: str, remedy: str = "leave it out"
) -> None:
    """Refuses options that were given and change nothing.

    Args:
        options: as they were parsed, a dataclass.
        names: of those that what was asked for does not go by.
        where: they change nothing: "on --format yolo".
        remedy: what to do instead.

    Raises:
        ValueError: one has another value than its default; names it.
    """
    for item in fields(options):
        if item.name in names and getattr(options, item.name) != item.default:
            raise ValueError(f"--{item.name} has no effect {where}; {remedy}")


def _was_url(path: Path) -> bool:
    """Whether a path was gs://bucket/name, of which one slash is left."""
    scheme = path.parts[0] if path.parts else ""
    return len(scheme) > 2 and scheme.endswith(":") and not os.path.lexists(scheme)


def peek(argv: list[str] | None, name: str, default: str) -> str:
    """Reads one option before the others are parsed, because their defaults depend on it."""
    return next(option_values(argv, name), default)


def option_values(argv: Sequence[str] | None, name: str, *, many: bool = False) -> Iterator[str]:
    """Yields the words that belong to an option, the last time that it is given.

    Args:
        argv: the command line, by default that of the program.
        name: of the option with underscores; hyphens in the command line are the same.
        many: whether it takes any number of words instead of one.
    """
    found: list[str] = []
    words = command_line(argv)
    for index, word in enumerate(words):
        key, equals, value = divided(word)
        if key != name:
            continue
        found = [value] if equals else []
        for following in words[index + 1 :]:
            if following.startswith("--") or (found and not many):
                break
            found.append(following)
    yield from found


def command_line(argv: Sequence[str] | None) -> list[str]:
    """Returns the words of a command line; those of the program where None is given."""
    return list(sys.argv[1:] if argv is None else argv)


def divided(word: str) -> tuple[str, str, str]:
    """Divides --KEY=VALUE; the key with underscores, "" for what is no option."""
    if not word.startswith("--"):
        return "", "", ""
    name, equals, value = word[2:].partition("=")
    return name.replace("-", "_"), equals, value


def option_rules(rules: Sequence[Rule] = ()) -> ConstructorRegistry:
    """Returns tyro's rules for mappings and some more; parse in a `with` block of them."""
    registry = ConstructorRegistry()
    for rule in (mapping_rule, *rules):
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


def _description(kind: type, presets: Mapping[str, str]) -> str:
    """The docstring of a command's options, its presets and examples."""
    summary, *paragraphs = (inspect.getdoc(kind) or "").split("\n\n")
    blocks = ["\n".join([summary, *map(_wrapped, paragraphs)])]
    if presets:
        width = max(map(len, presets))
        lines = [f"  {name:{width}}  {expected}" for name, expected in presets.items()]
        blocks.append("\n".join(["Presets, and what to expect of them:", *lines]))
    if name := command_of(kind.__module__):
        blocks.append(f"Examples:\n{examples_text(name)}")
    return "\n\n".join(blocks)


def _wrapped(paragraph: str) -> str:
    """Fills the lines of a paragraph, indented: tyro joins those that begin with a letter."""
    width = min(_WIDTH, shutil.get_terminal_size().columns)
    return textwrap.fill(
        paragraph, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )
