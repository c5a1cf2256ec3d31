"""Frames with known errors."""

import numpy as np
import pytest

from mobilenetdet.kitti.labels import KittiObjects, parse_objects

_LABEL = "{} 0 0 -10 {} {} {} {} 1.5 1.6 3.9 0 1.5 {} -10"


@pytest.fixture
def two_frames() -> tuple[list[KittiObjects], list[KittiObjects]]:
    """A frame with a hit, a miss and a false alarm, and one where all is right.

    Cyclists are detected nowhere; the false alarm scores high enough to count.
    """
    labels = [
        parse_objects(
            _LABEL.format("Car", 20, 10, 80, 50, 10)
            + "\n"
            + _LABEL.format("Pedestrian", 150, 10, 170, 60, 12),
            "a",
        ),
        parse_objects(_LABEL.format("Car", 20, 10, 80, 50, 30), "b"),
    ]
    detections = [
        KittiObjects.from_detections(
            ["Car", "Pedestrian"], [[20, 10, 80, 50], [100, 10, 120, 60]], [0.8, 0.9]
        ),
        KittiObjects.from_detections(["Car"], np.array([[20, 10, 80, 50]]), [0.7]),
    ]
    return labels, detections


# Type, box, distance in metres.
_OBJECTS = (
    ("Car", (100, 100, 300, 200), 8),
    ("Car", (400, 100, 460, 130), 40),
    ("Pedestrian", (600, 100, 640, 190), 15),
)


@pytest.fixture
def flawed_frames() -> tuple[list[KittiObjects], list[KittiObjects]]:
    """Eighty frames with two cars and a pedestrian.

    The near car is always found, the far one in every second frame. The pedestrian is found, and
    in frames 10 to 19 a false one beside it, as sure as the surest. Cyclists are detected nowhere.
    """
    labels, detections = [], []
    text = "\n".join(_LABEL.format(name, *box, z) for name, box, z in _OBJECTS)
    for index in range(80):
        labels.append(parse_objects(text, "labels"))
        found = [_OBJECTS[0], _OBJECTS[2], *([_OBJECTS[1]] if index % 2 else [])]
        types, boxes = [row[0] for row in found], [row[1] for row in found]
        scores = np.full(len(found), 0.5 + index / 200)
        if 10 <= index < 20:
            types, boxes = [*types, "Pedestrian"], [*boxes, (900, 100, 940, 190)]
            scores = np.append(scores, 0.95)
        detections.append(KittiObjects.from_detections(types, boxes, scores))
    return labels, detections
