"""What went wrong, in the words of a user."""

import errno
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from mobilenetdet.cli.errors import message_for_user, tell
from mobilenetdet.files.atomic_write import atomic_write


def raised(function):
    try:
        function()
    except Exception as error:
        return error
    pytest.fail("nothing was raised")


def named(name, text, base=Exception):
    return type(name, (base,), {})(text)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        raised(lambda: np.empty(2**58)),
        named("ResourceExhaustedError", "{{function_node f}} OOM when allocating [Op:Conv2D]"),
        named("XlaRuntimeError", "RESOURCE_EXHAUSTED: Out of memory", RuntimeError),
    ],
)
def test_want_of_memory_names_the_settings(error):
    message = message_for_user(error)
    assert "not enough memory" in message and "function_node" not in message
    assert "lower train.batch_size" in message and "data.image_height" in message


def test_opencv_may_want_memory():
    error = named("error", "(-4:Insufficient memory) Failed to allocate 6553600 bytes")
    type(error).__module__, error.code, error.err = "cv2", -4, "Failed to allocate 6553600 bytes"
    assert "not enough memory (Failed to allocate 6553600 bytes)" in message_for_user(error)


def test_opencv_says_what_it_could_not_do():
    error = raised(lambda: cv2.resize(np.empty((0, 0), np.uint8), (3, 3)))
    assert message_for_user(error) == "OpenCV cannot work on a picture: !ssize.empty()"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "out/a.txt: the disk is full; free some space"),
        (errno.EDQUOT, "out/a.txt: the disk is full; free some space"),
        (errno.EACCES, "out/a.txt: permission denied; change the permissions"),
        (errno.EROFS, "out/a.txt: read-only file system; change"),
        (errno.EFBIG, "out/a.txt: the system lets no file grow so large; raise the limit"),
        (errno.EMFILE, "out/a.txt: too many open files; raise the limit"),
        (errno.EAGAIN, "out/a.txt: resource temporarily unavailable"),
        (errno.ENAMETOOLONG, "out/a.txt: file name too long"),
    ],
)
def test_the_systems_errors_name_the_file_first(number, words):
    assert message_for_user(OSError(number, os.strerror(number), "out/a.txt")).startswith(words)


def test_records_that_vanish_while_they_are_read(tmp_path):
    told = message_for_user(raised(lambda: open(tmp_path / "train_000.tfrecord")))
    assert "train_000.tfrecord: no such file or directory; it was there at the start" in told


def test_a_machine_without_place_for_temporary_files(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: ["/nowhere"])
    error = raised(tempfile.gettempdir)
    assert message_for_user(error) == (
        "no folder takes temporary files; name one that does (TMPDIR=FOLDER)"
    )


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("can't start new thread"),
        OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)),
    ],
)
def test_want_of_threads_is_no_fault_of_the_program(error):
    assert message_for_user(error).startswith("the system starts no more threads or processes")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{function_node f}} k/a; Too many open files [Op:X]", "k/a: too many open files; raise"),
        ("runs/events.out; No space left on device", "runs/events.out: the disk is full; free"),
        ("Failed to write; File too large", "Failed to write: the system lets no file grow"),
    ],
)
def test_what_the_system_refuses_tensorflow_is_told_as_such(text, message):
    error = named("ResourceExhaustedError", text)
    type(error).__module__ = "tensorflow.python.framework.errors_impl"
    assert message_for_user(error).startswith(message)


def test_a_full_disk_names_the_file_that_was_to_be_written(tmp_path):
    def write():
        with atomic_write(tmp_path / "a.npz"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    words = f"{tmp_path / 'a.npz'}: the disk is full; free some space and give the command again"
    assert message_for_user(raised(write)) == words


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_under_hdf5_is_told_in_the_same_way(tmp_path):
    text = (
        "[Errno 28] Unable to synchronously create file (file write failed: time = now, name = "
        "'run/best.weights.h5', errno = 28, error message = 'No space left on device')"
    )
    assert message_for_user(OSError(text)).startswith("run/best.weights.h5: the disk is full")
    missing = tmp_path / "none" / "a.h5"
    assert message_for_user(raised(lambda: h5py.File(missing, "w"))).startswith(str(missing))


def test_an_interruption_promises_no_more_than_there_is(capsys):
    assert tell(KeyboardInterrupt(), "train") == 130
    assert "keeps what is complete and does the rest" in capsys.readouterr().err
    # A command that begins anew says so.
    assert tell(KeyboardInterrupt("interrupted; begins anew"), "predict") == 130
    assert capsys.readouterr().err == "\ninterrupted; begins anew\n"


def test_what_keras_prints_in_bold_is_plain(capsys):
    assert tell(ValueError("\x1b[1mCould not\x1b[0m load"), "train") == 2
    assert capsys.readouterr().err == "error: Could not load\n"


def test_own_words_stay_as_they_are():
    for error in (ValueError("bad value"), FileNotFoundError("no such run"), OSError("odd")):
        assert message_for_user(error) == str(error)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "NotFoundError",
            "{{function_node __wrapped__IteratorGetNext}} k/train_000.tfrecord; No such file or "
            "directory [Op:IteratorGetNext] name: ",
            "k/train_000.tfrecord; No such file or directory; it was there at the start",
        ),
        (
            "DataLossError",
            "{{function_node f}} corrupted record at 77 [Op:IteratorGetNext]",
            "a TFRecord file is damaged (corrupted record at 77); convert the data again",
        ),
        ("PermissionDeniedError", "k/a.tfrecord; Permission denied", "k/a.tfrecord; Permission"),
        ("InvalidArgumentError", "{{node n}} ValueError: 000001: bad\n\nTraceback", "000001: bad"),
        ("InvalidArgumentError", "assertion failed: [a label is not in] [7]", "not in (7)"),
        ("InvalidArgumentError", "jpeg::Uncompress failed. Invalid JPEG data or", "is damaged"),
    ],
)
def test_tensorflow_is_translated(name, text, message):
    told = message_for_user(named(name, text))
    assert message in told and "{{" not in told and "[Op" not in told


