import contextlib
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobilenetdet.media.video import count_frames, frame_rate, is_video, read_frames


def write_video(path: Path, values=(0, 120, 250), *, code: str = "MJPG", rate: float = 10) -> Path:
    """Writes frames of 32x64 pixels: of one value each, or of noise where that is None."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), rate, (64, 32))
    rng = np.random.default_rng(0)
    for value in values:
        noise = rng.integers(0, 255, (32, 64, 3), np.uint8)
        writer.write(noise if value is None else np.full((32, 64, 3), value, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.mp4", True), ("A.MOV", True), ("a.mp4.png", False), ("mp4", False), (".mp4", False)],
)
def test_videos_are_known_by_their_suffix(name: str, expected: bool):
    assert is_video(Path(name)) == expected


def test_frames_have_their_place_and_time(tmp_path: Path):
    path = write_video(tmp_path / "clip.avi")
    frames = list(read_frames(path))
    assert [round(float(frame.image.mean()), -1) for frame in frames] == [0, 120, 250]
    assert [frame.index for frame in frames] == [0, 1, 2]
    np.testing.assert_allclose([frame.time_s for frame in frames], [0, 0.1, 0.2], atol=1e-6)
    assert {frame.rate for frame in frames} == {10.0}
    assert count_frames(path) == 3


class Capture:
    """What of an open video `frame_rate` asks for."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def get(self, key: int) -> float:
        assert key == cv2.CAP_PROP_FPS
        return self.rate


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (29.97, 29.97),
        (1000.0, 1000.0),
        (0.0, 25.0),  # streams
        (-1.0, 25.0),
        (90_000.0, 25.0),  # the clock of MPEG in the place of a rate
        (float("nan"), 25.0),
        (float("inf"), 25.0),
    ],
)
def test_a_rate_that_cannot_be_is_25(said: float, expected: float):
    assert frame_rate(Capture(said)) == expected


def test_large_frames_are_refused_before_one_is_decoded(tmp_path: Path):
    path = write_video(tmp_path / "clip.avi")
    with pytest.raises(ValueError, match="^camera: 64x32 pixels are more than 0.002 megapixels"):
        next(read_frames(path, 0.002, source="camera"))
    assert len(list(read_frames(path, 64 * 32 / 1e6))) == 3


def test_a_name_that_is_no_text_is_refused(tmp_path: Path):
    path = write_video(tmp_path / "clip.avi")
    try:
        odd = path.rename(os.fsdecode(os.fsencode(tmp_path) + b"/clip\xff.avi"))
    except OSError:
        pytest.skip("the file system takes UTF-8 alone")
    assert count_frames(odd) == 0
    with pytest.raises(ValueError, match="must be UTF-8 text"):
        next(read_frames(odd))


def test_of_a_damaged_video_its_decoder_says_nothing(tmp_path: Path, capfd):
    path = write_video(tmp_path / "clip.mp4", [None] * 12, code="mp4v")
    content, rng = bytearray(path.read_bytes()), np.random.default_rng(0)
    content[600:15000:7] = rng.integers(0, 255, len(content[600:15000:7]), np.uint8).tobytes()
    path.write_bytes(content)
    capfd.readouterr()
    with contextlib.suppress(ValueError):
        list(read_frames(path))
    assert capfd.readouterr() == ("", "")


def test_a_video_that_is_cut_off_gives_the_frames_that_it_has(tmp_path: Path):
    path = write_video(tmp_path / "clip.avi", [None] * 24)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    count = 0
    with pytest.raises(ValueError, match="of 24 frames could be decoded") as raised:
        for _ in read_frames(path):
            count += 1
    assert 5 <= count < 24 and f"{count} of 24" in str(raised.value)


def test_video_without_frames_is_named(tmp_path: Path):
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    assert count_frames(tmp_path / "clip.mp4") == 0
    with pytest.raises(ValueError, match="clip.mp4: no frame of this video can be decoded"):
        list(read_frames(tmp_path / "clip.mp4"))
