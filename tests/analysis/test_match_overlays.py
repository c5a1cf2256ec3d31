import numpy as np

from mobilenetdet.analysis.analyse import analyse
from mobilenetdet.analysis.match_overlays import combined_outcomes, draw_worst_frames
from mobilenetdet.drawing import PALETTE
from mobilenetdet.kitti.labels import KittiObjects, parse_objects


def test_outcomes_of_all_classes_together():
    labels = parse_objects(
        "Car 0 0 0 0 0 100 50 1.5 1.6 4 0 1.6 10 0\n"
        "Pedestrian 0 0 0 200 0 220 50 1.8 .5 .5 0 1.6 10 0\n"
        "Van 0 0 0 300 0 400 50 2 2 5 0 1.6 10 0\n",
        "labels",
    )
    results = KittiObjects.from_detections(
        np.array(["Car", "Car", "Car", "Cyclist"]),
        np.array([[0, 0, 100, 50], [500, 0, 600, 50], [300, 0, 400, 50], [200, 0, 220, 50.0]]),
        np.full(4, 0.9),
    )
    label_outcomes, result_outcomes = combined_outcomes(labels, results)
    assert list(label_outcomes) == ["hit", "miss", "ignored"]
    assert list(result_outcomes) == ["hit", "false_alarm", "ignored", "false_alarm"]


def test_outcomes_go_by_the_rules_asked_for():
    """A false alarm lower than 25 pixels counted before 2017, and no longer does."""
    small = KittiObjects.from_detections(["Car"], [[10, 10, 40, 30]], [0.9])
    for protocol, outcome in (("current", "ignored"), ("pre2017", "false_alarm")):
        _, found = combined_outcomes(KittiObjects.empty(), small, protocol=protocol)
        assert list(found) == [outcome]


def test_frame_without_anything():
    outcomes = combined_outcomes(KittiObjects.empty(), KittiObjects.empty(with_scores=True))
    assert [len(o) for o in outcomes] == [0, 0]


def test_worst_frames_are_drawn_first_with_the_detections_that_count(two_frames):
    labels, detections = two_frames
    weak = KittiObjects.from_detections(["Car", "Tram"], [[5, 5, 15, 60], [1, 1, 9, 9]], [0.01, 1])
    asked = []

    def read_frame(frame_id):
        asked.append(frame_id)
        return np.zeros((70, 200, 3), np.uint8)

    drawn = list(
        draw_worst_frames(
            analyse(labels, detections),
            ["000004", "000009"],
            read_frame,
            labels,
            [_join(detections[0], weak), detections[1]],
            count=5,
        )
    )
    assert asked == ["000004"]  # the other frame has no error
    ((caption, overlay),) = drawn
    assert caption == "000004: 2 errors at difficulty moderate"
    assert overlay.shape[0] > 70
    pixels = overlay[:70].reshape(-1, 3)
    for outcome in ("hit", "miss", "false_alarm"):
        assert (pixels == PALETTE[outcome]).all(1).any()
    assert not (overlay[5:60, 5] == PALETTE["false_alarm"]).all(1).any()  # the weak one


def _join(first: KittiObjects, second: KittiObjects) -> KittiObjects:
    return KittiObjects.from_detections(
        [*first.types, *second.types],
        np.vstack([first.boxes_xyxy, second.boxes_xyxy]),
        [*first.scores, *second.scores],
    )
