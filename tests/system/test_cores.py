import os

import pytest

from mobilenetdet.system.cores import num_cores, num_engine_threads


@pytest.mark.parametrize(
    ("asked", "threads"),
    [
        ("1", 1),
        ("0", None),
        ("", None),
        ("all", None),
        ("-1", None),
        ("4,2", None),
        ("10000", None),
    ],
)
def test_engines_take_as_many_threads_as_a_scheduler_gives(asked, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert num_engine_threads() == (threads or num_cores())


def test_a_process_may_use_what_its_affinity_says(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert num_cores() == num_engine_threads() == 3
