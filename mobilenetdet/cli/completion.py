"""Completion of commands and options in a shell."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import operator
from typing import Annotated

import tyro

from mobilenetdet.cli.commands import COMMANDS, command_module
from mobilenetdet.cli.config_options import CONFIG_RULES
from mobilenetdet.cli.options import TYRO_MARKERS, option_rules

SHELLS = ("bash", "zsh")


def completion_script(shell: str) -> str:
    """Returns what a shell sources to complete every command with its options and their choices.

    Args:
        shell: one of `SHELLS`.
    """
    options = [
        Annotated[
            importlib.import_module(command_module(name)).Options,
            tyro.conf.subcommand(name, description=command.summary),
        ]
        for name, command in COMMANDS.items()
    ]
    script = io.StringIO()
    rules = option_rules(CONFIG_RULES)
    with rules, contextlib.redirect_stdout(script), contextlib.suppress(SystemExit):
        tyro.cli(
            functools.reduce(operator.or_, options),
            args=["--tyro-print-completion", shell],
            prog="mobilenetdet",
            use_underscores=True,
            config=TYRO_MARKERS,
        )
    return script.getvalue()
