import numpy as np
import pytest

from mobilenetdet.analysis.error_types import ERROR_KINDS, error_costs, find_errors
from mobilenetdet.config.classes import EVALUATED_CLASSES
from mobilenetdet.kitti.average_precision import evaluate_detections
from mobilenetdet.kitti.labels import KittiObjects, parse_objects

LABEL = "{} 0 {} -10 {} {} {} {} -1 -1 -1 -1000 -1000 -1000 -10"


def labels_of(*rows) -> KittiObjects:
    """Rows of (type, occluded, left, top, right, bottom)."""
    return parse_objects("\n".join(LABEL.format(*row) for row in rows), "labels")


def detections_of(*rows) -> KittiObjects:
    """Rows of (type, left, top, right, bottom, score)."""
    return KittiObjects.from_detections(
        [row[0] for row in rows], [row[1:5] for row in rows], [row[5] for row in rows]
    )


LABELS = labels_of(
    ("Car", 0, 0, 100, 100, 150),
    ("Car", 0, 200, 100, 300, 150),
    ("Car", 0, 400, 100, 500, 150),
    ("Car", 3, 900, 100, 1000, 150),  # too hard to count
    ("Pedestrian", 0, 600, 100, 640, 200),
    ("Van", 0, 700, 100, 800, 150),
    ("DontCare", -1, 1100, 100, 1200, 150),
)
DETECTIONS = [  # with what becomes of each
    (("Car", 0, 100, 100, 150, 0.9), "correct"),
    (("Car", 0, 102, 100, 150, 0.8), "repeated"),
    (("Car", 230, 100, 330, 150, 0.7), "localisation"),
    (("Car", 240, 100, 340, 150, 0.6), "localisation"),  # of the same object
    (("Car", 600, 100, 640, 200, 0.5), "classification"),
    (("Car", 1010, 200, 1050, 240, 0.4), "background"),
    (("Car", 900, 100, 1000, 150, 0.4), ""),  # absorbed by the object that is too hard
    (("Car", 700, 100, 800, 150, 0.4), ""),  # absorbed by the Van
    (("Car", 1100, 100, 1190, 150, 0.4), ""),  # in DontCare
    (("Car", 900, 300, 920, 320, 0.4), ""),  # too small to count
    (("Car", 400, 100, 500, 150, 0.05), ""),  # below the threshold
]


def errors_of(labels, rows, threshold=0.1):
    detections = detections_of(*rows)
    thresholds = dict.fromkeys(EVALUATED_CLASSES, threshold)
    return find_errors([labels], [detections], difficulty="hard", score_thresholds=thresholds)


def test_every_kind_is_told_apart():
    rows = [row for row, _ in DETECTIONS]
    found = errors_of(LABELS, rows)
    cars = found["Car"]
    assert cars.detection_kinds.tolist() == [kind for _, kind in DETECTIONS]
    assert cars.detection_gts.tolist() == [0, 0, 1, 1, 4, -1, -1, -1, -1, -1, -1]
    assert np.flatnonzero(cars.missed).tolist() == [1, 2]
    assert cars.counts() == {
        "correct": 1,
        "localisation": 2,
        "classification": 1,
        "background": 1,
        "repeated": 1,
        "missed": 2,
    }
    assert found["Pedestrian"].counts()["missed"] == 1
    assert set(found["Cyclist"].counts().values()) == {0}


def test_frames_do_not_mix():
    rows = [row for row, _ in DETECTIONS]
    empty = KittiObjects.empty(with_scores=True)
    apart = find_errors(
        [LABELS, KittiObjects.empty()],
        [empty, detections_of(*rows)],
        difficulty="hard",
        score_thresholds=dict.fromkeys(EVALUATED_CLASSES, 0.1),
    )["Car"]
    assert apart.counts()["missed"] == 3
    assert set(apart.detection_kinds) == {"background", ""}


def test_nothing_labelled_and_nothing_found():
    found = find_errors(
        [], [], difficulty="hard", score_thresholds=dict.fromkeys(EVALUATED_CLASSES, 0.1)
    )
    assert all(set(errors.counts().values()) == {0} for errors in found.values())


