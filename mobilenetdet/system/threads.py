"""Work that overlaps on the cores: reading ahead and writing behind, each in a thread of its own.

numpy, OpenCV and the engines let go of Python's lock while they compute, so that stages run at the
rate of the slowest. Between two stages waits a bounded number of items, in order.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
# Bytes that may wait between two stages, or one item that is larger.
MAX_WAITING = 256e6


class _Buffer(Generic[Item]):
    """What waits between a thread that puts and one that takes."""

    def __init__(self, most: int, weigh: Callable[[Item], float]) -> None:
        """Takes the limits: items, and bytes by `weigh`."""
        self._most, self._weigh = most, weigh
        self._items: deque[Item] = deque()
        self._weight = 0.0
        self._changed = threading.Condition()
        self._is_ended = False
        self.error: BaseException | None = None

    def put(self, item: Item) -> bool:
        """Adds an item, as soon as there is room; returns False if nobody takes any more."""
        weight = self._weigh(item)
        with self._changed:
            while not self._is_ended and not self._has_room(weight):
                self._changed.wait()
            if not self._is_ended:
                self._items.append(item)
                self._weight += weight
                self._changed.notify_all()
            return not self._is_ended

    def __iter__(self) -> Iterator[Item]:
        """Takes items until the end; then raises what `end` was given."""
        while True:
            with self._changed:
                while not self._items and not self._is_ended:
                    self._changed.wait()
                if not self._items:
                    break
                item = self._items.popleft()
                self._weight -= self._weigh(item)
                self._changed.notify_all()
            yield item
            del item  # it may be large, and the next one may be long in coming
        if self.error is not None:
            raise self.error

    def end(self, error: BaseException | None = None, *, drop: bool = False) -> None:
        """Takes no more items; those that wait can still be taken unless they are dropped."""
        with self._changed:
            self._is_ended, self.error = True, self.error or error
            if drop:
                self._items.clear()
            self._changed.notify_all()

    def _has_room(self, weight: float) -> bool:
        if not self._items:
            return True
        return len(self._items) < self._most and self._weight + weight <= MAX_WAITING


@contextlib.contextmanager
def read_ahead(
    items: Iterable[Item], most: int, weigh: Callable[[Item], float] = lambda item: 0.0
) -> Iterator[Iterator[Item]]:
    """Takes items out of an iterator in a thread, while the `with` block works on earlier ones.

    Args:
        items: are read in that thread, and no more of them once the block has ended.
        most: items that may wait.
        weigh: bytes of an item; see `MAX_WAITING`.

    Yields:
        The items in order; what reading raises is raised in the place of the item.
    """
    buffer: _Buffer[Item] = _Buffer(most, weigh)

    def read() -> None:
        """Reads until the end, or until the block has ended."""
        try:
            for item in items:
                if not buffer.put(item):
                    break
                del item
            if isinstance(items, Generator):
                items.close()
            buffer.end()
        except BaseException as error:
            buffer.end(error)

    thread = _start(read, "read ahead")
    try:
        yield iter(buffer)
    finally:
        buffer.end(drop=True)
        thread.join()


@contextlib.contextmanager
def call_behind(
    function: Callable[..., object], most: int, weigh: Callable[[Any], float] = lambda call: 0.0
) -> Iterator[Callable[..., None]]:
    """Calls a function in a thread, while the `with` block goes on.

    All calls are made before the block is left, after an exception in it as well.

    Args:
        function: is called with one list of arguments after the other.
        most: calls that may wait.
        weigh: bytes of the arguments, which it is given as a tuple; see `MAX_WAITING`.

    Yields:
        A function that takes the arguments of a call. It waits for room, and raises what an
        earlier call has raised; after that no call is made.
    """
    buffer: _Buffer[tuple[Any, ...]] = _Buffer(most, weigh)

    def call() -> None:
        """Calls until the end, or until a call fails."""
        try:
            for arguments in buffer:
                function(*arguments)
                del arguments
        except BaseException as error:
            buffer.end(error, drop=True)

    def submit(*arguments: Any) -> None:
        """Hands on one call."""
        if not buffer.put(arguments):
            raise buffer.error or RuntimeError("the block has ended")

    thread = _start(call, "call behind")
    try:
        yield submit
    finally:
        _finish(buffer, thread)
    if buffer.error is not None:
        raise buffer.error


def map_in_threads(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    num_threads: int,
    weigh: Callable[[Item], float] = lambda item: 0.0,
) -> Iterator[Result]:
    """Applies a function to items, so many at once.

    Args:
        function: is called in threads of its own, or in this one where there is one.
        items: one more of them than there are threads is taken ahead.
        num_threads: how many.
        weigh: bytes that an item keeps; fewer are taken ahead where they exceed `MAX_WAITING`.

    Yields:
        The results, in the order of the items. What a call or `items` raises is raised in its
        place, behind the results of all items before.
    """
    if num_threads == 1:
        yield from map(function, items)
        return
    waiting: deque[tuple[float, Future[Result]]] = deque()
    weight, error = 0.0, None
    items = iter(items)
    with ThreadPoolExecutor(num_threads, "map in threads") as pool:
        try:
            while True:
                try:
                    item = next(items)
                except StopIteration:
                    break
                except Exception as failure:
                    error = failure
                    break
                waiting.append((weigh(item), pool.submit(function, item)))
                weight += waiting[-1][0]
                del item  # it may be large
                while len(waiting) > num_threads or (weight > MAX_WAITING and waiting):
                    weight -= waiting[0][0]
                    yield waiting.popleft()[1].result()
            while waiting:
                yield waiting.popleft()[1].result()
        finally:
            for _, future in waiting:
                future.cancel()
    if error is not None:
        raise error


def _start(function: Callable[[], None], name: str) -> threading.Thread:
    """Starts a thread in a copy of this context: what is locked here may be written to there."""
    run = contextvars.copy_context().run
    thread = threading.Thread(target=run, args=(function,), name=name, daemon=True)
    thread.start()
    return thread


def _finish(buffer: _Buffer[Any], thread: threading.Thread) -> None:
    """Waits for the calls that are left; who interrupts that waits for the present one."""
    buffer.end()
    try:
        thread.join()
    except BaseException:
        buffer.end(drop=True)
        thread.join()
        raise
