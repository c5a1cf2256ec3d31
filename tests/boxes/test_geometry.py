import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from keras.utils.bounding_boxes import compute_ciou

from mobilenetdet.boxes.geometry import (
    area,
    ciou,
    giou,
    intersection,
    iou,
    pairwise_iou,
    to_cxcywh,
    to_xyxy,
)

GRID = 12  # side of the grid on which boxes of whole pixels are counted out


def _box(corners: tuple[int, int, int, int]) -> list[float]:
    x1, y1, x2, y2 = corners
    return [float(v) for v in (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))]


# Whole corners on the grid; boxes without width or height come up too.
grid_box = st.tuples(*[st.integers(0, GRID)] * 4).map(_box)
four_boxes = st.lists(grid_box, min_size=4, max_size=4).map(lambda b: np.array(b, np.float32))


def _pixels(box: np.ndarray) -> np.ndarray:
    left, top, right, bottom = box.astype(int)
    mask = np.zeros((GRID, GRID), bool)
    mask[top:bottom, left:right] = True
    return mask


def _array(*boxes: tuple[float, ...]) -> np.ndarray:
    return np.array(boxes, np.float32)


@pytest.mark.parametrize(
    ("xyxy", "cxcywh"),
    [
        ((0, 0, 4, 2), (2, 1, 4, 2)),
        ((1, 2, 1, 2), (1, 2, 0, 0)),  # a point
        ((-3, -1, 2, 4), (-0.5, 1.5, 5, 5)),  # past the border
    ],
)
def test_corners_and_centres(xyxy, cxcywh):
    np.testing.assert_array_equal(to_cxcywh(_array(xyxy)), _array(cxcywh))
    np.testing.assert_array_equal(to_xyxy(_array(cxcywh)), _array(xyxy))


@given(four_boxes)
@settings(max_examples=25, deadline=None)
def test_corners_survive_the_round_trip(boxes):
    np.testing.assert_array_equal(to_xyxy(to_cxcywh(boxes)), boxes)


@pytest.mark.parametrize(
    ("first", "second", "shared", "expected"),
    [
        ((0, 0, 4, 2), (2, 0, 6, 2), 4, 4 / 12),
        ((0, 0, 4, 2), (0, 0, 4, 2), 8, 1),  # the same box
        ((0, 0, 4, 2), (4, 0, 8, 2), 0, 0),  # a common edge: half-open boxes share nothing
        ((0, 0, 4, 2), (5, 5, 6, 6), 0, 0),  # apart on both axes: no product of two negatives
        ((0, 0, 8, 8), (2, 2, 4, 4), 4, 4 / 64),  # one inside the other
        ((3, 3, 3, 3), (3, 3, 3, 3), 0, 0),  # two points: 0, not 0 / 0
        ((4, 2, 0, 0), (0, 0, 4, 2), 0, 0),  # an inverted box has nothing
    ],
)
def test_overlap(first, second, shared, expected):
    first, second = _array(first), _array(second)
    np.testing.assert_array_equal(intersection(first, second), [shared])
    np.testing.assert_allclose(iou(first, second), [expected], rtol=1e-6)


def test_area_of_boxes_without_any():
    boxes = _array((0, 0, 4, 2), (1, 1, 1, 5), (4, 2, 0, 0))
    np.testing.assert_array_equal(area(boxes), [8, 0, 0])


@given(four_boxes, four_boxes)
@settings(max_examples=40, deadline=None)
def test_iou_is_what_counting_pixels_gives(first, second):
    expected = np.zeros((4, 4))
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            union = (_pixels(a) | _pixels(b)).sum()
            expected[i, j] = (_pixels(a) & _pixels(b)).sum() / union if union else 0.0
    np.testing.assert_allclose(pairwise_iou(first, second), expected, rtol=1e-6)
    np.testing.assert_array_equal(area(first), [_pixels(a).sum() for a in first])


@given(four_boxes, four_boxes, st.integers(-50, 50), st.sampled_from([0.25, 2.0, 8.0]))
@settings(max_examples=25, deadline=None)
def test_iou_does_not_depend_on_order_place_or_scale(first, second, shift, scale):
    ious = ops.convert_to_numpy(pairwise_iou(first, second))
    np.testing.assert_array_equal(ops.convert_to_numpy(pairwise_iou(second, first)).T, ious)
    np.testing.assert_array_equal(pairwise_iou(first + shift, second + shift), ious)
    np.testing.assert_allclose(pairwise_iou(first * scale, second * scale), ious, rtol=1e-6)


def test_pairwise_keeps_the_batch():
    boxes = np.random.default_rng(0).uniform(0, 9, (2, 3, 5, 4)).astype(np.float32)
    ious = ops.convert_to_numpy(pairwise_iou(boxes, boxes[:, :, :2]))
    assert ious.shape == (2, 3, 5, 2)
    np.testing.assert_array_equal(ious[1, 2], pairwise_iou(boxes[1, 2], boxes[1, 2, :2]))


@pytest.mark.parametrize(
    ("first", "second", "generalised", "complete"),
    [
        ((0, 0, 4, 2), (0, 0, 4, 2), 1, 1),  # the same box
        ((0, 0, 4, 2), (2, 0, 6, 2), 4 / 12, 4 / 12 - 4 / 40),  # of one shape, nothing between
        ((0, 0, 2, 2), (4, 0, 6, 2), -4 / 12, -16 / 40),  # apart
        ((0, 0, 2, 2), (2, 2, 4, 4), -8 / 16, -8 / 32),  # corner to corner
    ],
)
def test_generalised_and_complete_iou(first, second, generalised, complete):
    for pair in ((first, second), (second, first)):
        assert float(giou(_array(pair[0]), _array(pair[1]))[0]) == pytest.approx(generalised)
        assert float(ciou(_array(pair[0]), _array(pair[1]))[0]) == pytest.approx(complete)


@given(four_boxes, four_boxes)
@settings(max_examples=25, deadline=None)
def test_generalised_iou_counts_pixels(first, second):
    found = ops.convert_to_numpy(giou(first, second))
    assert np.isfinite(found).all()
    for value, a, b in zip(found, first, second, strict=True):
        mine, other = _pixels(a), _pixels(b)
        hull = _pixels(np.concatenate([np.minimum(a[:2], b[:2]), np.maximum(a[2:], b[2:])]))
        if not hull.any():
            continue
        union, shared = (mine | other).sum(), (mine & other).sum()
        expected = shared / max(union, 1e-6) - (hull.sum() - union) / hull.sum()
        assert value == pytest.approx(expected, abs=1e-5)


def test_complete_iou_is_that_of_keras():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 60, (2, 200, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(2, 60, corners.shape)], axis=-1)
    first, second = boxes.astype(np.float32)
    expected = compute_ciou(first, second, "xyxy")
    np.testing.assert_allclose(ciou(first, second), expected, atol=1e-5)
