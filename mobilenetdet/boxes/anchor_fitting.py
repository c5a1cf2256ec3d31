"""Anchor shapes fitted to the boxes of a data set, and how well shapes on a grid cover them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_MAX_ITERATIONS = 300


def fit_shapes(
    sizes: np.ndarray,
    num_shapes: int,
    *,
    weights: np.ndarray | None = None,
    seed: int = 0,
    restarts: int = 10,
) -> np.ndarray:
    """Fits shapes to box sizes by k-medians with 1 - IoU as distance (YOLOv2, arXiv 1612.08242).

    The first shapes are drawn as in k-means++; of several restarts the one with the highest mean
    IoU stays.

    Args:
        sizes: [N, 2] width and height above 0, any unit.
        num_shapes: K, at most the number of different sizes.
        weights: [N], how much each size counts; by default all the same.
        seed: decides about the first shapes.
        restarts: how often to start anew.

    Returns:
        float64 [K, 2], width and height, smallest area first.

    Raises:
        ValueError: fewer different sizes that count than shapes, or a size that is not above 0.
    """
    sizes = np.asarray(sizes, np.float64).reshape(-1, 2)
    if not (sizes > 0).all():
        raise ValueError("every width and height has to be above 0")
    weights = np.ones(len(sizes)) if weights is None else np.asarray(weights, np.float64)
    sizes, weights = sizes[weights > 0], weights[weights > 0]
    num_different = len(np.unique(sizes, axis=0))
    if not 1 <= num_shapes <= num_different:
        raise ValueError(f"{num_shapes} shapes cannot be fitted to {num_different} different sizes")
    rng = np.random.default_rng(seed)
    found = [_run_k_medians(sizes, weights, num_shapes, rng) for _ in range(restarts)]
    best = max(
        found, key=lambda shapes: np.average(_size_ious(sizes, shapes).max(1), weights=weights)
    )
    return best[np.argsort(best.prod(axis=1), kind="stable")]


def best_grid_ious(
    boxes_xyxy: np.ndarray,
    shapes: Sequence[tuple[float, float]] | np.ndarray,
    *,
    stride: int,
    image_size: tuple[int, int],
) -> np.ndarray:
    """Returns the highest IoU [N] of each box with any anchor of a grid.

    Overlap separates by axis: the cell whose centre is nearest in x and nearest in y is the best
    for every shape, so that no anchor but K a box is looked at.

    Args:
        boxes_xyxy: [N, 4], pixels of the network input.
        shapes: K pairs (width, height), pixels.
        stride: pixels a cell.
        image_size: (height, width) of the network input.

    Example: the box (6, 7, 10, 9) has 1 with the shape (4, 2) on stride 16, (0, 7, 4, 9) has 0.
    """
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    shapes = np.asarray(shapes, np.float64).reshape(-1, 2)
    height, width = image_size
    shared = 1.0
    for axis, side in ((0, width), (1, height)):
        low, high = boxes[:, axis, None], boxes[:, axis + 2, None]  # [N, 1]
        last = -(-side // stride) - 1
        cells = np.clip(np.rint((low + high) / 2 / stride - 0.5), 0, last)
        centres, halves = (cells + 0.5) * stride, shapes[None, :, axis] / 2
        overlap = np.minimum(high, centres + halves) - np.maximum(low, centres - halves)
        shared = shared * np.maximum(overlap, 0.0)  # [N, K]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    ious = shared / np.maximum(areas[:, None] + shapes.prod(axis=1) - shared, 1e-12)
    return ious.max(axis=1, initial=0.0)


def _run_k_medians(
    sizes: np.ndarray, weights: np.ndarray, num_shapes: int, rng: np.random.Generator
) -> np.ndarray:
    shapes = _first_shapes(sizes, weights, num_shapes, rng)
    nearest = None
    for _ in range(_MAX_ITERATIONS):
        last, nearest = nearest, _size_ious(sizes, shapes).argmax(axis=1)
        if last is not None and (last == nearest).all():
            break
        for index in range(num_shapes):
            own = nearest == index
            if own.any():
                shapes[index] = _weighted_median(sizes[own], weights[own])
    return shapes


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The value [D] of each column of [N, D] that halves the weights."""
    order = np.argsort(values, axis=0)
    reached = np.cumsum(weights[order], axis=0) >= weights.sum() / 2
    return np.take_along_axis(values, order, axis=0)[reached.argmax(axis=0), range(values.shape[1])]


def _first_shapes(
    sizes: np.ndarray, weights: np.ndarray, num_shapes: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws shapes one by one, far ones with a higher probability."""
    chosen = [sizes[rng.choice(len(sizes), p=weights / weights.sum())]]
    while len(chosen) < num_shapes:
        distances = weights * (1 - _size_ious(sizes, np.array(chosen)).max(axis=1)) ** 2
        chosen.append(sizes[rng.choice(len(sizes), p=distances / distances.sum())])
    return np.array(chosen)


def _size_ious(sizes: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """IoU [N, K] of boxes of these sizes with a common centre."""
    shared = np.minimum(sizes[:, None], shapes[None]).prod(axis=2)
    return shared / (sizes.prod(axis=1)[:, None] + shapes.prod(axis=1)[None] - shared)
