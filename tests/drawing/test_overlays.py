"""Overlays: what they must never do, and what has to be seen in them."""

import cv2
import numpy as np
import pytest

from mobilenetdet.detections import Detections
from mobilenetdet.drawing import PALETTE, draw_comparison, draw_detections, draw_labels
from mobilenetdet.kitti.labels import KittiObjects

SIZES = [(375, 1242), (1080, 1920), (64, 192), (12, 9), (1, 1)]
# Inside, touching the border, past it, without area, as large as the image, far outside.
BOXES = np.array(
    [
        [10, 10, 40, 30],
        [0, 0, 20, 20],
        [-50, -50, 30, 25],
        [30, 30, 30, 30],
        [0, 0, 5000, 5000],
        [9000, 9000, 9100, 9100],
    ],
    float,
)
TYPES = ["Car", "Pedestrian", "DontCare", "cyclist", "Elk", "Van"]


def objects(types=TYPES, boxes=BOXES):
    return KittiObjects.from_detections(types, boxes, np.linspace(1, 0, len(types)))


def detections(types=TYPES, boxes=BOXES):
    return Detections.from_kitti(objects(types, boxes))


def labels(types=TYPES, boxes=BOXES):
    made = objects(types, boxes)
    return KittiObjects(**(vars(made) | {"scores": None}))


def near(image, colour, tolerance=30):
    return np.abs(image.astype(int) - colour).max(-1) < tolerance


def compare(image, truth, found, truth_outcomes, found_outcomes):
    return draw_comparison(
        image, truth, found, label_outcomes=truth_outcomes, detection_outcomes=found_outcomes
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("grey", [0, 255])
def test_any_box_on_any_image_and_the_image_is_not_changed(size, grey):
    image = np.full((*size, 3), grey, np.uint8)
    image.flags.writeable = False
    outcomes = ["hit", "miss", "ignored"] * 2
    for drawn in (
        draw_labels(image, labels(), title="000000"),
        draw_detections(image, detections(), ground_truth=labels(), title="000000"),
        compare(image, labels(), objects(), outcomes, ["hit", "false_alarm", "ignored"] * 2),
    ):
        assert drawn.dtype == np.uint8
        assert drawn.shape[0] > size[0] and drawn.shape[1:] == (size[1], 3)
    assert (image == grey).all()


def test_without_boxes_the_image_stays_and_the_strip_is_added():
    image = np.random.default_rng(0).integers(0, 255, (375, 1242, 3)).astype(np.uint8)
    nothing = KittiObjects.empty()
    for drawn in (draw_labels(image, nothing), compare(image, nothing, nothing, [], [])):
        np.testing.assert_array_equal(drawn[:375], image)
        assert (drawn[375:] == PALETTE["strip"]).all()


def test_outlines_lie_where_the_boxes_are():
    image = np.zeros((375, 1242, 3), np.uint8)
    box = np.array([[100, 50, 300, 150]], float)
    drawn = draw_detections(image, detections(["Elk"], box))[:375]
    rows, columns = np.nonzero(drawn[60:].any(-1))  # below the tag
    # A line of 3 pixels, and its dark casing (which is black here), around the first and last.
    assert abs(columns.min() - 100) <= 1 and abs(columns.max() - 299) <= 1
    assert abs(rows.max() + 60 - 149) <= 1


@pytest.mark.parametrize(
    ("truth_outcomes", "found_outcomes", "seen", "unseen"),
    [
        (["hit"], ["hit"], ["hit"], ["miss", "false_alarm"]),
        (["miss"], [], ["miss"], ["hit", "false_alarm"]),
        ([], ["false_alarm"], ["false_alarm"], ["hit", "miss"]),
        (["ignored"], ["ignored"], ["ignored"], ["hit", "miss", "false_alarm"]),
    ],
)
def test_outcomes_have_their_own_colours(truth_outcomes, found_outcomes, seen, unseen):
    image = np.zeros((375, 1242, 3), np.uint8)
    box = np.array([[100, 50, 300, 150]], float)
    truth = labels(["Car"] * len(truth_outcomes), box[: len(truth_outcomes)])
    found = objects(["Car"] * len(found_outcomes), box[: len(found_outcomes)])
    drawn = compare(image, truth, found, truth_outcomes, found_outcomes)[:375]
    for name in seen:
        assert near(drawn, PALETTE[name]).sum() > 100, name
    for name in unseen:
        assert near(drawn, PALETTE[name]).sum() == 0, name


def test_ground_truth_is_dashed_and_detections_are_solid():
    image = np.zeros((375, 1242, 3), np.uint8)
    box = np.array([[100, 50, 300, 150]], float)
    nothing = KittiObjects.empty()
    missed = compare(image, labels(["Car"], box), nothing, ["miss"], [])
    solid = compare(image, nothing, objects(["Car"], box), [], ["hit"])
    for drawn, colour, gaps in ((missed, "miss", True), (solid, "hit", False)):
        side = near(drawn[70:148, 98:103], PALETTE[colour]).any(axis=1)  # the left side
        assert side.any() and (not side.all()) == gaps


def test_dont_care_is_hatched_whatever_its_case():
    image = np.zeros((375, 1242, 3), np.uint8)
    box = np.array([[100, 50, 300, 150]], float)
    inside = [
        draw_labels(image, labels([name], box))[70:130, 120:280].any(-1).mean()
        for name in ("DontCare", "dontcare", "Car")
    ]
    assert 0.1 < inside[0] == inside[1] < 0.9
    assert inside[2] == 0


def test_lines_grow_with_the_image():
    def line_width(height, width):
        image = np.zeros((height, width, 3), np.uint8)
        box = np.array([[0.2 * width, 0.2 * height, 0.8 * width, 0.8 * height]])
        row = draw_detections(image, detections(["Elk"], box))[int(0.7 * height)]
        return np.count_nonzero(row.any(-1)) / 2

    assert line_width(375, 1242) == 3
    assert line_width(1500, 4968) == 10


def test_the_strip_counts_and_names():
    image = np.zeros((375, 1242, 3), np.uint8)
    box = np.array([[100, 50, 300, 150]], float)
    one = draw_labels(image, labels(["Car"], box))[375:]
    two = draw_labels(image, labels(["Car"] * 2, box.repeat(2, axis=0)))[375:]
    titled = draw_labels(image, labels(["Car"], box), title="000007")[375:]
    assert (one != two).any()
    assert (one[:, 1100:] == PALETTE["strip"]).all() and (titled[:, 1100:] != one[:, 1100:]).any()


def test_bad_outcomes_are_refused():
    image = np.zeros((50, 50, 3), np.uint8)
    one, nothing = objects(["Car"], BOXES[:1]), KittiObjects.empty()
    with pytest.raises(ValueError, match="0 detection outcomes for 1 boxes"):
        compare(image, nothing, one, [], [])
    with pytest.raises(ValueError, match=r"label outcome 'false_alarm'; it must be one of"):
        compare(image, one, nothing, ["false_alarm"], [])


@pytest.mark.parametrize(
    "image", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 4), np.uint8), np.zeros((5, 5, 3))]
)
def test_other_arrays_are_refused(image):
    with pytest.raises(ValueError, match="it must be uint8 RGB"):
        draw_labels(image, KittiObjects.empty())


def test_real_frame(shared_dir):
    path = next((shared_dir / "kitti/training/image_2").glob("000007.*"))
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    drawn = draw_labels(image, labels(TYPES[:2], BOXES[:2]))
    height = image.shape[0]
    assert (drawn[:height] != image).any(-1).mean() < 0.05  # the picture stays visible
