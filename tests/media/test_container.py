"""Which videos are whole: by what their files say, against frames that were counted."""

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mobilenetdet.media.container import VideoFacts, video_facts
from mobilenetdet.media.video import read_frames

av = pytest.importorskip("av")
EVEN = [index / 10 for index in range(30)]
# A screen that was recorded: a frame where something changes.
UNEVEN = [0, 0.01, 0.02, 0.03, 0.5, 2, 2.01, 4, 7]
RATE = 8_000


def write_video(path: Path, codec: str, times=EVEN, sound_s: float = 0.0, **options) -> Path:
    """Writes noise of 64x32 pixels with frames at these times, and silence of so many seconds."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=options) as file:
        video = file.add_stream(codec, rate=10)
        video.width, video.height = 64, 32
        video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        sound = file.add_stream("aac", rate=RATE, layout="mono") if sound_s else None
        for time_s in times:
            image = rng.integers(0, 255, (32, 64, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(1000 * time_s), Fraction(1, 1000)
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
        for start in range(0, int(RATE * sound_s), 1024):
            silence = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            silence.rate, silence.pts = RATE, start
            file.mux(sound.encode(silence))
        if sound:
            file.mux(sound.encode(None))
    return path


def trimmed(path: Path, left_out: float) -> Path:
    """Lets the edit list leave out the first seconds, as cutting without encoding does."""
    content = bytearray(path.read_bytes())
    place = content.index(b"elst") + 12
    clock = content.index(b"mdhd") + 16
    (ticks,) = struct.unpack_from(">I", content, clock)
    duration, begin = struct.unpack_from(">Ii", content, place)
    struct.pack_into(">I", content, place, duration - round(1000 * left_out))
    struct.pack_into(">i", content, place + 4, begin + round(ticks * left_out))
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "codec", "times", "more"),
    [
        ("even.mp4", "libx264", EVEN, {}),
        ("even.mkv", "libx264", EVEN, {}),
        ("even.avi", "mjpeg", EVEN, {}),
        ("late.mkv", "mjpeg", [5 + time_s for time_s in EVEN], {}),
        ("uneven.mkv", "mjpeg", UNEVEN, {}),
        ("uneven.webm", "libvpx", UNEVEN, {}),
        ("uneven.avi", "mjpeg", [0, 0.1, 0.2, 1, 2, 3], {}),  # with empty chunks between
        ("uneven.mp4", "libx264", UNEVEN, {}),
        ("sound.mkv", "libx264", EVEN, {"sound_s": 9.0}),
        ("sound.mp4", "libx264", EVEN, {"sound_s": 9.0}),
        ("pieces.mp4", "libx264", UNEVEN, {"movflags": "frag_keyframe+empty_moov"}),
    ],
)
def test_whole_videos_are_no_damaged_ones(tmp_path: Path, name, codec, times, more):
    path = write_video(tmp_path / name, codec, times, **more)
    assert len(list(read_frames(path))) == len(times)
    fault, frames = video_facts(path)
    assert not fault and frames in (None, len(times))


def test_frames_that_an_edit_list_leaves_out_are_not_missed(tmp_path: Path):
    path = write_video(tmp_path / "cut.mp4", "mjpeg")
    assert video_facts(path) == VideoFacts("", 30)
    trimmed(path, 1.0)
    assert video_facts(path) == VideoFacts("", 20)
    assert len(list(read_frames(path))) == 20


@pytest.mark.parametrize(
    ("name", "codec", "more"),
    [
        ("clip.mp4", "libx264", {}),
        ("clip.mp4", "mjpeg", {"movflags": "faststart"}),
        ("clip.mp4", "mjpeg", {"movflags": "frag_keyframe+empty_moov"}),
        ("clip.mov", "mjpeg", {}),
        ("clip.avi", "mjpeg", {}),
        ("clip.mkv", "mjpeg", {}),
        ("clip.webm", "libvpx", {}),
    ],
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_videos_that_are_cut_off(tmp_path: Path, name, codec, more, share):
    path = write_video(tmp_path / name, codec, **more)
    whole = path.stat().st_size if path.suffix != ".avi" else 63_000  # its index follows
    path.write_bytes(path.read_bytes()[: int(share * whole)])
    assert video_facts(path).fault.startswith("it is cut off after")
    with pytest.raises(ValueError, match=r"decoded: it is cut off after .* copy it again"):
        list(read_frames(path))


@pytest.mark.parametrize("count", range(1, 40))
def test_no_beginning_of_a_file_is_too_short(tmp_path: Path, count: int):
    for name, codec in (("a.mp4", "mjpeg"), ("a.avi", "mjpeg"), ("a.mkv", "mjpeg")):
        path = write_video(tmp_path / name, codec, EVEN[:2])
        path.write_bytes(path.read_bytes()[:count])
        assert isinstance(video_facts(path), VideoFacts)


def test_a_recording_that_was_not_ended(tmp_path: Path):
    path = tmp_path / "camera.mp4"
    path.write_bytes(b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\0mdat" + bytes(1000))
    with pytest.raises(ValueError, match=r"no index \(moov\)"):
        list(read_frames(path))
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="it is empty; copy it again"):
        list(read_frames(path))


def test_a_damaged_middle_is_noticed(tmp_path: Path):
    path = write_video(tmp_path / "clip.mp4", "mjpeg")
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="of 30 frames could be decoded; the video is damaged"):
        list(read_frames(path))


@pytest.mark.parametrize(
    "name", ["12:30.mp4", "pipe:0.mp4", "concat:a.mp4", "file:b.mp4", "%03d.mp4"]
)
def test_names_that_ffmpeg_would_take_for_something_else(tmp_path: Path, monkeypatch, name: str):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "plain.mp4", "mjpeg").rename(tmp_path / name)
    assert len(list(read_frames(Path(name)))) == 30