def make_frames(row=None, *, shift=0.0):
    """Frames with a car and a cyclist, all found, and one odd detection in every second."""
    labels, detections = [], []
    for index in range(120):
        labels.append(labels_of(("Car", 0, 10, 100, 110, 150), ("Cyclist", 0, 600, 90, 650, 190)))
        score = 0.3 + index / 200
        rows = [("Car", 10 + shift, 100, 110 + shift, 150, score)]
        rows.append(("Cyclist", 600, 90, 650, 190, score))
        if row is not None and index % 2:
            rows.append((*row, 0.95))
        detections.append(detections_of(*rows))
    return labels, detections


@pytest.mark.parametrize(
    ("row", "shift", "kind", "class_name"),
    [
        (None, 40, "localisation", "Car"),
        (("Car", 300, 100, 400, 150), 0, "background", "Car"),
        (("Car", 12, 100, 112, 150), 0, "repeated", "Car"),
        (("Car", 600, 90, 660, 190), 0, "classification", "Car"),
    ],
)
def test_a_kind_costs_what_its_repair_gains(row, shift, kind, class_name):
    labels, detections = make_frames(row, shift=shift)
    before = evaluate_detections(labels, detections)[class_name].hard.r40
    costs = error_costs(labels, detections, difficulty="hard")
    assert before < 95
    assert costs[class_name][kind] == pytest.approx(100 - before)
    # Where boxes are off, their objects are missed, too.
    others = [k for k in ERROR_KINDS if k not in (kind, "missed")]
    assert all(costs[class_name][other] == 0 for other in others)
    assert all(cost == 0 for cost in costs["Pedestrian"].values())
    assert costs["Cyclist"][kind] == pytest.approx(0)


def test_of_repeated_detections_the_surest_stays():
    """Two boxes on each car, the better placed one less sure: mending must not cost anything."""
    labels, detections = make_frames(("Car", 14, 100, 114, 150))
    before = evaluate_detections(labels, detections)["Car"].hard.r40
    costs = error_costs(labels, detections, difficulty="hard")["Car"]
    assert costs["repeated"] == pytest.approx(100 - before) and costs["repeated"] > 5


def test_missed_objects_cost_what_lies_beyond_the_reached_recall():
    labels, detections = make_frames()
    detections[:60] = [frame[frame.types != "Car"] for frame in detections[:60]]
    costs = error_costs(labels, detections, difficulty="hard")["Car"]
    assert costs["missed"] == pytest.approx(50, abs=2.5)
    assert all(costs[kind] == 0 for kind in ERROR_KINDS if kind != "missed")


@pytest.mark.parametrize(
    ("num_objects", "num_found", "r40", "cost"),
    [(20, 10, 22.5, 25.0), (40, 20, 47.5, 50.0), (60, 30, 50.0, 50.0), (20, 1, 0.0, 47.5)]
    + [(50, 0, 0.0, 100.0), (20, 20, 47.5, 0.0), (1, 0, 0.0, 0.0)],
)
def test_missed_objects_cost_as_much_where_there_are_few(num_objects, num_found, r40, cost):
    """All that is detected is right, and the official R40 of n objects is at most 2.5 (n - 1)."""
    car = ("Car", 10, 100, 110, 150)
    labels = [labels_of(("Car", 0, *car[1:]))] * num_objects
    nothing = KittiObjects.empty()
    detections = [
        detections_of((*car, 0.9)) if i < num_found else nothing for i in range(num_objects)
    ]
    assert evaluate_detections(labels, detections)["Car"].hard.r40 == pytest.approx(r40)
    costs = error_costs(labels, detections, difficulty="hard")["Car"]
    assert costs["missed"] == pytest.approx(cost)


def test_a_surer_false_alarm_is_no_cost_of_missed_objects():
    """One of twenty is found, behind one false alarm: precision 1/2 of the 47.5 there can be."""
    car = ("Car", 10, 100, 110, 150)
    labels = [labels_of(("Car", 0, *car[1:]))] * 20
    found = detections_of((*car, 0.5), ("Car", 400, 100, 500, 150, 0.9))
    detections = [found, *[KittiObjects.empty()] * 19]
    assert error_costs(labels, detections, difficulty="hard")["Car"]["missed"] == 47.5 / 2


def test_a_wrong_class_is_given_to_the_object_that_misses_it():
    labels, detections = make_frames()
    detections = [
        KittiObjects.from_detections(["Car", "Pedestrian"], frame.boxes_xyxy, frame.scores)
        for frame in detections
    ]
    costs = error_costs(labels, detections, difficulty="hard")
    assert costs["Cyclist"]["classification"] == pytest.approx(100)
