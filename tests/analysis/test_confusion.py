import numpy as np
import pytest

from mobilenetdet.analysis.confusion import confusion_matrix
from mobilenetdet.config.classes import EVALUATED_CLASSES
from mobilenetdet.kitti.labels import KittiObjects, parse_objects

LABEL = "{} 0 {} -10 {} {} {} {} -1 -1 -1 -1000 -1000 -1000 -10"
LABELS = parse_objects(
    "\n".join(
        LABEL.format(*row)
        for row in (
            ("Car", 0, 0, 100, 100, 150),
            ("Pedestrian", 0, 200, 100, 230, 180),
            ("Cyclist", 0, 300, 100, 350, 180),
            ("Cyclist", 2, 400, 100, 450, 180),  # too hard to count
            ("Van", 0, 500, 100, 600, 160),
            ("Car", 0, 700, 100, 740, 120),  # too small to count
            ("DontCare", -1, 800, 100, 900, 160),
        )
    ),
    "labels",
)
# Each detection with the cell of the matrix that it adds to, None for what is left out.
ROWS = [
    (("Car", 0, 100, 100, 140, 0.9), (0, 0)),
    (("Car", 0, 105, 100, 150, 0.6), (3, 0)),  # the car is taken by the surer one
    (("cyclist", 200, 100, 230, 180, 0.9), (1, 2)),
    (("Cyclist", 400, 100, 450, 180, 0.9), None),
    (("Car", 500, 100, 600, 160, 0.9), None),
    (("Pedestrian", 500, 100, 600, 160, 0.9), None),  # no class is a false alarm on the Van
    (("Car", 700, 100, 740, 120, 0.9), None),
    (("Car", 810, 100, 890, 160, 0.9), None),
    (("Pedestrian", 1000, 100, 1030, 180, 0.9), (3, 1)),
    (("Pedestrian", 1000, 100, 1010, 120, 0.9), None),  # too small to count
    (("Pedestrian", 1100, 100, 1130, 180, 0.4), None),  # below the threshold
    (("Tram", 1100, 100, 1200, 180, 0.9), None),
]


def matrix_of(labels, rows, threshold=0.5):
    detections = KittiObjects.from_detections(
        [row[0] for row in rows], [row[1:5] for row in rows], [row[5] for row in rows]
    )
    thresholds = dict.fromkeys(EVALUATED_CLASSES, threshold)
    return confusion_matrix(
        [labels], [detections], difficulty="moderate", score_thresholds=thresholds
    )


def test_every_cell():
    expected = np.zeros((4, 4), int)
    for _, cell in ROWS:
        if cell is not None:
            expected[cell] += 1
    expected[2, 3] += 1  # the visible cyclist is missed
    assert matrix_of(LABELS, [row for row, _ in ROWS]).tolist() == expected.tolist()


@pytest.mark.parametrize("order", [1, -1])
def test_surer_detection_takes_the_object_whatever_its_class(order):
    rows = [("Car", 0, 100, 100, 150, 0.6), ("Cyclist", 0, 104, 100, 150, 0.8)][::order]
    found = matrix_of(LABELS[:1], rows)
    assert found[0].tolist() == [0, 0, 1, 0] and found[3].tolist() == [1, 0, 0, 0]


def test_frames_do_not_mix():
    found = confusion_matrix(
        [LABELS[:1], KittiObjects.empty()],
        [
            KittiObjects.empty(with_scores=True),
            KittiObjects.from_detections(["Car"], [[0, 100, 100, 150]], [0.9]),
        ],
        difficulty="moderate",
        score_thresholds=dict.fromkeys(EVALUATED_CLASSES, 0.5),
    )
    assert found[0].tolist() == [0, 0, 0, 1] and found[3].tolist() == [1, 0, 0, 0]


def test_nothing_at_all():
    found = confusion_matrix(
        [], [], difficulty="moderate", score_thresholds=dict.fromkeys(EVALUATED_CLASSES, 0.5)
    )
    assert found.tolist() == np.zeros((4, 4)).tolist()
