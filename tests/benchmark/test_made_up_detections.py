import numpy as np
import pytest

from mobilenetdet.benchmark.made_up_detections import make_detections
from mobilenetdet.kitti.labels import KittiObjects, parse_objects

LABEL = "Cyclist 0 0 -10 100 150 160 250 -1 -1 -1 -1000 -1000 -1000 -10\n"


def test_detections_lie_near_objects_and_inside_the_image():
    labels = parse_objects(LABEL, "labels")
    found = make_detections(labels, 64, np.random.default_rng(0))
    assert len(found) == 64 and found.types[0] == "Cyclist"
    np.testing.assert_allclose(found.boxes_xyxy[0], labels.boxes_xyxy[0], atol=25)
    assert (found.boxes_xyxy >= 0).all() and (found.boxes_xyxy[:, 2] <= 1242).all()
    assert (found.boxes_xyxy[:, :2] <= found.boxes_xyxy[:, 2:]).all()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_more_objects_than_detections(count):
    labels = parse_objects(LABEL * 2, "labels")
    if count == 0:
        labels = KittiObjects.empty()
    assert len(make_detections(labels, max(count, 1), np.random.default_rng(0))) == max(count, 1)


def test_boxes_near_objects_narrower_than_the_jitter_keep_their_order():
    boxes = np.tile([[100.0, 100, 102, 104]], (200, 1))
    labels = KittiObjects.from_detections(["Car"] * 200, boxes, np.ones(200))
    made_up = make_detections(labels, 200, np.random.default_rng(0)).boxes_xyxy
    assert (made_up[:, :2] <= made_up[:, 2:]).all()
