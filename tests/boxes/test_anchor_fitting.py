import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenetdet.boxes.anchor_fitting import best_grid_ious, fit_shapes
from mobilenetdet.boxes.anchors import grid_anchors

SHAPES = [(20.0, 40.0), (60.0, 30.0), (150.0, 90.0)]


def scattered(rng, count=200, spread=0.05):
    """Sizes around the three shapes."""
    centres = np.array(SHAPES)[rng.integers(0, 3, count)]
    return centres * rng.normal(1, spread, (count, 2))


def naive_iou(first, second):
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (first, second)]
    return shared / (sum(areas) - shared)


@pytest.mark.parametrize("seed", range(4))
def test_clusters_are_found(seed):
    sizes = scattered(np.random.default_rng(seed))
    np.testing.assert_allclose(fit_shapes(sizes, 3, seed=seed), SHAPES, rtol=0.03)


def test_the_same_seed_gives_the_same_shapes_whatever_the_unit():
    sizes = scattered(np.random.default_rng(0), spread=0.4)
    sizes = np.abs(sizes) + 1
    first = fit_shapes(sizes, 5, seed=3)
    np.testing.assert_array_equal(first, fit_shapes(sizes, 5, seed=3))
    np.testing.assert_allclose(fit_shapes(sizes * 2, 5, seed=3), first * 2)


def test_weights_move_the_shapes():
    sizes = np.array([[10.0, 10]] * 90 + [[40.0, 40]] * 10)
    assert fit_shapes(sizes, 1).tolist() == [[10, 10]]
    weights = np.r_[np.full(90, 1.0), np.full(10, 20.0)]
    assert fit_shapes(sizes, 1, weights=weights).tolist() == [[40, 40]]


def test_shapes_come_smallest_first_and_one_for_each_size():
    sizes = np.array([[50.0, 50], [10, 10], [30, 20]])
    assert fit_shapes(sizes, 3).tolist() == [[10, 10], [30, 20], [50, 50]]


@pytest.mark.parametrize(
    ("sizes", "count", "message"),
    [
        ([[1.0, 1], [1, 1]], 2, "2 shapes cannot be fitted to 1 different sizes"),
        ([[1.0, 1]], 0, "0 shapes"),
        (np.empty((0, 2)), 1, "0 different sizes"),
        ([[1.0, 0]], 1, "above 0"),
    ],
)
def test_what_cannot_be_fitted_is_said(sizes, count, message):
    with pytest.raises(ValueError, match=message):
        fit_shapes(np.array(sizes), count)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), stride=st.sampled_from([8, 16, 32]))
def test_best_anchor_is_that_of_the_whole_grid(seed, stride):
    rng = np.random.default_rng(seed)
    size = (96, 160)
    corners = rng.uniform(-20, (150, 90), (6, 2))
    boxes = np.hstack([corners, corners + rng.uniform(2, 120, (6, 2))])
    anchors = grid_anchors(size, stride, SHAPES).astype(np.float64)
    expected = [max(naive_iou(box, anchor) for anchor in anchors) for box in boxes]
    found = best_grid_ious(boxes, SHAPES, stride=stride, image_size=size)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_example_and_no_boxes():
    options = {"stride": 16, "image_size": (16, 16)}
    boxes = np.array([[6, 7, 10, 9], [0, 7, 4, 9]])
    assert best_grid_ious(boxes, [(4, 2)], **options).tolist() == [1, 0]
    assert best_grid_ious(np.empty((0, 4)), [(4, 2)], **options).shape == (0,)
