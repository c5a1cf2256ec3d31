import os
import subprocess
import sys
from pathlib import Path

import pytest

from mobilenetdet.cli import kitti_split, main


def replace_main(monkeypatch, outcome):
    def main(argv):
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(kitti_split, "main", main)


@pytest.mark.parametrize(
    ("outcome", "code", "message"),
    [
        (None, 0, ""),
        (3, 3, ""),
        (ValueError("bad value"), 2, "error: bad value\n"),
        (FileNotFoundError("no such folder"), 2, "error: no such folder\n"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_outcomes_become_exit_codes(monkeypatch, capsys, outcome, code, message):
    replace_main(monkeypatch, outcome)
    with pytest.raises(SystemExit) as exit_info:
        main.run("kitti_split", [])
    assert exit_info.value.code == code
    assert message in capsys.readouterr().err


class InvalidArgumentError(Exception):
    """As TensorFlow calls it."""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{function_node f}} ValueError: 000001: bad\n\nTraceback ...", "000001: bad"),
        ("assertion failed: [a label is not in 1 to C] [7]\n\t [[{{node}}]]", "1 to C (7)"),
        ("jpeg::Uncompress failed. Invalid JPEG data or crop window.", "in the records is damaged"),
    ],
)
def test_what_the_input_pipeline_says_reaches_the_user(monkeypatch, capsys, text, message):
    replace_main(monkeypatch, InvalidArgumentError(text))
    with pytest.raises(SystemExit) as exit_info:
        main.run("kitti_split", [])
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[0]


@pytest.mark.parametrize("error", [TypeError("a fault of ours"), ZeroDivisionError()])
def test_faults_of_the_program_are_not_hidden(monkeypatch, error):
    replace_main(monkeypatch, error)
    with pytest.raises(type(error)):
        main.run("kitti_split", [])


def test_traceback_on_request(monkeypatch):
    monkeypatch.setenv("MOBILENETDET_TRACEBACK", "1")
    replace_main(monkeypatch, ValueError("bad value"))
    with pytest.raises(ValueError, match="bad value"):
        main.run("kitti_split", [])


def test_a_reader_that_leaves_early_is_no_error():
    read, write = os.pipe()
    os.close(read)
    tool = Path(__file__).resolve().parents[2] / "tools/kitti_split.py"
    command = [sys.executable, str(tool), "--help"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode == 0 and done.stderr == ""
