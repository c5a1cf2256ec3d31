"""Boxes and their overlaps, in keras.ops: on TensorFlow and JAX, inside and outside of graphs.

A box is (left, top, right, bottom) in pixels, half-open: its width is right - left, never + 1.
"""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any


def to_cxcywh(boxes_xyxy: Tensor) -> Tensor:
    """Converts corners [..., 4] to centre, width and height.

    Example: (0, 0, 4, 2) becomes (2, 1, 4, 2).
    """
    left, top, right, bottom = (boxes_xyxy[..., i] for i in range(4))
    return ops.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], axis=-1)


def to_xyxy(boxes_cxcywh: Tensor) -> Tensor:
    """Converts centre, width and height [..., 4] to corners.

    Example: (2, 1, 4, 2) becomes (0, 0, 4, 2).
    """
    centre_x, centre_y, width, height = (boxes_cxcywh[..., i] for i in range(4))
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
    width = ops.maximum(boxes_xyxy[..., 2] - boxes_xyxy[..., 0], 0.0)
    height = ops.maximum(boxes_xyxy[..., 3] - boxes_xyxy[..., 1], 0.0)
    return width * height


def intersection(first: Tensor, second: Tensor) -> Tensor:
    """Areas of overlap of boxes that broadcast against each other, [..., 4] each.

    Example: (0, 0, 4, 2) and (2, 0, 6, 2) share 4.
    """
    width = ops.minimum(first[..., 2], second[..., 2]) - ops.maximum(first[..., 0], second[..., 0])
    height = ops.minimum(first[..., 3], second[..., 3]) - ops.maximum(first[..., 1], second[..., 1])
    return ops.maximum(width, 0.0) * ops.maximum(height, 0.0)


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes that broadcast against each other, [..., 4] each.

    Two boxes without area have 0, not NaN.

    Example: (0, 0, 4, 2) and (2, 0, 6, 2) have 4 / 12.
    """
    shared = intersection(first, second)
    union = area(first) + area(second) - shared
    return shared / ops.maximum(union, 1e-6)


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of each of [..., N, 4] with each of [..., M, 4]: [..., N, M]."""
    return iou(ops.expand_dims(first, -2), ops.expand_dims(second, -3))
