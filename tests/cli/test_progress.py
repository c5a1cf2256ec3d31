"""Progress bars: on terminals, and nowhere else."""

import io
import sys

import pytest

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
def test_nothing_elsewhere(monkeypatch, use, stderr):
    monkeypatch.setattr(sys, "stderr", stderr)
    use()
    assert not stderr or not stderr.getvalue()
