"""Which label becomes what in a batch."""

import numpy as np
import pytest

from mobilenetdet.boxes.box_status import DONT_CARE, IGNORED, OBJECT, PADDING
from mobilenetdet.config.detection import DataConfig
from mobilenetdet.data.targets import assign_box_status, make_targets
from mobilenetdet.kitti.labels import parse_objects

THREE = ("Car", "Pedestrian", "Cyclist")


@pytest.mark.parametrize(
    ("line", "classes", "expected"),
    [
        ("Car 0.00 0", THREE, (0, OBJECT)),
        ("Pedestrian 0.00 1", THREE, (1, OBJECT)),
        ("Cyclist 0.30 2", THREE, (2, OBJECT)),
        ("car 0.00 0", THREE, (0, OBJECT)),  # names compare case-insensitively
        ("CYCLIST 0.00 0", ("cyclist", "CAR"), (0, OBJECT)),
        ("Van 0.00 0", THREE, (0, IGNORED)),  # neighbours: neither learnt nor background
        ("VAN 0.00 0", ("Pedestrian", "car"), (1, IGNORED)),
        ("Person_sitting 0.00 0", THREE, (1, IGNORED)),
        ("Van 0.00 0", ("Pedestrian",), (-1, PADDING)),  # neighbour of nothing that is detected
        ("Van 0.00 0", ("Car", "Van"), (1, OBJECT)),  # a class of its own
        ("Car 0.00 0", ("Van",), (-1, PADDING)),  # neighbourhood runs one way
        ("Truck 0.00 0", THREE, (-1, PADDING)),  # background
        ("Tram 0.00 0", THREE, (-1, PADDING)),
        ("Misc 0.00 0", THREE, (-1, PADDING)),
        ("Truck 0.00 0", ("Truck",), (0, OBJECT)),
        ("DontCare -1 -1", THREE, (-1, DONT_CARE)),
        ("dontcare -1 -1", THREE, (-1, DONT_CARE)),
        ("Car 0.00 3", THREE, (0, IGNORED)),  # occlusion 3: not known, in practice unseen
        ("Car 0.71 0", THREE, (0, IGNORED)),
        ("Car 0.70 0", THREE, (0, OBJECT)),  # the limit itself counts
        ("Car -1 -1", THREE, (0, OBJECT)),  # unknown is not hard
        ("Van 0.90 3", THREE, (0, IGNORED)),
        ("Tram 0.90 3", THREE, (-1, PADDING)),
    ],
)
def test_roles(line, classes, expected):
    text = line + " -10 100 100 150 150 -1 -1 -1 -1000 -1000 -1000 -10"
    class_indices, box_status = assign_box_status(
        parse_objects(text, "x"), DataConfig(classes=classes)
    )
    assert (class_indices[0], box_status[0]) == expected
    assert class_indices.dtype == box_status.dtype == np.int32


def test_no_objects_have_no_roles():
    class_indices, box_status = assign_box_status(parse_objects("", "x"), DataConfig())
    assert class_indices.shape == box_status.shape == (0,)


def targets(*boxes, box_status=None, **settings):
    boxes = np.array(boxes, float).reshape(-1, 4)
    box_status = (
        np.full(len(boxes), OBJECT, np.int32)
        if box_status is None
        else np.array(box_status, np.int32)
    )
    settings = {"min_size": 3, "min_visibility": 0.4, "min_height": 12} | settings
    window = np.array([10.0, 0.0, 110.0, 50.0])
    return make_targets(
        boxes, np.zeros_like(box_status), box_status, window_xyxy=window, **settings
    )


