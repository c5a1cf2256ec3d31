"""Fixtures of the tests of plots, reports and overlays."""

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
