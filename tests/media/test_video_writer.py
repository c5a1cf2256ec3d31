"""Videos by PyAV and by OpenCV."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mobilenetdet.media import video_writer
from mobilenetdet.media.video import read_frames
from mobilenetdet.media.video_writer import describe_writer, has_pyav, open_video

needs_pyav = pytest.mark.skipif(not has_pyav(), reason="PyAV is not installed: [video]")
SHADES = [20, 80, 140, 200]


def shade(value: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.full((*size, 3), value, np.uint8)


@pytest.mark.parametrize("pyav", [pytest.param(True, marks=needs_pyav), False])
def test_frames_size_and_rate_come_back(tmp_path: Path, monkeypatch, pyav: bool):
    monkeypatch.setattr(video_writer, "has_pyav", lambda: pyav)
    path = tmp_path / "a.mp4"
    video = open_video(path, 10.0)
    for index, value in enumerate(SHADES):
        video.add(shade(value), index / 10)
    video.close()
    frames = list(read_frames(path))
    assert [round(float(f.image.mean()) / 20) * 20 for f in frames] == SHADES
    assert frames[0].image.shape == (48, 64, 3)
    np.testing.assert_allclose([f.time_s for f in frames], [0, 0.1, 0.2, 0.3], atol=1e-3)
    assert frames[0].rate == pytest.approx(10)


@needs_pyav
def test_browsers_play_it(tmp_path: Path):
    import av

    path = tmp_path / "a.mp4"
    video = open_video(path, 30000 / 1001)
    video.add(shade(100), 0.0)
    video.close()
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    assert describe_writer().startswith("H.264 by PyAV ")


def test_without_pyav_it_is_said_what_is_missing(monkeypatch):
    monkeypatch.setattr(video_writer, "has_pyav", lambda: False)
    assert "pip install 'mobilenetdet[video]' for H.264 with sound" in describe_writer()


@needs_pyav
def test_frames_keep_their_times(tmp_path: Path):
    """As those of phones and of streams that break, which come at no rate."""
    times = [0.0, 0.1, 0.15, 2.0, 2.0, 2.5]
    video = open_video(tmp_path / "a.mp4", 25.0)
    for time_s in times:
        video.add(shade(100), time_s)
    video.close()
    found = [frame.time_s for frame in read_frames(tmp_path / "a.mp4")]
    np.testing.assert_allclose(found, times, atol=1e-3)


@needs_pyav
def test_odd_sizes_and_changes_of_size(tmp_path: Path):
    """H.264 has even sizes: the last row and column are repeated. A stream may change its size."""
    video = open_video(tmp_path / "a.mp4", 25.0)
    for index, size in enumerate([(375, 1241), (375, 1241), (480, 640)]):
        video.add(shade(100, size), index / 25)
    video.close()
    assert {frame.image.shape for frame in read_frames(tmp_path / "a.mp4")} == {(376, 1242, 3)}


def with_sound(path: Path, codec: str, seconds: float = 2.0) -> Path:
    """Writes a video of 10 frames a second with a tone."""
    import av

    with av.open(str(path), "w") as file:
        video = file.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = file.add_stream(codec, rate=44100)
        sound.layout = "mono"
        for index in range(int(seconds * 10)):
            frame = av.VideoFrame.from_ndarray(shade(100), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            file.mux(video.encode(frame))
        for index in range(int(seconds * 44100 / 1024)):
            tone = (np.sin(np.arange(1024) / 10) * 8000).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 44100, index * 1024, Fraction(1, 44100)
            file.mux(sound.encode(frame))
        file.mux(video.encode(None))
        file.mux(sound.encode(None))
    return path


@needs_pyav
@pytest.mark.parametrize(("seconds", "heard"), [(2.0, 2.0), (0.5, 0.5)])
def test_sound_is_kept_as_long_as_the_picture(tmp_path: Path, seconds: float, heard: float):
    """The second case is a video whose writing was interrupted."""
    import av

    original = with_sound(tmp_path / "a.mp4", "aac")
    video = open_video(tmp_path / "b.mp4", 10.0, original)
    for frame in read_frames(original):
        if frame.time_s < seconds - 0.01:
            video.add(frame.image, frame.time_s)
    video.close()
    assert video.note == ""
    with av.open(str(tmp_path / "b.mp4")) as file:
        assert file.streams.audio[0].codec_context.name == "aac"
        samples = sum(frame.samples for frame in file.decode(audio=0))
    assert samples / 44100 == pytest.approx(heard, abs=0.1)


@needs_pyav
@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "ac3", "flac"])
def test_sound_that_mp4_can_hold_is_copied(tmp_path: Path, codec: str):
    import av

    original = with_sound(tmp_path / "a.mkv", codec)
    video = open_video(tmp_path / "b.mp4", 10.0, original)
    for frame in read_frames(original):
        video.add(frame.image, frame.time_s)
    video.close()
    assert video.note == ""
    with av.open(str(original)) as before, av.open(str(tmp_path / "b.mp4")) as after:
        kinds = [file.streams.audio[0].codec_context.name for file in (before, after)]
    assert kinds[0] == kinds[1]


@needs_pyav
def test_sound_that_mp4_cannot_hold_is_told(tmp_path: Path):
    original = with_sound(tmp_path / "a.avi", "pcm_s16le")
    video = open_video(tmp_path / "b.mp4", 10.0, original)
    video.add(shade(100), 0.0)
    video.close()
    assert video.note == "its sound is pcm_s16le, which MP4 cannot hold"
