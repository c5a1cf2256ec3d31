"""Progress bars on terminals, lines in logs."""

import io
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from mobilenetdet.cli import progress
from mobilenetdet.cli.progress import counting_progress, frame_progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _three_frames() -> None:
    with frame_progress(3, "detecting") as update:
        update(3)


def _three_records() -> None:
    with counting_progress("train") as (start, advance):
        start(3)
        for _ in range(3):
            advance()


@pytest.mark.parametrize("use", [_three_frames, _three_records])
def test_a_bar_on_a_terminal(monkeypatch, use):
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    use()
    assert "3/3" in terminal.getvalue()


@pytest.mark.parametrize("use", [_three_frames, _three_records])
@pytest.mark.parametrize("stderr", [io.StringIO(), None], ids=["a pipe", "closed"])
def test_what_is_soon_done_leaves_nothing_elsewhere(monkeypatch, use, stderr):
    monkeypatch.setattr(sys, "stderr", stderr)
    use()
    assert not stderr or not stderr.getvalue()


@pytest.mark.parametrize(
    ("use", "line"), [(_three_frames, "detecting: 3 of 3"), (_three_records, "train: 1 of 3")]
)
def test_a_log_gets_a_line_every_half_minute(monkeypatch, use, line):
    log, clock = io.StringIO(), iter([0.0, 31.0, 31.0, 40.0, 50.0])
    monkeypatch.setattr(sys, "stderr", log)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    use()
    assert log.getvalue() == f"{line}\n"


def test_a_log_that_cannot_be_written_to_ends_no_work(monkeypatch):
    closed = io.StringIO()
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    monkeypatch.setattr(progress, "_on_terminal", lambda: False)
    monkeypatch.setattr(sys, "stderr", closed)
    closed.close()
    _three_frames()


def test_no_count_of_several_threads_is_lost(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with counting_progress("train") as (start, advance):
            start(16_001)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda _: [advance() for _ in range(2000)], range(8)))
            monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
            advance()
    finally:
        sys.setswitchinterval(interval)
    assert log.getvalue() == "train: 16001 of 16001\n"
