import os
import shutil
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


@pytest.mark.parametrize("error", [TypeError("a fault of ours"), ZeroDivisionError()])
def test_faults_of_the_program_end_with_another_code(tmp_path, monkeypatch, capsys, error):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    replace_main(monkeypatch, error)
    with pytest.raises(SystemExit) as exit_info:
        main.run("kitti_split", [])
    assert exit_info.value.code == 1
    assert f"error: {type(error).__name__}" in capsys.readouterr().err
    assert len(list(tmp_path.glob("*.log"))) == 1


LIVE_THREAD = """
import sys, time, types
sys.modules["tensorflow"] = types.ModuleType("tensorflow")  # as if it were loaded
from mobilenetdet.cli import kitti_split, main
import threading

def fail(argv):
    # Python waits for it at its end, as it does for those of tf.data.
    threading.Thread(target=time.sleep, args=(1000,)).start()
    print("begun")
    raise {error}

kitti_split.main = fail
main.run("kitti_split")
"""


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [("ValueError('bad')", 2, "error: bad\n"), ("KeyboardInterrupt", 130, "interrupted")],
)
def test_an_error_ends_the_program_whatever_still_runs(error, code, message):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    command = [sys.executable, "-c", LIVE_THREAD.format(error=error)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == code and done.stdout == "begun\n" and message in done.stderr


def run_tool(command, folder, first=""):
    # Not by `-c`: Python 3.13.0 imports nothing from there where the working directory is gone.
    shell = f"{first} {sys.executable} -m mobilenetdet {command}"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    return subprocess.run(
        shell, shell=True, env=environment, cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_output_that_is_full_is_named(tmp_path):
    done = run_tool("kitti_split --help > /dev/full", tmp_path)
    message = "error: standard output: the disk is full; free some space and give the command again"
    assert (done.returncode, done.stderr) == (2, f"{message}\n")


FULL = "error: standard output: the disk is full; free some space and give the command again\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("asked", ["--help", "--version", "--print-completion bash"])
def test_what_is_no_command_fails_as_commands_do(tmp_path, monkeypatch, asked, unbuffered):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    done = run_tool(f"{asked} > /dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (2, FULL)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("command", ["bogus", "predict nope.jpg"])
def test_an_error_that_cannot_be_told_has_its_code(tmp_path, command):
    assert run_tool(f"{command} 2> /dev/full", tmp_path).returncode == 2


def test_names_that_the_terminal_lacks_are_spelled(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = run_tool("kitti_synthesize --num_frames 1 --output_dir Grün", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(r"Gr\xfcn: 1 frame rendered") and (tmp_path / "Grün").is_dir()


@pytest.mark.parametrize("command", ["kitti_synthesize --num_frames 1", "train"])
def test_a_working_directory_that_is_gone_is_said_to_be(tmp_path, command):
    gone = tmp_path / "gone"
    gone.mkdir()
    done = run_tool(command, gone, first=f"rmdir {gone};")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the working directory is gone; change to one that is")


def test_streams_that_are_closed_are_no_error(tmp_path):
    """Nor does the next file that is opened take their place."""
    assert run_tool("kitti_split --kitti_root none <&- >&- 2>&-", tmp_path).returncode == 2
    assert run_tool("kitti_split --help >&-", tmp_path).returncode == 0


@pytest.mark.parametrize("words", [["tools/kitti_split.py"], ["-m", "mobilenetdet"]])
def test_a_reader_that_leaves_early_is_no_error(words):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, *words, "--help"]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        command, stdout=write, stderr=subprocess.PIPE, text=True, check=False, cwd=root
    )
    os.close(write)
    assert done.returncode == 0 and done.stderr == ""


@pytest.mark.parametrize(("argv", "frozen"), [("None", True), ("['--help']", False)])
def test_a_program_of_its_own_keeps_what_it_imports_from_collection(argv: str, frozen: bool):
    """A caller within another program would lose the garbage that it has."""
    program = f"""
import atexit, gc, sys
from mobilenetdet.cli.main import run
sys.argv = ["mobilenetdet kitti_split", "--help"]
atexit.register(lambda: print(gc.get_freeze_count() > 0, gc.isenabled()))
run("kitti_split", {argv})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.endswith(f"\n{frozen} True\n"), done.stderr


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("kitti_split --help", 0, ""),
        ("--help", 0, ""),
        (
            "tf_convert_data --dataset_root kitti",
            141,
            "error: who reads the output has left before the work was done\n",
        ),
    ],
)
def test_a_reader_that_leaves_is_told_from_a_command_that_is_done(
    small_kitti: Path, tmp_path: Path, command: str, code: int, message: str
):
    shutil.copytree(small_kitti, tmp_path / "kitti", ignore=shutil.ignore_patterns("tfrecord"))
    # The pipe is closed before anything is printed.
    shell = f"{sys.executable} -u -m mobilenetdet {command} | true; exit ${{PIPESTATUS[0]}}"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(
        ["bash", "-c", shell], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (code, message)


@pytest.mark.parametrize(
    ("library", "at_end"), [("tensorflow", ""), ("openvino", ""), ("x", "end")]
)
def test_after_an_error_nothing_waits_for_threads_of_libraries(library: str, at_end: str):
    program = f"""
import atexit, sys, types
from mobilenetdet.cli.main import run
sys.modules["{library}"] = types.ModuleType("{library}")
sys.argv = ["mobilenetdet kitti_split", "--kitti_root", "/no/such/folder"]
atexit.register(lambda: print("end"))
run("kitti_split")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (2, at_end)
    assert done.stderr.startswith("error: ")
