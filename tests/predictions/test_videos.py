"""Videos with the detections drawn in, as files: whole, in their place, and nobody else's."""

import signal
from pathlib import Path

import numpy as np
import pytest

from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.media.sources import FrameOf
from mobilenetdet.media.video import VideoFrame, read_frames
from mobilenetdet.media.video_writer import has_pyav, keeps_parts
from mobilenetdet.predictions.videos import VideoFiles

needs_parts = pytest.mark.skipif(
    not keeps_parts(), reason="PyAV is of the extra [video], with FFmpeg 7.1 or later"
)
IMAGE = np.full((32, 64, 3), 120, np.uint8)


def frame_of(index: int, video: str = "clip") -> FrameOf:
    return FrameOf(video, VideoFrame(IMAGE, index / 10, 10.0, index), None)


def add(videos: VideoFiles, video: str, count: int) -> None:
    for index in range(count):
        videos.add(frame_of(index, video), IMAGE)


def test_a_video_is_there_once_the_next_begins(tmp_path: Path):
    videos = VideoFiles(OutputFolder(tmp_path))
    add(videos, "one", 3)
    assert not (tmp_path / "videos").exists() and videos.count == 0
    add(videos, "two", 1)
    assert [path.name for path in (tmp_path / "videos").iterdir()] == ["one.mp4"]
    videos.close()
    counts = [len(list(read_frames(tmp_path / f"videos/{name}.mp4"))) for name in ("one", "two")]
    assert counts == [3, 1] and videos.count == 2
    assert not list(tmp_path.glob(".new*"))


def test_closing_twice_or_without_a_frame_does_nothing(tmp_path: Path):
    videos = VideoFiles(OutputFolder(tmp_path))
    videos.close()
    assert list(tmp_path.iterdir()) == []
    add(videos, "one", 1)
    videos.close()
    videos.close()
    assert videos.count == 1


def test_after_a_file_of_another_the_rest_goes_on(tmp_path: Path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/clip.mp4").write_text("mine")
    videos = VideoFiles(OutputFolder(tmp_path))
    with pytest.raises(FileExistsError, match="clip.mp4"):
        videos.add(frame_of(0), IMAGE)
    add(videos, "other", 2)
    videos.close()
    assert (tmp_path / "videos/clip.mp4").read_text() == "mine"
    assert len(list(read_frames(tmp_path / "videos/other.mp4"))) == 2
    assert not list(tmp_path.glob(".new*"))


@pytest.fixture
def small_files():
    """Lets no file grow beyond 400,000 bytes; Python has that signal ignored."""
    resource = pytest.importorskip("resource", reason="Windows has no such limits")
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, usual[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def add_until_full(videos: VideoFiles) -> tuple[int, OSError]:
    """Adds frames of noise until the system takes no more; returns how many, and what it said."""
    rng = np.random.default_rng(0)
    with pytest.raises(OSError, match=r"File too large: .*") as raised:
        for index in range(400):
            videos.add(frame_of(index), rng.integers(0, 255, (64, 128, 3)).astype(np.uint8))
    return index, raised.value


@needs_parts
def test_what_was_written_until_the_disk_was_full_is_kept(tmp_path: Path, small_files):
    videos = VideoFiles(OutputFolder(tmp_path))
    index, error = add_until_full(videos)
    failed = error.filename
    kept, whole = tmp_path / "videos/clip.incomplete.mp4", tmp_path / "videos/clip.mp4"
    assert failed == f"{kept} ends shortly before frame {index} of {whole}"
    videos.close()
    # A second of 10 frames a second, and those that x264 looks ahead.
    frames = list(read_frames(kept))
    assert index - 70 < len(frames) <= index and len(frames) > 10
    assert [path.name for path in (tmp_path / "videos").iterdir()] == [kept.name]
    assert not list(tmp_path.glob(".new*")) and videos.count == 0


@needs_parts
@pytest.mark.parametrize("content", [None, b"mine"])
def test_the_part_goes_when_the_video_is_whole_unless_it_is_of_another(
    tmp_path: Path, small_files, content
):
    add_until_full(VideoFiles(OutputFolder(tmp_path)))
    kept, whole = tmp_path / "videos/clip.incomplete.mp4", tmp_path / "videos/clip.mp4"
    if content:
        kept.write_bytes(content)
    videos = VideoFiles(OutputFolder(tmp_path))
    add(videos, "clip", 3)
    videos.close()
    assert len(list(read_frames(whole))) == 3
    assert kept.read_bytes() == content if content else not kept.exists()


def test_a_video_that_is_called_as_a_part_stays(tmp_path: Path):
    videos = VideoFiles(OutputFolder(tmp_path))
    add(videos, "clip.incomplete", 2)
    add(videos, "clip", 3)
    videos.close()
    assert len(list(read_frames(tmp_path / "videos/clip.incomplete.mp4"))) == 2
    assert videos.count == 2


@needs_parts
def test_where_a_file_of_another_is_in_the_way_of_the_part_that_is_said(
    tmp_path: Path, small_files
):
    kept, whole = tmp_path / "videos/clip.incomplete.mp4", tmp_path / "videos/clip.mp4"
    kept.parent.mkdir()
    kept.write_bytes(b"mine")
    index, error = add_until_full(VideoFiles(OutputFolder(tmp_path)))
    assert error.filename == f"{kept} is another's, so no part is kept; frame {index} of {whole}"
    assert kept.read_bytes() == b"mine" and not whole.exists()


@pytest.mark.skipif(not has_pyav(), reason="PyAV is of the extra [video]")
def test_of_a_video_that_has_hardly_begun_nothing_is_kept(tmp_path: Path, small_files):
    videos, rng = VideoFiles(OutputFolder(tmp_path)), np.random.default_rng(0)
    with pytest.raises(OSError, match="too large") as raised:
        for index in range(60):
            videos.add(frame_of(index), rng.integers(0, 255, (960, 960, 3)).astype(np.uint8))
    assert raised.value.filename == f"frame {index} of {tmp_path / 'videos/clip.mp4'}"
    videos.close()
    assert not (tmp_path / "videos").exists() and not list(tmp_path.glob(".new*"))
