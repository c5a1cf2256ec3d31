"""Progress of the commands: a bar on a terminal, now and then a line in a log."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

# Seconds between two lines of a log, and before the first.
LINE_EVERY_S = 30.0


def print_now(line: str) -> None:
    """Prints a line that a pipe or a log gets at once, too."""
    print(line, flush=True)


@contextlib.contextmanager
def frame_progress(total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    """Shows a progress bar on a terminal, and a line every half minute elsewhere.

    Args:
        total: number of frames, None if it is not known.
        what: is being done to them.

    Yields:
        A function to call with the number of frames that are done.
    """
    if not _on_terminal():
        yield _Lines(what, total).show
        return
    # Most calls have no terminal, and this takes longer to import than the small ones work.
    from mobilenetdet.cli.terminal_bar import terminal_bar

    with terminal_bar(what) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextlib.contextmanager
def counting_progress(what: str) -> Iterator[tuple[Callable[[int], None], Callable[[], None]]]:
    """Shows progress as `frame_progress` does; the total is known only after the start.

    Args:
        what: is being done.

    Yields:
        A function to call with the number of steps, and one to call after each, from any thread.
    """
    if not _on_terminal():
        lines = _Lines(what, None)
        yield lines.set_total, lines.advance
        return
    from mobilenetdet.cli.terminal_bar import terminal_bar

    with terminal_bar(what) as bar:
        task = bar.add_task(what, total=None)
        yield lambda total: bar.update(task, total=total), lambda: bar.advance(task)


class _Lines:
    """Prints progress on standard error, at most every `LINE_EVERY_S` seconds; for logs."""

    def __init__(self, what: str, total: int | None) -> None:
        self._what, self._total, self._done = what, total, 0
        self._told = time.monotonic()
        self._lock = threading.Lock()

    def set_total(self, total: int) -> None:
        """Takes how many there are."""
        self._total = total

    def advance(self) -> None:
        """Counts one more, of any thread."""
        with self._lock:
            self._show(self._done + 1)

    def show(self, done: int) -> None:
        """Prints how many are done, if it is time to."""
        with self._lock:
            self._show(done)

    def _show(self, done: int) -> None:
        self._done = done
        if sys.stderr is None or time.monotonic() - self._told < LINE_EVERY_S:
            return
        self._told = time.monotonic()
        of_all = "" if self._total is None else f" of {self._total}"
        # A log that cannot be written to ends no work.
        with contextlib.suppress(OSError, ValueError):
            print(f"{self._what}: {done}{of_all}", file=sys.stderr, flush=True)


def _on_terminal() -> bool:
    """Whether somebody can see standard error, which may be closed."""
    return sys.stderr is not None and sys.stderr.isatty()
