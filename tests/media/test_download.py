"""Pictures and videos of servers that break off, say no or send too much."""

import contextlib
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures.servers import Answer, BreakingFile, Server

from mobilenetdet.media import download
from mobilenetdet.media.address import Address
from mobilenetdet.media.download import fetch_picture, fetch_video
from mobilenetdet.media.sources import read_pictures

STOP = threading.Event()
CONTENT = np.random.default_rng(0).integers(0, 255, 50_000).astype(np.uint8).tobytes()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(download, "FIRST_WAIT", 0.01)


def test_a_picture_of_a_server(server: Server):
    image = np.full((20, 30, 3), (0, 0, 250), np.uint8)
    url = server.add("/a/road.png", cv2.imencode(".png", image)[1].tobytes())
    (picture,) = read_pictures([Address(f"{url}?size=1", "picture")])
    assert picture.name == "road" and str(picture.source) == f"{url}?size=1"
    assert tuple(picture.image[0, 0]) == (250, 0, 0)


def test_name_and_password_are_sent_and_not_told(server: Server):
    asked = []

    def answer(request):
        asked.append(request.headers["Authorization"])
        request.send_error(403)

    server.answers["/a.jpg"] = answer
    url = server.url.replace("://", "://me:pass%20word@") + "/a.jpg"
    with pytest.raises(ValueError, match=r"me:\*\*\*@.*answers 403 Forbidden"):
        fetch_picture(Address(url, "picture"))
    assert asked == ["Basic bWU6cGFzcyB3b3Jk"]


def test_a_picture_that_is_too_large_is_not_fetched(server: Server, monkeypatch):
    monkeypatch.setattr(download, "MAX_PICTURE_BYTES", 10_000)
    with pytest.raises(ValueError, match="more than 0 MB are not fetched"):
        fetch_picture(Address(server.add("/a.jpg", CONTENT), "picture"))


def test_a_picture_that_breaks_off_is_named(server: Server):
    server.answers["/a.jpg"] = BreakingFile(CONTENT, 20_000).serve
    with pytest.raises(ValueError, match="broke off after 20,000 of 50,000 bytes"):
        fetch_picture(Address(f"{server.url}/a.jpg", "picture"))


