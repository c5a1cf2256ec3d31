"""Detections of pictures that are no records, with a model that finds what is red."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.inference.predict import PredictionWriter, detect_pictures
from mobilenetdet.inference.sources import Picture
from mobilenetdet.kitti.labels import KittiObjects, read_objects

BOX = np.array([40.0, 20.0, 80.0, 50.0])


class RedFinder:
    """Stands in for a detection model: the box around all red pixels is a Car of score 0.9."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []

    def predict_on_batch(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Detects in uint8 [B, H, W, 3]; boxes are in pixels of these images."""
        self.batches.append(images.shape)
        boxes = np.zeros((len(images), 1, 4), np.float32)
        for row, image in zip(boxes, images, strict=True):
            y, x = np.nonzero((image[..., 0] > 180) & (image[..., 1] < 80))
            if len(x):
                row[0] = x.min(), y.min(), x.max() + 1, y.max() + 1
        found = boxes[..., 2] > 0
        return {
            "boxes": boxes,
            "scores": np.where(found, 0.9, 0.0).astype(np.float32),
            "classes": np.where(found, 0, -1).astype(np.int32),
        }


def picture(name: str, size: tuple[int, int], box: np.ndarray | None) -> Picture:
    """A grey picture of (height, width) with a red box."""
    image = np.full((*size, 3), 120, np.uint8)
    if box is not None:
        left, top, right, bottom = box.astype(int)
        image[top:bottom, left:right] = (255, 0, 0)
    return Picture(name, Path(f"{name}.png"), image)


def detection(score: float) -> KittiObjects:
    return KittiObjects.from_detections(["Car"], BOX[None], [score])


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_boxes_are_in_pixels_of_the_picture(small_config: DetectionConfig, batch_size: int):
    config = replace(small_config, eval=replace(small_config.eval, batch_size=batch_size))
    given = [
        picture("wide", (64, 400), BOX),
        picture("tall", (300, 100), BOX),
        picture("empty", (64, 192), None),
        picture("large", (640, 1920), BOX * 10),
    ]
    model = RedFinder()
    found = list(detect_pictures(model, config, given))
    assert [each.name for each, _ in found] == ["wide", "tall", "empty", "large"]
    for each, objects in found:
        if each.name == "empty":
            assert len(objects) == 0
            continue
        expected = BOX * (10 if each.name == "large" else 1)
        assert list(objects.types) == ["Car"]
        # One pixel of the network is so many of the picture.
        pixel = max(each.image.shape[0] / 64, each.image.shape[1] / 192)
        np.testing.assert_allclose(objects.boxes_xyxy[0], expected, atol=1.01 * pixel)
    # Every batch is full, so that one shape is compiled.
    assert set(model.batches) == {(batch_size, 64, 192, 3)}


def test_files_of_each_format(tmp_path: Path):
    writer = PredictionWriter(tmp_path, ["overlay", "kitti", "json"], draw_score=0.5)
    for name, score in (("sure", 0.9), ("unsure", 0.2)):
        writer.add(picture(name, (64, 192), None), detection(score))
    assert not (tmp_path / "detections.json").exists()  # not before it is whole
    writer.close()
    entries = json.loads((tmp_path / "detections.json").read_text())
    assert [entry["name"] for entry in entries] == ["sure", "unsure"]
    assert entries[0]["source"] == "sure.png"
    assert entries[1] == {
        "name": "unsure",
        "source": "unsure.png",
        "width": 192,
        "height": 64,
        "detections": [{"class": "Car", "score": 0.2, "box_xyxy": BOX.tolist()}],
    }
    # Files hold every detection, pictures those that are likely enough.
    for name, score in (("sure", 0.9), ("unsure", 0.2)):
        assert read_objects(tmp_path / f"kitti/{name}.txt").scores.tolist() == [score]
    for name, is_drawn in (("sure", True), ("unsure", False)):
        overlay = cv2.imread(str(tmp_path / f"overlays/{name}.jpg"))[:64]  # without the strip
        assert (np.ptp(overlay) > 60) == is_drawn


def test_only_what_is_asked_for_is_written(tmp_path: Path):
    writer = PredictionWriter(tmp_path / "out", ["kitti"], draw_score=0.5)
    writer.add(picture("one", (64, 192), None), detection(0.9))
    writer.close()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["kitti"]
