"""Pickles from the internet: arrays come through, everything else is refused unread."""

import codecs
import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mobilenetdet.classification.array_pickle import load_array_pickle

# What Python 2 and numpy 1 wrote, as in the official archive: {'data': array([[1, 2], [3, 4]])} of
# uint8, with byte strings throughout.
PYTHON_2 = (
    b"\x80\x02}q\x01U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\n"
    b"q\x04K\x00\x85U\x01b\x87Rq\x05(K\x01K\x02K\x02\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87R"
    b"q\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04\x01\x02\x03\x04tbs."
)


def load(path: Path, content: bytes):
    (path / "batch").write_bytes(content)
    return load_array_pickle(path / "batch")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([1, -2], ">i4"),
        np.zeros((0, 4), np.float32),
    ],
)
def test_arrays_and_containers_come_back(tmp_path, array, protocol):
    value = {b"data": array, b"labels": [1, 2], "names": ("a", b"\xff\x00"), b"x": [None, 0.5, {}]}
    loaded = load(tmp_path, pickle.dumps(value, protocol))
    np.testing.assert_array_equal(loaded.pop(b"data"), value.pop(b"data"), strict=True)
    assert loaded == value


def test_what_python_2_wrote(tmp_path):
    expected = pickle.loads(PYTHON_2, encoding="bytes")[b"data"]
    np.testing.assert_array_equal(load(tmp_path, PYTHON_2)[b"data"], expected, strict=True)
    np.testing.assert_array_equal(expected, np.array([[1, 2], [3, 4]], np.uint8), strict=True)


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda marker: Call(os.system, f"touch {marker}"), r"asks for (posix|nt)\.system"),
        (lambda marker: Call(eval, f"open('{marker}', 'w')"), r"asks for \w+\.eval"),
        (lambda marker: Call(subprocess.call, ["touch", marker]), r"asks for \w+\.call"),
        (lambda marker: Call(getattr, "x", "join"), r"asks for \w+\.getattr"),
        (lambda marker: {b"data": np.array([None], object)}, "an array of dtype 'O8'"),
        (lambda marker: np.zeros(2, [("a", "u1")]), "an array of dtype 'V1'"),
        (lambda marker: np.float64(3), r"asks for numpy\.\w+\.multiarray\.scalar"),
        (lambda marker: {1, 2}, r"asks for \w+\.set"),
        (lambda marker: Path("x"), "asks for pathlib"),
        (lambda marker: [np.uint8], r"asks for numpy\.uint8"),
        (lambda marker: [np.ndarray], "it holds a type"),
        (lambda marker: 3 + 4j, r"asks for \w+\.complex"),
        (lambda marker: Call(codecs.encode, "x", "rot13"), "bytes in the encoding 'rot13'"),
    ],
)
def test_everything_else_is_refused_and_not_run(tmp_path, make, message):
    marker = tmp_path / "marker"
    with pytest.raises(ValueError, match=message) as caught:
        load(tmp_path, pickle.dumps(make(str(marker)), 2))
    assert str(tmp_path / "batch") in str(caught.value) and "unpack" in str(caught.value)
    assert not marker.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>not found</html>",
        PYTHON_2[:-30],
        PYTHON_2.replace(b"U\x04\x01\x02\x03\x04", b"U\x03\x01\x02\x03"),  # a byte too few
        PYTHON_2.replace(b"U\x01|NNN", b"U\x01|NN}"),
        PYTHON_2.replace(b"U\x02u1", b"U\x02O8"),
        pickle.dumps([np.ndarray], 2).replace(b"]", b"("),
        b"\x80\x02]r\xff\xff\xff\x0f.",  # kept at place 268,435,455: a list of 4 GB
    ],
)
def test_damaged_pickles_name_the_file(tmp_path, content):
    with pytest.raises(ValueError, match="batch is no whole pickle of arrays"):
        load(tmp_path, content)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_array_pickle(tmp_path / "nothing")