def in_chunks(content: bytes, breaks: int, requests: list[str]) -> Answer:
    """Answers without a length, and breaks off in the middle of a chunk as often as it is told."""

    def answer(request):
        requests.append(request.headers.get("Range", ""))
        request.protocol_version = "HTTP/1.1"
        request.send_response(200)
        request.send_header("Content-Type", "video/mp4")
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(f"{len(content):x}\r\n".encode())
        is_whole = len(requests) > breaks
        request.wfile.write(content if is_whole else content[: len(content) // 2])
        if is_whole:
            request.wfile.write(b"\r\n0\r\n\r\n")
        request.close_connection = True

    return answer


def test_a_break_is_seen_where_no_length_was_announced(server: Server):
    requests: list[str] = []
    server.answers["/a"] = in_chunks(CONTENT, 2, requests)
    with pytest.raises(ValueError, match="the server broke off after 25,000 bytes; try again"):
        fetch_picture(Address(f"{server.url}/a", "picture"))
    address = Address(f"{server.url}/a", "video")
    video = fetch_video(address, patience_s=10, stop=threading.Event())
    assert video.path.read_bytes() == CONTENT and requests == ["", "", "bytes=25000-"]
    assert fetch_picture(Address(f"{server.url}/a", "picture")) == CONTENT


@pytest.mark.parametrize("ranges", [True, False])
def test_a_video_goes_on_after_breaks(server: Server, ranges: bool):
    file = BreakingFile(CONTENT, 20_000, ranges=ranges)
    server.answers["/a.mp4"] = file.serve
    address = Address(f"{server.url}/a.mp4", "video")
    video = fetch_video(address, patience_s=10, stop=threading.Event())
    assert video.path.read_bytes() == CONTENT
    assert file.requests == ["", "bytes=20000-", "bytes=40000-"]
    path = video.path
    del video
    assert not path.parent.exists()


def test_a_server_that_gives_no_more_is_given_up(server: Server):
    server.answers["/a.mp4"] = BreakingFile(CONTENT[:100], 100).serve
    file = BreakingFile(CONTENT, 0)
    server.answers["/a.mp4"] = file.serve
    with pytest.raises(ValueError, match=r"gave none for 0\.05 s \(--reconnect_s\)"):
        fetch_video(
            Address(f"{server.url}/a.mp4", "video"), patience_s=0.05, stop=threading.Event()
        )


def test_no_server_is_no_wait():
    with pytest.raises(ValueError, match="cannot be reached"):
        fetch_video(
            Address("http://127.0.0.1:1/a.mp4", "video"), patience_s=60, stop=threading.Event()
        )


def test_every_frame_of_a_video_of_a_server_that_breaks(server: Server, tmp_path: Path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 32))
    for value in range(0, 250, 25):
        writer.write(np.full((32, 64, 3), value, np.uint8))
    writer.release()
    content = path.read_bytes()
    server.answers["/clip.avi"] = BreakingFile(content, len(content) // 3 + 1).serve
    address = Address(f"{server.url}/clip.avi", "video")
    pictures = list(read_pictures([address]))
    assert [p.name for p in pictures] == [f"clip_{index:06d}" for index in range(10)]
    means = [float(p.image.mean()) for p in pictures]
    np.testing.assert_allclose(means, range(0, 250, 25), atol=3)


def asked_after_redirect(server: Server, target: str) -> list[str | None]:
    """Passwords that a server was sent, which first led from /a.jpg to another address."""
    asked = []

    def lead(request):
        request.send_response(302)
        request.send_header("Location", target)
        request.end_headers()

    def answer(request):
        asked.append(request.headers["Authorization"])
        request.send_error(404)

    server.answers["/a.jpg"], server.answers["/b.jpg"] = lead, answer
    url = server.url.replace("://", "://me:secret@") + "/a.jpg"
    with pytest.raises(ValueError, match=r"a.jpg: the server (answers|cannot be reached)"):
        fetch_picture(Address(url, "picture"))
    return asked


def test_a_password_is_sent_to_no_other_server(server: Server):
    assert asked_after_redirect(server, f"{server.url}/b.jpg") == ["Basic bWU6c2VjcmV0"]
    other = server.url.replace("127.0.0.1", "localhost")
    assert asked_after_redirect(server, f"{other}/b.jpg") == [None]


@pytest.mark.parametrize("target", ["ftp://127.0.0.1:1/b.jpg", "file:///etc/passwd", "/a.jpg"])
def test_redirects_that_lead_nowhere(server: Server, target: str):
    assert asked_after_redirect(server, target) == []


def test_what_servers_say_is_one_line(server: Server):
    def answer(request):
        request.wfile.write(b"\x1b[2J\x00" * 1000)

    def refuse(request):
        request.send_response_only(403, "\x1b[31m" + "no" * 1000)
        request.end_headers()

    server.answers["/a.jpg"], server.answers["/b.jpg"] = answer, refuse
    for name, words in (("a", "does not answer as web servers do"), ("b", "answers 403")):
        with pytest.raises(ValueError, match=words) as raised:
            fetch_picture(Address(f"{server.url}/{name}.jpg", "picture"))
        assert str(raised.value).isprintable() and len(str(raised.value)) < 400


@pytest.mark.parametrize(
    "fetch", [fetch_picture, lambda a: fetch_video(a, patience_s=1, stop=STOP)]
)
def test_pages_are_no_pictures_and_no_videos(server: Server, fetch):
    url = server.add("/a.mp4", b"<html>please log in</html>", "text/html")
    with pytest.raises(ValueError, match="sends text/html, no picture or video"):
        fetch(Address(url, "video"))


def drip(request) -> None:
    """Sends a byte now and then."""
    request.send_response(200)
    request.end_headers()
    with contextlib.suppress(OSError):
        while True:
            request.wfile.write(b"x")
            time.sleep(0.02)


def test_a_picture_that_comes_by_drops(server: Server, monkeypatch):
    server.answers["/a.jpg"] = drip
    address = Address(f"{server.url}/a.jpg", "picture")
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    assert set(fetch_picture(address, stop)) == {ord("x")}
    monkeypatch.setattr(download, "MAX_PICTURE_SECONDS", 0.3)
    with pytest.raises(ValueError, match="bytes in 0.3 s, and no end"):
        fetch_picture(address)
