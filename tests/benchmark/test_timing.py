import time

import pytest

from mobilenetdet.benchmark import timing
from mobilenetdet.benchmark.timing import (
    NOT_INSTALLED,
    Rounds,
    describe_machine,
    median_milliseconds,
    package_version,
)


def test_medians_of_steps_that_take_turns(monkeypatch):
    clock = {"now": 0.0}
    durations = {"a": iter([90.0, 0.010, 0.030, 0.020]), "b": iter([90.0, 1.0, 3.0, 50.0])}
    order = []

    def step(name: str) -> None:
        order.append(name)
        clock["now"] += next(durations[name])

    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock["now"])
    found = median_milliseconds(
        {"a": lambda: step("a"), "b": lambda: step("b")}, Rounds(warm_up=1, repeats=3)
    )
    assert found == pytest.approx({"a": 20.0, "b": 3000.0})
    assert order == ["a", "b"] + ["a", "b"] * 3


def test_real_time_passes():
    found = median_milliseconds({"sleep": lambda: time.sleep(0.01)}, Rounds(0, 3))
    assert found["sleep"] >= 10.0


@pytest.mark.parametrize("counts", [(-1, 3), (0, 0)])
def test_rounds_out_of_range(counts):
    with pytest.raises(ValueError, match=f"warm_up is {counts[0]} and repeats is {counts[1]}"):
        Rounds(*counts)


def test_the_machine_is_named():
    machine = describe_machine()
    assert int(machine["cores"]) >= 1
    assert machine["cpu"]
    assert machine["tensorflow"] == package_version("tensorflow") != NOT_INSTALLED
    assert package_version("no-such-package") == NOT_INSTALLED
