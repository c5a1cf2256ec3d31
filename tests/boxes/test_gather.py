import keras
import numpy as np
import pytest
from keras import ops

from mobilenetdet.boxes.gather import PositiveAnchors, batched_gather, top_k_anchors

POSITIVE = np.array([[True, False, True], [False, True, False]])


def _learnt(rows, values):
    """The rows that count; JAX keeps the others with a weight of 0."""
    return ops.convert_to_numpy(values)[ops.convert_to_numpy(rows.weights) == 1]


def test_rows_come_in_the_order_of_the_anchors():
    rows = PositiveAnchors(ops.convert_to_tensor(POSITIVE))
    taken = rows.take(ops.reshape(ops.arange(12), (2, 3, 2)))
    assert _learnt(rows, taken).tolist() == [[0, 1], [4, 5], [8, 9]]


def test_tensorflow_keeps_no_other_rows():
    rows = PositiveAnchors(ops.convert_to_tensor(POSITIVE))
    assert len(rows.weights) == (3 if keras.backend.backend() == "tensorflow" else POSITIVE.size)


def test_a_row_gets_the_object_of_its_own_image():
    rows = PositiveAnchors(ops.convert_to_tensor(POSITIVE))
    gt_index = np.array([[1, 0, 0], [0, 1, 0]], np.int32)
    objects = np.array([[10, 11], [20, 21]])
    taken = rows.take_objects(ops.convert_to_tensor(gt_index), ops.convert_to_tensor(objects))
    assert _learnt(rows, taken).tolist() == [11, 10, 21]


def test_pairs_are_taken_from_the_objects_of_the_same_image():
    rows = PositiveAnchors(ops.convert_to_tensor(POSITIVE))
    # Image, object, anchor.
    values = np.arange(2)[:, None, None] * 100 + np.arange(4)[:, None] * 10 + np.arange(3)
    taken = rows.take_pairs(ops.convert_to_tensor(values))
    assert _learnt(rows, taken).tolist() == [
        [0, 10, 20, 30],
        [2, 12, 22, 32],
        [101, 111, 121, 131],
    ]


def test_values_are_put_back_where_they_came_from():
    rows = PositiveAnchors(ops.convert_to_tensor(POSITIVE))
    values = np.array([[1, 9, 2], [9, 3, 9]], np.int32)
    found = ops.convert_to_numpy(rows.put(rows.take(ops.convert_to_tensor(values))))
    np.testing.assert_array_equal(found[POSITIVE], values[POSITIVE])


def test_only_anchors_with_an_object_are_summed():
    rows = PositiveAnchors(ops.convert_to_tensor(POSITIVE))
    losses = np.array([[1, 10, 2], [10, 4, 10]], np.float32)
    assert float(rows.sum(rows.take(ops.convert_to_tensor(losses)))) == pytest.approx(7)


def test_without_an_object_the_sum_is_0():
    rows = PositiveAnchors(ops.zeros((2, 3), bool))
    assert float(rows.sum(rows.take(ops.ones((2, 3))))) == 0


@pytest.mark.parametrize("tail", [(), (4,), (3, 2)])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_each_image_gives_its_own_rows(tail, dtype):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 7, *tail)).astype(np.float32)
    index = rng.integers(0, 7, (3, 5)).astype(dtype)
    expected = np.stack([rows[own] for rows, own in zip(values, index, strict=True)])
    found = batched_gather(ops.convert_to_tensor(values), ops.convert_to_tensor(index))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("levels", [2, 20, 10_000])
@pytest.mark.parametrize("length", [10, 64, 500, 509])
def test_top_anchors_are_those_of_a_stable_sort(levels, length):
    rng = np.random.default_rng(levels + length)
    values = (rng.integers(-1, levels, (3, 4, length)) / levels).astype(np.float32)
    top, index = (ops.convert_to_numpy(x) for x in top_k_anchors(values, 9))
    expected = np.argsort(-values, axis=-1, kind="stable")[..., :9]
    np.testing.assert_array_equal(index, expected)
    np.testing.assert_array_equal(top, np.take_along_axis(values, expected, axis=-1))