def test_a_file_that_is_no_text_is_said_to_be_none():
    error = raised(lambda: b"ab\xff".decode())
    assert message_for_user(error).startswith("a file is no UTF-8 text (byte 0xff at 2)")


def test_a_name_that_cannot_be_written_is_spelled():
    error = raised(lambda: ("long " * 99 + "a\udcff.txt" + " page" * 99).encode())
    message = message_for_user(error)
    assert r"a\udcff.txt" in message and "no UTF-8 text; give it another" in message
    assert len(message) < 200


def test_names_forge_no_lines(tmp_path, monkeypatch, capsys):
    path = tmp_path / "a\nerror: forged"
    monkeypatch.setattr(sys, "argv", ["mobilenetdet predict", f"--run_dir={path}/"])
    errors = [
        FileNotFoundError(f"{path} is no run directory"),
        ValueError(f"{path} is neither an image nor a video"),
        FileExistsError("out: process 1 on other\nerror: forged is writing here"),  # out of a lock
        raised((tmp_path / "b\nerror: forged").read_text),  # no word of the command line
    ]
    for error in errors:
        assert tell(error, "predict") == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and r"\nerror: forged" in told
    assert tell(ValueError("two faults:\n  one\n  two"), "predict") == 2
    assert capsys.readouterr().err == "error: two faults:\n  one\n  two\n"


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    message = f"{tmp_path / 'file'} is a file, not a folder; name another"
    for place in ("file", "file/in/it"):
        make = (tmp_path / place).mkdir
        assert message_for_user(raised(lambda make=make: make(parents=True))) == message
    assert message_for_user(raised(Path("/dev/null").mkdir)).startswith("/dev/null is a file, not")


WITHOUT = """
import sys
sys.modules["tensorflow"] = sys.modules["keras"] = None
from mobilenetdet.cli.main import main
sys.argv[1:] = ["predict", sys.argv[1], "--engine", "keras", "--output_dir", sys.argv[2]]
main()
"""


def test_without_keras_a_run_says_what_to_install(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((32, 64, 3), np.uint8))
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path / "a.png"), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "is not installed, which runs need: pip install tensorflow keras; or" in done.stderr
    assert "name the exported file: --model FILE" in done.stderr


def test_other_modules_that_are_missing_are_named(tmp_path, monkeypatch, capsys):
    message = message_for_user(ModuleNotFoundError("No module named 'cv2.x'", name="cv2.x"))
    assert message.startswith("cv2 is not installed; install it, or")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ours = ModuleNotFoundError("No module named 'mobilenetdet.x'", name="mobilenetdet.x")
    assert tell(ours, "predict") == 1 and "fault of mobilenetdet" in capsys.readouterr().err


@pytest.mark.parametrize("error", [TypeError("a fault\nof ours"), KeyError("x"), RuntimeError()])
def test_a_fault_of_the_program_goes_to_a_file_and_one_line(tmp_path, monkeypatch, capsys, error):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["mobilenetdet train", "--some", "option"])
    assert tell(error, "train") == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and told.startswith(f"error: {type(error).__name__}: ")
    (log,) = tmp_path.iterdir()
    assert re.search(rf"fault of mobilenetdet. {log} has the details: please report", told)
    text = log.read_text()
    assert "'--some', 'option'" in text and "numpy " in text and type(error).__name__ in text


def test_a_fault_is_told_where_no_file_can_be_written(monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", "/nowhere/at/all")
    assert tell(KeyError("x"), "train") == 1
    told = capsys.readouterr().err
    assert "details could not be written (" in told and "MOBILENETDET_TRACEBACK=1 prints" in told


@pytest.mark.parametrize(("error", "code"), [(ValueError("bad"), 2), (KeyError("x"), 1)])
def test_a_traceback_is_shown_on_request(tmp_path, monkeypatch, capsys, error, code):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fail():
        raise error

    for wanted in ("", "1"):
        monkeypatch.setenv("MOBILENETDET_TRACEBACK", wanted)
        assert tell(raised(fail), "train") == code
        assert ("in fail" in capsys.readouterr().err) == bool(wanted)
