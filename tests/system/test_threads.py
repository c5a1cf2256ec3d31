"""Reading ahead and calling behind: order, bounds, errors and ends."""

import threading

import pytest

from mobilenetdet.system import threads
from mobilenetdet.system.threads import call_behind, map_in_threads, read_ahead

# Seconds after which a test that waits has failed.
PATIENCE = 20


def own_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()} & {"read ahead", "call behind"}


@pytest.mark.parametrize("most", [1, 3, 100])
def test_all_items_come_in_order(most):
    with read_ahead(range(50), most) as items:
        assert list(items) == list(range(50))
    done = []
    with call_behind(lambda index, square: done.append((index, square)), most) as call:
        for index in range(50):
            call(index, index**2)
    assert done == [(index, index**2) for index in range(50)]
    assert not own_threads()


def test_it_reads_while_the_block_works():
    is_read = threading.Event()

    def items():
        yield 1
        is_read.set()
        yield 2

    with read_ahead(items(), 1) as ahead:
        assert next(ahead) == 1 and is_read.wait(PATIENCE)
        assert list(ahead) == [2]


def test_it_calls_while_the_block_works():
    began, goes_on = threading.Event(), threading.Event()

    def work():
        began.set()
        assert goes_on.wait(PATIENCE)

    with call_behind(work, 1) as call:
        call()
        assert began.wait(PATIENCE)  # this block runs, and so does the call
        goes_on.set()


def test_few_items_are_read_ahead():
    read, is_third = [], threading.Event()

    def items():
        for index in range(10):
            read.append(index)
            if index == 3:
                is_third.set()
            yield index

    with read_ahead(items(), 2) as ahead:
        next(ahead)
        assert is_third.wait(PATIENCE)
        # One is in use, two wait, and the fourth waits for room.
        assert not threading.Event().wait(0.05) and read == [0, 1, 2, 3]
    assert read == [0, 1, 2, 3]


def test_large_items_wait_one_by_one(monkeypatch):
    monkeypatch.setattr(threads, "MAX_WAITING", 10)
    read, is_next = [], threading.Event()

    def items():
        for index in range(6):
            read.append(index)
            if index == 2:
                is_next.set()
            yield index

    with read_ahead(items(), 100, lambda item: 11) as ahead:
        next(ahead)
        assert is_next.wait(PATIENCE)
        assert not threading.Event().wait(0.05) and read == [0, 1, 2]


def test_few_calls_wait():
    goes_on, asked = threading.Event(), []

    def ask():
        with call_behind(lambda index: goes_on.wait(PATIENCE), 2) as call:
            for index in range(5):
                asked.append(index)
                call(index)

    thread = threading.Thread(target=ask)
    thread.start()
    while len(asked) < 4:  # one call is made, two wait, and the fourth waits for room
        threading.Event().wait(0.001)
    assert not threading.Event().wait(0.05) and asked == [0, 1, 2, 3]
    goes_on.set()
    thread.join(PATIENCE)
    assert asked == [0, 1, 2, 3, 4]


def test_an_error_of_reading_comes_in_its_place():
    def items():
        yield 1
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"), read_ahead(items(), 5) as ahead:
        assert next(ahead) == 1
        next(ahead)
    assert not own_threads()


def test_an_error_of_a_call_ends_the_block():
    made = []

    def work(index):
        made.append(index)
        if index == 1:
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"), call_behind(work, 1) as call:
        for index in range(100):
            call(index)
    assert made == [0, 1] and not own_threads()
    with pytest.raises(OSError, match="the disk is full"), call_behind(work, 1) as call:
        call(1)  # at the end of the block, if not before


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_was_handed_on_is_done_when_the_block_fails(error):
    done = []
    with pytest.raises(error), call_behind(done.append, 5) as call:
        for index in range(5):
            call(index)
        raise error
    assert done == list(range(5)) and not own_threads()


def test_a_block_that_ends_early_stops_the_reading():
    closed = threading.Event()

    def items():
        try:
            while True:
                yield 1
        finally:
            closed.set()

    with pytest.raises(KeyboardInterrupt), read_ahead(items(), 2) as ahead:
        next(ahead)
        raise KeyboardInterrupt
    assert closed.is_set() and not own_threads()


def test_a_second_interrupt_waits_for_the_present_call_alone(monkeypatch):
    began, goes_on, done = threading.Event(), threading.Event(), []

    def work(index):
        began.set()
        assert goes_on.wait(PATIENCE)
        done.append(index)

    join, interrupts = threading.Thread.join, iter([KeyboardInterrupt])

    def interrupted(thread, timeout=None):
        for error in interrupts:
            threading.Timer(0.05, goes_on.set).start()
            raise error
        join(thread, timeout)

    with pytest.raises(KeyboardInterrupt), call_behind(work, 5) as call:
        for index in range(5):
            call(index)
        assert began.wait(PATIENCE)
        monkeypatch.setattr(threading.Thread, "join", interrupted)
    assert done == [0]


@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_results_of_threads_come_in_order(num_threads):
    pause = threading.Event()

    def square(number):
        pause.wait(0.002 * (number % 3))
        return number**2

    assert list(map_in_threads(square, range(40), num_threads)) == [n**2 for n in range(40)]
    assert list(map_in_threads(square, [], num_threads)) == []


def test_as_many_calls_as_threads_run_at_once():
    together = threading.Barrier(3, timeout=PATIENCE)
    assert len(list(map_in_threads(lambda _: together.wait(), range(6), 3))) == 6


def test_threads_take_one_item_ahead():
    taken = []
    results = map_in_threads(lambda item: item, map(lambda n: taken.append(n) or n, range(40)), 2)
    assert [next(results), next(results)] == [0, 1]
    assert taken == [0, 1, 2, 3]
    results.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("map in threads")]


def test_what_the_items_raise_comes_behind_the_results_before_it():
    def items():
        yield from (1, 2, 3)
        raise OSError("the disk is gone")

    results = map_in_threads(lambda number: number**2, items(), 2)
    assert [next(results) for _ in range(3)] == [1, 4, 9]
    with pytest.raises(OSError, match="the disk is gone"):
        next(results)


def test_large_items_are_not_taken_ahead():
    taken = []
    numbers = map(lambda n: taken.append(n) or n, range(9))
    results = map_in_threads(lambda n: n, numbers, 4, lambda n: threads.MAX_WAITING / 2)
    assert next(results) == 0
    assert taken == [0, 1, 2]
    assert list(results) == list(range(1, 9))


def test_what_a_call_raises_comes_in_its_place():
    results = map_in_threads(lambda number: 6 // number, [1, 2, 0, 3], 2)
    assert [next(results), next(results)] == [6, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)
