import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.detections import Detections
from mobilenetdet.evaluation.evaluate import (
    Evaluation,
    evaluate_split,
    read_labels,
    to_kitti,
    write_evaluation,
)
from mobilenetdet.inference.detect import detect_split, make_detection_model
from mobilenetdet.kitti.ap_result import AveragePrecision
from mobilenetdet.kitti.labels import KittiObjects, read_objects
from mobilenetdet.models.detector import build_detector


class Oracle:
    """Stands in for a detection model: it answers with boxes in network pixels."""

    def __init__(self, answers: list[dict[str, np.ndarray]]):
        self.answers = iter(answers)

    def predict_on_batch(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return next(self.answers)


def test_labels_come_from_the_records_as_the_files_have_them(
    small_config: DetectionConfig, small_kitti: Path
):
    labels = read_labels(small_config, "val")
    assert list(labels) == [f"{index:06d}" for index in range(8, 12)]
    for frame_id, objects in labels.items():
        expected = read_objects(small_kitti / f"training/label_2/{frame_id}.txt")
        np.testing.assert_array_equal(objects.boxes_xyxy, expected.boxes_xyxy)
        assert list(objects.types) == list(expected.types)


@pytest.mark.parametrize("size", [(64, 192), (96, 192), (128, 384)])
def test_perfect_boxes_in_network_pixels_are_perfect_detections(
    small_config: DetectionConfig, size: tuple[int, int]
):
    """Ground truth, moved to the network input and back, must overlap itself entirely."""
    from mobilenetdet.data.pipeline import eval_batches

    height, width = size
    config = replace(
        small_config, data=replace(small_config.data, image_height=height, image_width=width)
    )
    answers = [
        {
            "boxes": batch["boxes"],
            "scores": np.where(batch["box_status"] == 1, 0.9, 0.0),
            "classes": np.where(batch["box_status"] == 1, batch["classes"], -1),
        }
        for batch in eval_batches(config, "val").as_numpy_iterator()
    ]
    found = detect_split(Oracle(answers), config, "val")
    for frame_id, objects in read_labels(config, "val").items():
        wanted = objects[objects.types != "DontCare"]
        np.testing.assert_allclose(found[frame_id].boxes_xyxy, wanted.boxes_xyxy, atol=1e-3)
        assert [config.data.classes[c] for c in found[frame_id].classes] == list(wanted.types)


def test_every_frame_is_detected_once_whatever_the_batch_size(small_config: DetectionConfig):
    detector, _ = build_detector(small_config)
    model = make_detection_model(detector)
    done: list[int] = []
    results = []
    for batch_size in (1, 3):
        config = replace(small_config, eval=replace(small_config.eval, batch_size=batch_size))
        results.append(detect_split(model, config, "val", done.append))
    assert list(results[0]) == list(results[1]) == [f"{index:06d}" for index in range(8, 12)]
    assert done[-1] == 4
    for frame_id in results[0]:
        scores = [np.sort(result[frame_id].scores)[-5:] for result in results]
        np.testing.assert_allclose(*scores, atol=1e-4)


def test_evaluation_is_written_whole_and_replaces_the_old_one(tmp_path: Path):
    results = {
        "000001": to_kitti(
            Detections(np.array([[1.0, 2, 3, 4]]), np.array([0.5]), np.array([1])),
            ("Car", "Pedestrian"),
        ),
        "000002": KittiObjects.empty(with_scores=True),
    }
    evaluation = Evaluation("val", AveragePrecision({}, "current", 2), {}, results)
    (tmp_path / "detections").mkdir()
    (tmp_path / "detections/999999.txt").write_text("of an older evaluation")
    write_evaluation(evaluation, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["detections", "metrics.json"]
    assert sorted(p.name for p in (tmp_path / "detections").iterdir()) == [
        "000001.txt",
        "000002.txt",
    ]
    read = read_objects(tmp_path / "detections/000001.txt")
    assert (str(read.types[0]), float(read.scores[0])) == ("Pedestrian", 0.5)
    assert json.loads((tmp_path / "metrics.json").read_text())["split"] == "val"


def test_evaluate_split_scores_what_it_found(small_config: DetectionConfig):
    detector, _ = build_detector(small_config)
    evaluation = evaluate_split(make_detection_model(detector), small_config, "val")
    assert evaluation.metrics.num_frames == 4
    assert list(evaluation.results) == list(evaluation.labels)
