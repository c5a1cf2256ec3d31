from pathlib import Path

import cv2
import numpy as np
import pytest

from mobilenetdet.analysis.overlays import (
    spread_frames,
    tensorboard_overlays,
    write_overlays,
)
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.evaluation.evaluate import Evaluation, read_labels
from mobilenetdet.kitti.ap_result import AveragePrecision
from mobilenetdet.kitti.labels import KittiObjects


@pytest.fixture()
def evaluation(small_config: DetectionConfig) -> Evaluation:
    """Perfect detections of the validation frames."""
    labels = read_labels(small_config, "val")
    results = {}
    for frame_id, objects in labels.items():
        real = objects[objects.types != "DontCare"]
        results[frame_id] = KittiObjects.from_detections(
            real.types, real.boxes_xyxy, np.full(len(real), 0.8)
        )
    return Evaluation("val", AveragePrecision({}, "current", 4), labels, results)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, []), (1, ["a"]), (2, ["a", "c"]), (4, ["a", "b", "c", "d"]), (9, ["a", "b", "c", "d"])],
)
def test_spread_frames(count: int, expected: list[str]):
    assert spread_frames(list("abcd"), count) == expected


def test_overlays_and_montage(evaluation, small_config: DetectionConfig, tmp_path: Path):
    folder = tmp_path / "overlays"
    folder.mkdir()
    (folder / "old.jpg").write_text("of an older evaluation")
    path = write_overlays(evaluation, small_config, folder)
    names = sorted(p.name for p in folder.iterdir())
    assert names == ["000008.jpg", "000010.jpg", "montage.jpg"]
    assert [p.name for p in tmp_path.iterdir()] == ["overlays"]
    assert cv2.imread(str(path)).shape[1] > 1000
    overlay = cv2.imread(str(folder / "000008.jpg"))
    assert overlay.shape[1] == 192 and overlay.shape[0] > 64


def test_unknown_frame_is_named(evaluation, small_config: DetectionConfig, tmp_path: Path):
    with pytest.raises(ValueError, match="000000"):
        write_overlays(evaluation, small_config, tmp_path / "o", frame_ids=["000008", "000000"])


def test_tensorboard_pictures_have_one_size(evaluation, small_config: DetectionConfig):
    pictures = tensorboard_overlays(evaluation, small_config)
    assert pictures.shape == (4, 64, 192, 3)
    assert pictures.dtype == np.uint8
