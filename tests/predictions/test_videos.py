"""Videos with the detections drawn in, as files: whole, in their place, and nobody else's."""

from pathlib import Path

import numpy as np
import pytest

from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.media.sources import FrameOf
from mobilenetdet.media.video import VideoFrame, read_frames
from mobilenetdet.predictions.videos import VideoFiles

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