@pytest.mark.parametrize(
    ("box", "expected"),  # expected kind and clipped box; None: dropped
    [
        ([20, 5, 60, 45], (OBJECT, [20, 5, 60, 45])),
        ([10, 0, 110, 50], (OBJECT, [10, 0, 110, 50])),  # the whole image
        ([0, 5, 30, 45], (OBJECT, [10, 5, 30, 45])),  # two thirds left
        ([-20, 5, 40, 45], (OBJECT, [10, 5, 40, 45])),  # half left
        ([-40, 5, 30, 45], (IGNORED, [10, 5, 30, 45])),  # 2/7 left
        ([20, 30, 60, 42], (OBJECT, [20, 30, 60, 42])),  # exactly the least height
        ([20, 30, 60, 41.5], (IGNORED, [20, 30, 60, 41.5])),
        ([20, 40, 60, 60], (IGNORED, [20, 40, 60, 50])),  # half left, but 10 high
        ([20, 5, 23, 45], (OBJECT, [20, 5, 23, 45])),  # exactly the least width
        ([20, 5, 22.9, 45], None),
        ([20, 5, 60, 7], None),
        ([108, 5, 200, 45], None),  # 2 wide after clipping
        ([120, 5, 200, 45], None),  # outside
        ([0, 5, 10, 45], None),  # touches from outside
        ([20, 5, 20, 45], None),  # without area
    ],
)
def test_clipping_dropping_and_ignoring(box, expected):
    result = targets(box)
    if expected is None:
        assert (len(result.box_status), result.num_dropped) == (0, 1)
        assert result.boxes_xyxy.shape == (0, 4)
        return
    kind, clipped = expected
    assert (result.box_status.tolist(), result.num_dropped) == ([kind], 0)
    np.testing.assert_allclose(result.boxes_xyxy, [clipped])
    assert result.boxes_xyxy.dtype == np.float32


def test_regions_and_neighbours_keep_their_kind_and_are_clipped():
    result = targets(
        [-50, -50, 500, 500],
        [20, 5, 60, 10],
        [100, 5, 190, 45],
        box_status=[DONT_CARE, IGNORED, DONT_CARE],
    )
    assert result.box_status.tolist() == [DONT_CARE, IGNORED, DONT_CARE]
    np.testing.assert_allclose(result.boxes_xyxy[0], [10, 0, 110, 50])
    np.testing.assert_allclose(result.boxes_xyxy[2], [100, 5, 110, 45])


def test_boxes_without_area_are_dropped_at_any_size():
    result = targets([20, 5, 20, 45], [20, 5, 21, 6], min_size=0, min_visibility=0, min_height=0)
    assert (result.box_status.tolist(), result.num_dropped) == ([OBJECT], 1)


def test_whole_objects_pass_a_visibility_of_one():
    rng = np.random.default_rng(0)
    corners = rng.uniform([10, 0], [60, 20], (200, 2))
    boxes = np.hstack([corners, corners + rng.uniform(13, 30, (200, 2))])
    assert (targets(*boxes, min_visibility=1.0).box_status == OBJECT).all()


def test_nothing_stays_nothing():
    result = targets()
    assert result.boxes_xyxy.shape == (0, 4)
    assert result.num_dropped == 0


@pytest.mark.parametrize(
    ("type_name", "expected"),
    [
        ("car", (0, OBJECT)),
        ("VAN", (0, OBJECT)),  # trained as a Car, so no longer ignored beside it
        ("Scooter", (1, OBJECT)),
        ("Moped", (1, OBJECT)),
        ("bike", (0, IGNORED)),  # beside two classes: the first of them
        ("Truck", (0, IGNORED)),
        ("Tram", (-1, PADDING)),
        ("DontCare", (-1, DONT_CARE)),
    ],
)
def test_mapped_types_are_learnt_and_own_neighbours_ignored(type_name, expected):
    config = DataConfig(
        classes=("Car", "Scooter"),
        class_map={"Van": "Car", "moped": "scooter"},
        neighbours={"Scooter": ("Bike",), "Car": ("Truck", "Bike")},
    )
    line = f"{type_name} 0.00 0 -10 100 100 150 150 -1 -1 -1 -1000 -1000 -1000 -10"
    index, status = assign_box_status(parse_objects(line, "x"), config)
    assert (index[0], status[0]) == expected
