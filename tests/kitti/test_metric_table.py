import numpy as np
import pytest

from mobilenetdet.kitti.ap_result import AveragePrecision
from mobilenetdet.kitti.average_precision import evaluate_detections
from mobilenetdet.kitti.labels import KittiObjects, parse_objects
from mobilenetdet.kitti.metric_table import flat_metrics, format_metrics


def test_class_detected_nowhere_counts_zero_in_the_mean():
    level = {"R11": 60.0, "R40": 90.0}
    metrics = {
        "protocol": "current",
        "frames": 3,
        "Car": {"easy": level, "moderate": level, "hard": level},
        "Pedestrian": None,
        "Cyclist": None,
    }
    ap = AveragePrecision.from_dict(metrics)
    flat = flat_metrics(ap)
    assert flat["Car/moderate/R40"] == 90.0
    assert flat["Pedestrian/easy/R11"] == 0.0
    assert flat["mean/moderate/R40"] == pytest.approx(30.0)
    table = format_metrics(ap)
    assert "3 frames" in table and table.count("(detected nowhere)") == 2


def test_a_class_without_objects_says_so():
    labels = [parse_objects("Car 0 0 0 10 10 100 90 1 1 1 1 1 1 0", "labels")]
    found = [KittiObjects.from_detections(["Car", "Cyclist"], [[10, 10, 100, 90]] * 2, [0.9, 0.8])]
    car, pedestrian, cyclist, _, last = format_metrics(
        evaluate_detections(labels, found)
    ).splitlines()[2:]
    assert "no object" not in car
    assert pedestrian.endswith("(detected nowhere)")
    assert cyclist.endswith("(no object in these frames)")
    assert "R40 is at most" in last


def test_figures_of_few_objects_say_what_they_can_reach():
    def level(count: int) -> dict[str, float]:
        return {"R11": 9.0, "R40": 5.0, "num_objects": count}

    metrics = {
        "protocol": "current",
        "frames": 3,
        "Car": {"easy": level(7), "moderate": level(40), "hard": level(41)},
        "Pedestrian": {"easy": level(0), "moderate": level(50), "hard": level(50)},
        "Cyclist": None,
    }
    last = format_metrics(AveragePrecision.from_dict(metrics)).splitlines()[-1]
    assert last.endswith("R40 is at most: Car easy 15, moderate 97.5; Pedestrian easy 0")
    for name in ("Car", "Pedestrian"):
        metrics[name] = {"easy": level(41), "moderate": level(42), "hard": level(43)}
    assert "at most" not in format_metrics(AveragePrecision.from_dict(metrics))


def test_what_perfect_detections_of_few_objects_reach():
    labels = [
        parse_objects(
            "Car 0 0 0 10 10 100 90 1 1 1 1 1 1 0\nCar 0 0 0 200 10 300 90 1 1 1 1 1 1 0",
            "labels",
        )
    ] * 4
    detections = [
        KittiObjects.from_detections(o.types, o.boxes_xyxy, np.linspace(0.1, 0.9, 2))
        for o in labels
    ]
    ap = evaluate_detections(labels, detections)
    found = ap["Car"].easy
    assert found.num_objects == 8 and found.r40 == pytest.approx(17.5)
    assert "R40 is at most: Car easy 17.5" in format_metrics(ap)
