import numpy as np
import pytest

from mobilenetdet.analysis.breakdown import PROPERTIES, ap_by
from mobilenetdet.kitti.average_precision import evaluate_detections
from mobilenetdet.kitti.labels import KittiObjects, parse_objects

LABEL = "Car {} {} -10 {} 100 {} {} 1.5 1.6 3.9 0 1.5 {} -10"


@pytest.fixture
def frames():
    """Eighty frames with a small and far, a large and near car; the far one is hidden or cut."""
    labels, detections = [], []
    for index in range(80):
        far = LABEL.format(0.2, 1, 100, 160, 130, 40)  # 60x30
        near = LABEL.format(0, 0, 400, 600, 200, 8)  # 200x100
        labels.append(parse_objects(f"{far}\n{near}", "labels"))
        boxes = [(100, 100, 160, 130), (400, 100, 600, 200)]
        found = boxes if index % 2 else boxes[1:]
        scores = np.linspace(0.5, 0.9, 80)[[index] * len(found)]
        detections.append(KittiObjects.from_detections(["Car"] * len(found), found, scores))
    return labels, detections


@pytest.mark.parametrize(
    ("property_name", "poor", "good"),
    [
        ("height", "25-40 px", "100-160 px"),
        ("occlusion", "partly", "visible"),
        ("truncation", "to 0.3", "whole"),
        ("distance", "30-45 m", "0-10 m"),
    ],
)
def test_parts_are_scored_apart(frames, property_name, poor, good):
    found = {p.part.name: p for p in ap_by(*frames, property_name)["Car"]}
    assert list(found) == [part.name for part in PROPERTIES[property_name]]
    assert (found[good].num_objects, found[good].recall) == (80, 1.0)
    assert found[good].r40 == pytest.approx(100)
    assert (found[poor].num_objects, found[poor].recall) == (80, 0.5)
    assert found[poor].r40 == pytest.approx(50)
    rest = [p for name, p in found.items() if name not in (good, poor)]
    assert all(p.num_objects == p.r40 == p.recall == 0 for p in rest)
    assert all(p.num_objects == 0 for p in ap_by(*frames, property_name)["Cyclist"])


def test_false_alarms_count_where_they_belong(frames):
    labels, detections = frames
    detections = [
        KittiObjects.from_detections(
            [*frame.types, "Car"],
            [*frame.boxes_xyxy, (800, 100, 1000, 200)],  # on nothing, 100 px high
            [*frame.scores, 0.95],
        )
        for frame in detections
    ]
    by_height = {p.part.name: p.r40 for p in ap_by(labels, detections, "height")["Car"]}
    assert by_height["25-40 px"] == pytest.approx(50)
    assert by_height["100-160 px"] < 60
    by_distance = {p.part.name: p.r40 for p in ap_by(labels, detections, "distance")["Car"]}
    assert by_distance["30-45 m"] < 30


def test_a_detection_of_another_height_still_hits():
    label = parse_objects(LABEL.format(0, 0, 100, 200, 159, 10), "labels")  # 59 px high
    found = KittiObjects.from_detections(["Car"], [(100, 98, 200, 159)], [0.9])  # 61 px
    parts = {p.part.name: p for p in ap_by([label] * 60, [found] * 60, "height")["Car"]}
    assert parts["40-60 px"].recall == 1.0
    assert parts["60-100 px"].num_objects == 0


def test_what_is_not_known_is_in_no_part(frames):
    labels, detections = frames
    for frame in labels:
        frame.locations_xyz[:] = -1000
        frame.occluded[:] = -1
        frame.truncated[:] = -1
    for property_name in ("distance", "occlusion", "truncation"):
        parts = ap_by(labels, detections, property_name)["Car"]
        assert all(p.num_objects == 0 for p in parts)


def test_one_part_with_everything_is_the_ap_of_all(frames):
    """Every car counts at level hard, so the heights together are the level."""
    labels, detections = frames
    near_only = [frame[1:] for frame in labels]
    hard = evaluate_detections(near_only, detections)["Car"].hard.r40
    parts = {p.part.name: p.r40 for p in ap_by(near_only, detections, "height")["Car"]}
    assert parts["100-160 px"] >= hard


def test_unknown_properties_are_refused(frames):
    with pytest.raises(ValueError, match="unknown property 'heigt'.*did you mean 'height'"):
        ap_by(*frames, "heigt")
