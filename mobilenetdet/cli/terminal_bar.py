"""A bar on a terminal that says how far a command is, and how fast."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TimeRemainingColumn,
)
from rich.text import Text


def terminal_bar(what: str) -> Progress:
    """Makes a bar, to be used in a `with` statement.

    Args:
        what: is being done.
    """
    # Standard error: what is piped on from standard output stays readable.
    columns = (what, BarColumn(), MofNCompleteColumn(), RateColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


class RateColumn(ProgressColumn):
    """How many a second, over the last half minute."""

    def render(self, task: Task) -> Text:
        """Formats it, as "12.3/s"."""
        rate = task.finished_speed or task.speed
        return Text("" if rate is None else f"{rate:.1f}/s")
