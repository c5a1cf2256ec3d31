"""Progress bars of the commands."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

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


def print_now(line: str) -> None:
    """Prints a line that a pipe or a log gets at once, too."""
    print(line, flush=True)


@contextlib.contextmanager
def frame_progress(total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    """Shows a progress bar on a terminal, and nothing elsewhere.

    Args:
        total: number of frames, None if it is not known.
        what: is being done to them.

    Yields:
        A function to call with the number of frames that are done.
    """
    with _terminal_bar(what) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextlib.contextmanager
def counting_progress(what: str) -> Iterator[tuple[Callable[[int], None], Callable[[], None]]]:
    """Shows a progress bar whose length is known only after the start.

    Args:
        what: is being done.

    Yields:
        A function to call with the number of steps, and one to call after each, from any thread.
    """
    with _terminal_bar(what) as bar:
        task = bar.add_task(what, total=None)
        yield lambda total: bar.update(task, total=total), lambda: bar.advance(task)


def _terminal_bar(what: str) -> Progress:
    # Standard error: what is piped on from standard output stays readable.
    console = Console(stderr=True)
    columns = (what, BarColumn(), MofNCompleteColumn(), _RateColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


class _RateColumn(ProgressColumn):
    """How many a second, over the last half minute."""

    def render(self, task: Task) -> Text:
        """Formats it, as "12.3/s"."""
        rate = task.finished_speed or task.speed
        return Text("" if rate is None else f"{rate:.1f}/s")
