"""Fixtures of the protocol's tests."""

import numpy as np
import pytest

from mobilenetdet.kitti.labels import KittiObjects, parse_objects

_LABEL = "{} 0 0 -10 {} {} {} {} 1.5 1.6 3.9 0 1.5 {} -10"
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
