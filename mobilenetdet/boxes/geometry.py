"""Boxes and their overlaps, in keras.ops: on TensorFlow and JAX, inside and outside of graphs.

A box is (left, top, right, bottom) in pixels, half-open: its width is right - left, never + 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from keras import ops

from mobilenetdet.boxes.limits import SMALLEST_AREA

Tensor = Any


def to_cxcywh(boxes_xyxy: Tensor) -> Tensor:
    """Converts corners [..., 4] to centre, width and height.

    Example: (0, 0, 4, 2) becomes (2, 1, 4, 2).
    """
    left, top, right, bottom = ops.unstack(boxes_xyxy, axis=-1)
    return ops.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], axis=-1)


def to_xyxy(boxes_cxcywh: Tensor) -> Tensor:
    """Converts centre, width and height [..., 4] to corners.

    Example: (2, 1, 4, 2) becomes (0, 0, 4, 2).
    """
    centre_x, centre_y, width, height = ops.unstack(boxes_cxcywh, axis=-1)
    half_width, half_height = width / 2, height / 2
    return ops.stack(
        [
            centre_x - half_width,
            centre_y - half_height,
            centre_x + half_width,
            centre_y + half_height,
        ],
        axis=-1,
    )


def area(boxes_xyxy: Tensor) -> Tensor:
    """Areas [...] of boxes [..., 4]; an inverted box has none.

    Example: (0, 0, 4, 2) has 8.
    """
    left, top, right, bottom = ops.unstack(boxes_xyxy, axis=-1)
    return ops.maximum(right - left, 0.0) * ops.maximum(bottom - top, 0.0)


def intersection(first: Tensor, second: Tensor) -> Tensor:
    """Areas of overlap of boxes that broadcast against each other, [..., 4] each.

    Example: (0, 0, 4, 2) and (2, 0, 6, 2) share 4.
    """
    left, top, right, bottom = _paired_sides(first, second)
    width = ops.minimum(*right) - ops.maximum(*left)
    height = ops.minimum(*bottom) - ops.maximum(*top)
    return ops.maximum(width, 0.0) * ops.maximum(height, 0.0)


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes that broadcast against each other, [..., 4] each.

    Two boxes without area have 0, not NaN.

    Example: (0, 0, 4, 2) and (2, 0, 6, 2) have 4 / 12.
    """
    shared = intersection(first, second)
    union = area(first) + area(second) - shared
    return shared / ops.maximum(union, SMALLEST_AREA)


def giou(first: Tensor, second: Tensor) -> Tensor:
    """Generalised IoU (arXiv 1902.09630) of boxes that broadcast, [..., 4] each; -1 to 1.

    IoU less the share of the smallest enclosing box that neither covers: boxes that do not touch
    still tell how far apart they are.

    Example: (0, 0, 4, 2) and (2, 0, 6, 2) have 4 / 12 - 0 / 12.
    """
    shared = intersection(first, second)
    union = area(first) + area(second) - shared
    width, height = _enclosing_sides(first, second)
    enclosing = ops.maximum(width * height, SMALLEST_AREA)
    return shared / ops.maximum(union, SMALLEST_AREA) - (enclosing - union) / enclosing


def ciou(first: Tensor, second: Tensor) -> Tensor:
    """Complete IoU (arXiv 1911.08287) of boxes that broadcast, [..., 4] each; below 1.

    IoU less the squared distance of the centres over the squared diagonal of the enclosing box,
    less a weighted difference of the aspect ratios. No gradient flows through that weight, as in
    the paper.

    Example: (0, 0, 4, 2) and (2, 0, 6, 2) have 4 / 12 - 4 / 40.
    """
    overlaps = iou(first, second)
    width, height = _enclosing_sides(first, second)
    diagonal = ops.maximum(width**2 + height**2, SMALLEST_AREA)
    first, second = to_cxcywh(first), to_cxcywh(second)
    distance = ops.sum((first[..., :2] - second[..., :2]) ** 2, axis=-1)
    angles = [ops.arctan2(box[..., 2], ops.maximum(box[..., 3], 1e-6)) for box in (first, second)]
    difference = (4 / math.pi**2) * (angles[0] - angles[1]) ** 2
    weight = ops.stop_gradient(difference / ops.maximum(1 - overlaps + difference, 1e-6))
    return overlaps - distance / diagonal - weight * difference


def _enclosing_sides(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Width and height of the smallest boxes around both."""
    left, top, right, bottom = _paired_sides(first, second)
    return ops.maximum(*right) - ops.minimum(*left), ops.maximum(*bottom) - ops.minimum(*top)


def _paired_sides(first: Tensor, second: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
    """Left, top, right and bottom, each of both boxes."""
    return zip(ops.unstack(first, axis=-1), ops.unstack(second, axis=-1), strict=True)


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of each of [..., N, 4] with each of [..., M, 4]: [..., N, M]."""
    return iou(ops.expand_dims(first, -2), ops.expand_dims(second, -3))
