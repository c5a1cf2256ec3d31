"""predict on streams and videos: however it is ended, what was detected is whole or not there."""

import contextlib
import json
import signal
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from faults.checks import TEMPORARY
from fixtures.predict_process import PredictProcess
from fixtures.servers import Camera, Server, numbered_image, numbers_of

pytestmark = pytest.mark.faults

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
# Seconds between two signals: within the end, whose writing takes about half a second.
PAUSES = {(INT, INT, INT): 0.05, (INT, TERM): 0.2, (TERM, INT): 0.1, (HUP, TERM): 0.3}


def assert_whole(running: PredictProcess) -> list[int]:
    """The video has the frames of the list; nothing is left over. Returns their numbers."""
    (video,) = (running.out / "videos").iterdir()
    numbers = numbers_of(video)
    entries = json.loads((running.out / "detections.json").read_text())
    assert len(numbers) == len(entries) > 0 and numbers == sorted(set(numbers))
    assert not [name for name in running.out.rglob("*") if TEMPORARY.search(str(name))]
    return numbers


@pytest.mark.parametrize(
    "signals", [(INT,), (TERM,), (HUP,), *PAUSES], ids=lambda s: " ".join(n.name for n in s)
)
def test_a_stream_that_is_ended(server: Server, tmp_path: Path, signals):
    camera = Camera(20)
    server.answers["/stream"] = camera.serve
    with PredictProcess(tmp_path, f"{server.url}/stream") as running:
        running.wait_for(lambda: running.is_writing and len(camera.sent[-1]) > 60)
        running.send(*signals, pause=PAUSES.get(signals, 0.0))
        code, told, errors = running.end(60)
    # What comes when all is written ends the process as it ends any.
    assert code == 130 or code == -signals[-1] and len(signals) > 1, errors
    assert "Traceback" not in errors
    assert "interrupted; what was detected is written" in errors
    assert "1 video written" in told
    assert set(assert_whole(running)) <= set(camera.sent[-1])


def test_a_stream_without_a_terminal_goes_on(server: Server, tmp_path: Path, monkeypatch):
    """nohup ignores the end of the terminal, and that is to stay so."""
    monkeypatch.setattr(
        "fixtures.predict_process.PROGRAM",
        PredictProcess.__init__.__globals__["PROGRAM"].replace("SIG_DFL", "SIG_IGN"),
    )
    camera = Camera(20)
    server.answers["/stream"] = camera.serve
    with PredictProcess(tmp_path, f"{server.url}/stream") as running:
        running.wait_for(lambda: running.is_writing)
        running.send(HUP)
        seen = len(camera.sent[-1])
        running.wait_for(lambda: len(camera.sent[-1]) > seen + 20)
        running.send(TERM)
        assert running.end(60)[0] == 130
    assert_whole(running)


def test_a_kill_leaves_no_half_video_and_the_next_run_removes_what_is_left(
    server: Server, tmp_path: Path
):
    camera = Camera(20)
    server.answers["/stream"] = camera.serve
    with PredictProcess(tmp_path, f"{server.url}/stream") as running:
        running.wait_for(lambda: running.is_writing and (running.out / "detections.json").exists())
        running.send(signal.SIGKILL)
        running.end()
    assert not (running.out / "videos").exists()
    json.loads((running.out / "detections.json").read_text())
    (left_over,) = running.out.glob(".new*")
    with PredictProcess(tmp_path, f"{server.url}/stream") as running:
        running.wait_for(lambda: running.is_writing and not left_over.exists())
        seen = len(camera.sent[-1])
        running.wait_for(lambda: len(camera.sent[-1]) > seen + 20)
        running.send(INT)
        running.end(60)
    assert_whole(running)


def write_clip(path: Path, count: int = 300) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (320, 96))
    for number in range(count):
        writer.write(numbered_image(number)[..., ::-1])
    writer.release()
    return path


@pytest.mark.parametrize("number", [INT, TERM, HUP], ids=lambda number: number.name)
def test_a_video_that_is_ended(tmp_path: Path, number):
    clip = write_clip(tmp_path / "clip.avi")
    with PredictProcess(tmp_path, str(clip), seconds_a_batch=0.5) as running:
        running.wait_for(lambda: running.is_writing)
        time.sleep(1)
        running.send(number)
        code, _, errors = running.end(60)
    assert code == 130 and "Traceback" not in errors, errors
    numbers = assert_whole(running)
    assert numbers == list(range(len(numbers))) and len(numbers) < 300


def send_drops(request) -> None:
    """A picture of which a byte comes now and then."""
    request.send_response(200)
    request.end_headers()
    with contextlib.suppress(OSError):
        while True:
            request.wfile.write(b"x")
            time.sleep(0.1)


def test_ctrl_c_while_a_picture_comes_by_drops(server: Server, tmp_path: Path):
    asked = []

    def answer(request):
        asked.append(request)
        send_drops(request)

    server.answers["/a.png"] = answer
    with PredictProcess(tmp_path, f"{server.url}/a.png", formats="json") as running:
        running.wait_for(lambda: asked)
        running.send(INT)
        assert running.end(15)[0] == 130


def test_a_disk_that_is_full_names_the_video(tmp_path: Path):
    clip, rng = tmp_path / "clip.avi", np.random.default_rng(0)
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 25, (320, 96))
    for _ in range(60):
        writer.write(rng.integers(0, 255, (96, 320, 3), np.uint8))
    writer.release()
    (tmp_path / "out").mkdir()
    mount = f"mount -t tmpfs -o size=128k tmpfs {tmp_path / 'out'}".split()
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        with PredictProcess(tmp_path, str(clip), formats="video") as running:
            code, _, errors = running.end(60)
        left = [path for path in running.out.rglob("*") if path.is_file()]
    finally:
        subprocess.run(["umount", str(tmp_path / "out")], check=True)
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert code == 2 and line.endswith("free some space and give the command again"), errors
    assert "out/videos/clip.mp4: the disk is full" in line
    assert not [path for path in left if path.suffix == ".mp4"]
