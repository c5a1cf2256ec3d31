"""Text files are named, with the line, when they are none."""

import codecs
import json
import os

import pytest

from mobilenetdet.files.text import read_json, read_text, why_no_file, write_json


@pytest.mark.parametrize(
    ("content", "line", "byte"),
    [(b"a\nb\xff\nc", 2, "ff"), (b"\xe4", 1, "e4"), (codecs.BOM_UTF8 + b"a\nb\xff.", 2, "ff")],
)
def test_what_is_no_text_is_named_with_its_line(tmp_path, content, line, byte):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"a.txt:{line}: byte 0x{byte} is no UTF-8 text; is this a"
    ):
        read_text(path)


def test_a_byte_order_mark_and_line_ends_of_windows_go(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(codecs.BOM_UTF8 + "ä\r\nb".encode())
    assert read_text(path) == "ä\nb"


def test_damaged_json_is_named_with_the_remedy(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": 1,')
    with pytest.raises(ValueError, match=r"a.json is damaged \(.*line 1.*\); copy it again"):
        read_json(path, "copy it again")
    path.write_text('{"a": [1]}')
    assert read_json(path, "") == {"a": [1]}


def test_json_is_written_whole(tmp_path):
    path = tmp_path / "new" / "metrics.json"
    write_json(path, {"frames": 1, "Car": None})
    assert json.loads(path.read_text()) == {"frames": 1, "Car": None}
    with pytest.raises(TypeError):
        write_json(path, {"frames": object()})
    assert json.loads(path.read_text())["frames"] == 1


def test_what_is_no_file_is_told_apart(tmp_path):
    assert why_no_file(tmp_path / "none") == "does not exist"
    assert why_no_file(tmp_path) == "is a folder; name the file in it"
    os.mkfifo(tmp_path / "pipe")
    assert why_no_file(tmp_path / "pipe") == "is no regular file but a pipe or a device"
