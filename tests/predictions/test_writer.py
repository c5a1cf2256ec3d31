"""Files of one picture each, and videos."""

import errno
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from fixtures.red_finder import red_image

from mobilenetdet.detections import Detections
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.media.sources import FrameOf, Picture
from mobilenetdet.media.video import VideoFrame, read_frames
from mobilenetdet.predictions.lists import LISTS
from mobilenetdet.predictions.writer import PredictionWriter, yolo_lines

BOX = np.array([40.0, 20.0, 80.0, 50.0])
SIZE = (64, 192)


def photo(name: str = "road") -> Picture:
    return Picture(name, Path(f"{name}.png"), red_image(SIZE, BOX))


def frame(index: int, video: str = "clip") -> Picture:
    image = red_image(SIZE, BOX)
    of = FrameOf(video, VideoFrame(image, index / 10, 10.0, index), None)
    return Picture(f"{video}_{index:06d}", Path(f"{video}.mp4"), image, of)


def found(*boxes: np.ndarray, score: float = 0.9) -> Detections:
    return Detections(np.stack(boxes), [score] * len(boxes), [0] * len(boxes), ("Car", "Van"))


def test_a_line_of_yolo():
    assert yolo_lines(photo(), found(BOX)) == ["0 0.3125 0.546875 0.208333 0.46875 0.9\n"]


def test_yolo_has_its_classes_beside_it(tmp_path: Path):
    with PredictionWriter(OutputFolder(tmp_path), ["yolo"], draw_score=0.5) as writer:
        writer.add(photo("classes"), found(BOX))
        writer.add(photo("empty"), Detections.empty(("Car", "Van")))
    assert (tmp_path / "yolo_classes.txt").read_text() == "Car\nVan\n"
    assert (tmp_path / "yolo/classes.txt").read_text().startswith("0 0.3125")
    assert (tmp_path / "yolo/empty.txt").read_text() == ""


def test_crops_are_what_is_in_the_boxes(tmp_path: Path):
    over_the_edge = np.array([-5.0, -5.0, 10.2, 10.0])
    outside = np.array([192.0, 64.0, 200.0, 70.0])
    with PredictionWriter(OutputFolder(tmp_path), ["crops"], draw_score=0.5) as writer:
        writer.add(photo(), found(BOX, over_the_edge, outside))
        writer.add(photo("unsure"), found(BOX, score=0.2))
    crops = {path.name: cv2.imread(str(path)) for path in (tmp_path / "crops/Car").iterdir()}
    assert set(crops) == {"road_0.jpg", "road_1.jpg"}
    assert crops["road_0.jpg"].shape == (30, 40, 3) and crops["road_0.jpg"][..., 2].mean() > 240
    assert crops["road_1.jpg"].shape == (10, 11, 3)


def test_frames_and_photos_may_have_formats_of_their_own(tmp_path: Path):
    folder = OutputFolder(tmp_path)
    with PredictionWriter(folder, ["overlay"], draw_score=0.5, frame_formats=["video"]) as writer:
        writer.add(photo(), found(BOX))
        for index in range(3):
            writer.add(frame(index), found(BOX))
        assert not (tmp_path / "videos").exists()
        writer.add(frame(0, "other"), found(BOX))
        assert (tmp_path / "videos/clip.mp4").exists()  # it is whole: another has begun
    assert [path.name for path in (tmp_path / "overlays").iterdir()] == ["road.jpg"]
    frames = list(read_frames(tmp_path / "videos/clip.mp4"))
    assert len(frames) == 3 and frames[0].image.shape == (*SIZE, 3)
    assert len(list(read_frames(tmp_path / "videos/other.mp4"))) == 1
    assert writer.videos.count == 2
    # What it draws differs from the frame.
    assert np.abs(frames[0].image.astype(int) - red_image(SIZE, BOX)).max() > 100


def test_a_video_that_was_interrupted_is_whole(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        with PredictionWriter(OutputFolder(tmp_path), ["video"], draw_score=0.5) as writer:
            for index in range(4):
                writer.add(frame(index), found(BOX))
            raise KeyboardInterrupt
    assert len(list(read_frames(tmp_path / "videos/clip.mp4"))) == 4
    assert not list(tmp_path.glob(".new*"))


@pytest.mark.parametrize("broken", ["json", "csv"])
def test_a_list_that_cannot_be_written_keeps_no_other_from_being_whole(
    tmp_path: Path, monkeypatch, broken: str
):
    with pytest.raises(OSError, match="No space left"):
        formats = ["json", "csv", "video"]
        with PredictionWriter(OutputFolder(tmp_path), formats, draw_score=0.5) as writer:
            for index in range(3):
                writer.add(frame(index), found(BOX))
            error = OSError(errno.ENOSPC, "No space left on device")
            monkeypatch.setattr(LISTS[broken], "_write", lambda *_, **__: raise_(error))
    if broken == "json":
        assert (tmp_path / "detections.csv").read_text().count("clip_") == 3
    else:
        assert len(json.loads((tmp_path / "detections.json").read_text())) == 3
    assert len(list(read_frames(tmp_path / "videos/clip.mp4"))) == 3


def raise_(error: Exception) -> None:
    raise error


def test_a_video_of_another_is_not_written_over(tmp_path: Path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/clip.mp4").write_text("mine")
    with PredictionWriter(OutputFolder(tmp_path), ["video"], draw_score=0.5) as writer:
        with pytest.raises(FileExistsError, match=r"clip\.mp4 is there.*--overwrite"):
            writer.add(frame(0), found(BOX))
    assert (tmp_path / "videos/clip.mp4").read_text() == "mine"
    for _ in range(2):  # the second run replaces what the first has written
        with PredictionWriter(OutputFolder(tmp_path), ["video"], draw_score=0.5) as writer:
            writer.add(frame(0, "own"), found(BOX))
