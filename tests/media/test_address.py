"""What users may name instead of files."""

from pathlib import Path

import pytest
from fixtures.servers import Server

from mobilenetdet.media.address import Address, parse_address
from mobilenetdet.media.picture_names import name_pictures


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("0", "live"),
        ("rtsp://camera/stream", "live"),
        ("RTSPS://camera:322/a.mp4", "live"),  # a file behind RTSP is sent as it happens
        ("rtmp://server/live", "live"),
        ("http://server/a/Road.JPG", "picture"),
        ("https://server/road.png?width=100", "picture"),
        ("http://server/clip.mp4#t=3", "video"),
    ],
)
def test_kinds(name: str, kind: str):
    assert parse_address(name).kind == kind


@pytest.mark.parametrize("name", ["photo.jpg", "a/0", "-1", "C:/pictures", "*.png", "٣"])
def test_files_are_no_addresses(name: str):
    assert parse_address(name) is None


def test_a_file_goes_before_a_camera(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "0").mkdir()
    assert parse_address("0") is None


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("image/webp", "picture"), ("multipart/x-mixed-replace", "live"), ("video/mp2t", "live")],
)
def test_a_server_says_what_a_url_without_suffix_is(server: Server, kind: str, expected: str):
    assert parse_address(server.add("/view", b"x", kind)).kind == expected


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        (b"x", "video/mp4", "video"),
        (b"x", "video/webm", "video"),
        (b"\xff\xd8\xff\xe0", "application/octet-stream", "picture"),
        (b"\x89PNG\r\n\x1a\n", "binary/octet-stream", "picture"),
        (b"\0\0\0\x20ftypisom", "application/octet-stream", "video"),
        (b"#EXTM3U\n", "application/octet-stream", "live"),
        (b"#EXTM3U\n", "application/vnd.apple.mpegurl", "live"),
    ],
)
def test_what_has_an_end_is_a_file(server: Server, content: bytes, kind: str, expected: str):
    """As a stream it would be read again and again."""
    assert parse_address(server.add("/object", content, kind)).kind == expected


def test_a_page_is_no_stream(server: Server):
    url = server.add("/login", b"<html>", "text/html")
    with pytest.raises(ValueError, match="login: the server sends text/html, no picture or video"):
        parse_address(url)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ftp://server/a.jpg", "scheme ftp are not read; known are http, https, rtsp"),
        ("http:///a.jpg", "names no server"),
        ("http://server:port/a.jpg", "is no URL"),
        ("http://127.0.0.1:1/view", "cannot be reached"),
        ("99999999999", "99999999999 is no number of a camera"),
    ],
)
def test_bad_urls_are_named(name: str, words: str):
    with pytest.raises(ValueError, match=words):
        parse_address(name)


@pytest.mark.parametrize(
    "name",
    [
        "ftp://me:secret@server/a.jpg",
        "http://me:secret@:80/a.jpg",
        "http://me:secret@server:99999/a.jpg",
        "rtsp://me:sec#secret@camera/1",
        "rtsp://me:sec/secret@camera/1",
        "rtsp://me:sec@secret@camera:x/1",
        "http://me:secret@[::1/a.jpg",
    ],
)
def test_passwords_in_bad_urls_are_not_told(name: str):
    with pytest.raises(ValueError) as raised:
        parse_address(name)
    assert "me:***@" in str(raised.value) and "sec" not in str(raised.value)


def test_passwords_are_not_told():
    assert str(Address("rtsp://me:secret@camera:554/1", "live")) == "rtsp://me:***@camera:554/1"
    assert str(Address("rtsp://camera/1", "live")) == "rtsp://camera/1"
    assert str(Address("2", "live")) == "camera 2"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (Address("0", "live", "20261130_120000"), "camera0_20261130_120000"),
        (Address("rtsp://u:p@host:554/a/b", "live", "T"), "host_a_b_T"),
        (Address("http://host/a/road.png?x=1", "picture"), "road"),
        (Address("http://host/view", "picture"), "view"),
        (Address("http://host/", "picture"), "index"),
        (Address("http://host/%2e%2e/%2fetc/clip.mp4", "video"), "clip"),
    ],
)
def test_outputs_are_named_after_addresses(address: Address, name: str):
    assert name_pictures([address]) == [name]


def test_urls_of_one_name_are_told_apart():
    addresses = [Address(f"http://host/{folder}/a.jpg", "picture") for folder in "xy"]
    assert name_pictures(addresses) == ["x_a", "y_a"]
    assert name_pictures([Path("a.jpg"), addresses[0]]) == ["a_jpg", "host_x_a"]
