import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from mobilenetdet.boxes.coding import decode, encode
from mobilenetdet.boxes.limits import MAX_LOG_SCALE

ANCHORS = np.array([[0, 0, 4, 2], [-42, -12, 58, 28], [600, 100, 966, 274]], np.float32)
corner = st.floats(-50, 1300, width=32)
# Sides that the clamp leaves alone: none is 62 times as large or as small as an anchor's.
sides = st.floats(6, 240, width=32), st.floats(3, 120, width=32)
three_boxes = st.lists(st.tuples(corner, corner, *sides), min_size=3, max_size=3).map(
    lambda rows: np.array([(x, y, x + w, y + h) for x, y, w, h in rows], np.float32)
)


def test_example():
    box, anchor = np.array([[2.0, 0, 6, 2]], np.float32), ANCHORS[:1]
    np.testing.assert_array_equal(encode(box, anchor), [[0.5, 0, 0, 0]])
    np.testing.assert_array_equal(decode(encode(box, anchor), anchor), box)


def test_encode_is_the_formula():
    box = (10.0, 20.0, 70.0, 60.0)
    deltas = encode(np.array([box] * 3, np.float32), ANCHORS)
    for anchor, found in zip(ANCHORS.tolist(), ops.convert_to_numpy(deltas), strict=True):
        width, height = anchor[2] - anchor[0], anchor[3] - anchor[1]
        expected = (
            ((box[0] + box[2]) - (anchor[0] + anchor[2])) / 2 / width,
            ((box[1] + box[3]) - (anchor[1] + anchor[3])) / 2 / height,
            math.log((box[2] - box[0]) / width),
            math.log((box[3] - box[1]) / height),
        )
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@given(three_boxes)
@settings(max_examples=40, deadline=None)
def test_boxes_survive_the_round_trip(boxes):
    np.testing.assert_allclose(decode(encode(boxes, ANCHORS), ANCHORS), boxes, atol=2e-2)


def test_no_deltas_are_the_anchors():
    np.testing.assert_allclose(decode(np.zeros((2, 3, 4), "f4"), ANCHORS), [ANCHORS, ANCHORS])


@pytest.mark.parametrize("wild", [MAX_LOG_SCALE + 1, 100.0, 1e30, np.inf])
def test_decode_clamps_before_exp(wild):
    deltas = np.array([[0, 0, wild, wild], [0, 0, -wild, -wild], [0, 0, wild, 0]], np.float32)
    boxes = ops.convert_to_numpy(decode(deltas, ANCHORS))
    assert np.isfinite(boxes).all()
    sides = boxes[:, 2:] - boxes[:, :2]
    expected = [(4 * 62.5, 2 * 62.5), (100 / 62.5, 40 / 62.5), (366 * 62.5, 174)]
    np.testing.assert_allclose(sides, expected, rtol=1e-4)


@pytest.mark.parametrize(
    "box",
    [
        (5, 5, 5, 5),  # nothing at all
        (5, 5, 5, 9),  # no width
        (6, 9, 5, 5),  # inverted
        (5, 5, 5.001, 5.001),
    ],
)
def test_degenerate_boxes_have_finite_deltas(box):
    deltas = ops.convert_to_numpy(encode(np.array([box] * 3, np.float32), ANCHORS))
    assert np.isfinite(deltas).all()
