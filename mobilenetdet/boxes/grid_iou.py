"""How far labelled boxes and the anchors of a grid overlap, found axis by axis."""

from __future__ import annotations

from keras import ops

from mobilenetdet.boxes.anchors import AnchorGrid
from mobilenetdet.boxes.box_status import DONT_CARE, OBJECT
from mobilenetdet.boxes.geometry import Tensor, area


def signed_overlaps(grid: AnchorGrid, gt_boxes: Tensor, gt_status: Tensor) -> Tensor:
    """Overlap of all boxes with all anchors, negative where the box is no object.

    It is the intersection over the sum of both areas, s: IoU is s / (1 - s) and thus ranks alike,
    see `from_iou`. Of DontCare regions it is the intersection over the area of the anchor.

    The intersection is the product of two lengths. One is the same all along a column of the map,
    the other along a row, so that an anchor costs one multiplication and one division. The sign
    spares one array for objects and another for the rest: the largest overlap of an anchor is that
    of an object, the smallest that of something to ignore.

    Args:
        grid: the anchors.
        gt_boxes: float [B, N, 4], pixels of the network input.
        gt_status: int [B, N] of `boxes.box_status`.

    Returns:
        float32 [B, N, A], 0 to 0.5 for objects, -1 to 0 for the others.
    """
    left, top, right, bottom = ops.unstack(gt_boxes[..., None, None], axis=2)  # [B, N, 1, 1]
    own_areas = ops.where(gt_status == DONT_CARE, 0.0, area(gt_boxes))[..., None]  # [B, N, 1]
    signs = ops.where(gt_status == OBJECT, 1.0, -1.0)[..., None]
    batch, count = ops.shape(gt_boxes)[:2]
    overlaps = []
    for sides in grid.sides():
        rows, columns, shapes = len(sides.rows), len(sides.columns), len(sides.areas)
        across = _shared_length(left, right, sides.columns)  # [B, N, columns, K]
        down = _shared_length(top, bottom, sides.rows)  # [B, N, rows, K]
        sums = signs * ops.maximum(own_areas + sides.areas, 1e-6)  # [B, N, K]
        # All factors get the same long last axis: broadcasting over a short one is slow.
        row = (batch, count, 1, columns * shapes)
        shared = ops.tile(down, (1, 1, 1, columns)) * ops.reshape(across, row)
        overlap = shared / ops.reshape(ops.tile(sums, (1, 1, columns)), row)
        overlaps.append(ops.reshape(overlap, (batch, count, rows * columns * shapes)))
    return ops.concatenate(overlaps, axis=2)


def from_iou(iou: float) -> float:
    """The intersection over the sum of both areas at an IoU.

    Example: an IoU of 0.5 is 1 / 3.
    """
    return iou / (1 + iou)


def _shared_length(first: Tensor, last: Tensor, sides: Tensor) -> Tensor:
    length = ops.minimum(last, sides[..., 1]) - ops.maximum(first, sides[..., 0])
    return ops.maximum(length, 0.0)
