"""Cameras and streams that break, end, or are faster than the detector."""

import contextlib
import gc
import threading
import time

import cv2
import numpy as np
import pytest
from fixtures.servers import Camera, Server, number_of, numbered_image

from mobilenetdet.media import live
from mobilenetdet.media.address import Address
from mobilenetdet.media.live import MAX_FRAMES, LiveSource
from mobilenetdet.media.video import VideoFrame


def source_of(server: Server, camera: Camera, **more) -> LiveSource:
    server.answers["/stream"] = camera.serve
    return LiveSource(Address(f"{server.url}/stream", "live"), **more)


def test_no_frame_is_lost_outside_two_breaks(server: Server, monkeypatch):
    monkeypatch.setattr(live, "FIRST_WAIT", 0.05)
    camera, seen, times, broken = Camera(rate=20), [], [], 0
    source = source_of(server, camera)
    for frame in source:
        seen.append(number_of(frame.image))
        times.append(frame.time_s)
        of_connection = camera.sent[-1]
        if len(of_connection) < 10 or seen[-1] < of_connection[0]:
            continue
        if len(camera.sent) == 3:
            break
        if broken < len(camera.sent):
            broken = len(camera.sent)
            camera.break_off()
    sent = [number for numbers in camera.sent for number in numbers]
    assert source.counts.dropped == 0 and source.counts.breaks == 2
    assert seen == sent[: len(seen)] and len(camera.sent) == 3
    assert times == sorted(times)


def test_of_a_source_that_is_faster_the_newest_frames_are_kept(server: Server):
    source = source_of(server, Camera(rate=200))
    frames = iter(source)
    first = next(frames)
    while source.counts.received < 4 * MAX_FRAMES:
        time.sleep(0.01)
    following = [next(frames) for _ in range(3)]
    frames.close()
    assert first.index == 0 and following[0].index >= 2 * MAX_FRAMES
    assert source.counts.dropped >= 2 * MAX_FRAMES
    told = source.describe()
    assert "of them dropped, since detecting was slower" in told
    # All that came is accounted for: seen, dropped, or not looked at any more.
    words = told.replace(",", "").split()
    received, dropped, waiting = (int(words[i]) for i in (0, 3, words.index("waiting") - 1))
    assert received == 4 + dropped + waiting and waiting > 0


def test_few_frames_are_alive(server: Server):
    """However long the source goes on."""

    def alive() -> int:
        return sum(isinstance(each, VideoFrame) for each in gc.get_objects())

    gc.collect()
    before, most = alive(), 0
    for frame in source_of(server, Camera(rate=300)):
        if frame.index > 200:
            break
        if frame.index % 20 == 0:
            time.sleep(0.05)
            most = max(most, alive() - before)
    assert 0 < most <= MAX_FRAMES + 3


def test_large_frames_wait_in_smaller_numbers(monkeypatch):
    monkeypatch.setattr(live, "MAX_BYTES", 2_500)
    source = LiveSource(Address("0", "live"))
    for index in range(5):
        source._put(VideoFrame(np.zeros((10, 100, 1), np.uint8), 0.0, 25.0, index))
    assert [frame.index for frame in source._frames] == [3, 4]
    assert source.counts.dropped == 3


def test_what_does_not_come_back_is_given_up(server: Server, monkeypatch):
    monkeypatch.setattr(live, "FIRST_WAIT", 0.05)
    camera = Camera(rate=50)
    source = source_of(server, camera, reconnect_s=0.3)
    with pytest.raises(ValueError, match=r"frames none came for 0\.3 s \(--reconnect_s\)"):
        for frame in source:
            if frame.index == 5:
                server.answers.clear()
                camera.break_off()


@pytest.mark.parametrize("text", ["http://127.0.0.1:1/stream", "97"])
def test_what_cannot_be_opened_is_named_at_once(text: str, capfd):
    with pytest.raises(ValueError, match="cannot be opened, or gives no frame; is it on?"):
        list(LiveSource(Address(text, "live")))
    assert capfd.readouterr() == ("", "")


def test_a_silent_source_can_be_stopped(server: Server):
    stop, silent = threading.Event(), threading.Event()

    def answer(request):
        silent.wait(20)

    server.answers["/stream"] = answer
    source = LiveSource(Address(f"{server.url}/stream", "live"), stop=stop)
    threading.Timer(0.3, stop.set).start()
    begun = time.monotonic()
    assert list(source) == []
    assert time.monotonic() - begun < 5
    silent.set()


def test_frames_that_are_too_large_are_refused(server: Server):
    with pytest.raises(ValueError, match="are more than 0.01 megapixels"):
        list(source_of(server, Camera(rate=20), max_megapixels=0.01))


def test_frames_that_are_damaged_are_no_break(server: Server):
    """Of a stream that goes on the others are seen at once, and no connection is made again."""
    connections = []

    def serve(request):
        connections.append(request)
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        with contextlib.suppress(OSError):
            for number in range(1, 1000):
                content = cv2.imencode(".jpg", numbered_image(number)[..., ::-1])[1].tobytes()
                content = bytes(len(content)) if number % 5 == 0 else content
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}"
                request.wfile.write(head.encode() + b"\r\n\r\n" + content + b"\r\n")
                time.sleep(0.02)

    server.answers["/stream"] = serve
    source, seen = LiveSource(Address(f"{server.url}/stream", "live")), []
    for frame in source:
        seen.append(number_of(frame.image))
        if len(seen) == 40:
            break
    expected = [number for number in range(1, 60) if number % 5][:40]
    assert seen == expected and len(connections) == 1
    assert source.counts.breaks == 0 and 8 <= source.counts.damaged <= 11
    assert f", {source.counts.damaged} damaged" in source.counts.describe(0)


def test_a_recording_that_is_sent_as_a_stream_ends(server: Server, tmp_path, capfd):
    """It would begin again and again."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 96))
    for number in range(12):
        writer.write(numbered_image(number)[..., ::-1])
    writer.release()
    url = server.add("/stream", path.read_bytes(), "application/x-recording")
    source = LiveSource(Address(url, "live"))
    assert [number_of(frame.image) for frame in source] == list(range(12))
    assert source.counts.breaks == 0
    assert capfd.readouterr() == ("", "")


def test_opencv_says_nothing_of_a_silent_source(server: Server, monkeypatch, capfd):
    monkeypatch.setattr(live, "_TIMEOUT_MS", 300)
    camera = Camera(rate=50)
    server.answers["/stream"] = camera.serve

    def fall_silent():
        camera.rate = 0.001

    threading.Timer(0.5, fall_silent).start()
    source = LiveSource(Address(f"{server.url}/stream", "live"), reconnect_s=0.5)
    with pytest.raises(ValueError, match="none came for 0.5 s"):
        list(source)
    assert capfd.readouterr() == ("", "")
