"""Progress bars of the commands."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


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
    if not _on_terminal():
        yield lambda done: None
        return
    # Most calls have no terminal, and this takes longer to import than the small ones work.
    from mobilenetdet.cli.terminal_bar import terminal_bar

    with terminal_bar(what) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextlib.contextmanager
def counting_progress(what: str) -> Iterator[tuple[Callable[[int], None], Callable[[], None]]]:
    """Shows a progress bar whose length is known only after the start, on a terminal.

    Args:
        what: is being done.

    Yields:
        A function to call with the number of steps, and one to call after each, from any thread.
    """
    if not _on_terminal():
        yield lambda total: None, lambda: None
        return
    from mobilenetdet.cli.terminal_bar import terminal_bar

    with terminal_bar(what) as bar:
        task = bar.add_task(what, total=None)
        yield lambda total: bar.update(task, total=total), lambda: bar.advance(task)


def _on_terminal() -> bool:
    """Whether somebody can see standard error, which may be closed."""
    return sys.stderr is not None and sys.stderr.isatty()
