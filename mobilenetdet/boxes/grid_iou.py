"""Signed IoU of boxes with grid anchors, computed separably per axis."""

from __future__ import annotations

from keras import ops

from mobilenetdet.boxes.anchors import AnchorGrid
from mobilenetdet.boxes.box_status import DONT_CARE, OBJECT
from mobilenetdet.boxes.geometry import Tensor, area


def signed_overlaps(grid: AnchorGrid, gt_boxes: Tensor, gt_status: Tensor) -> Tensor:
    """Returns the overlap of every box with every anchor; negative for ignored boxes and DontCare.

    The overlap is s = intersection / (sum of both areas). IoU = s / (1 - s) grows with s, so
    thresholds are converted once (`from_iou`) instead of every overlap. For DontCare regions it is
    the intersection over the area of the anchor.

    The intersection of a box with an anchor is a width times a height. The width is the same along
    a column of the grid and the height along a row, so each anchor costs one multiplication and one
    division. With the sign one array serves both: the maximum over the boxes belongs to an object,
    the minimum to an ignored box.

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
    """Converts an IoU to the intersection over the sum of both areas.

    Example: an IoU of 0.5 is 1 / 3.
    """
    return iou / (1 + iou)


def _shared_length(first: Tensor, last: Tensor, sides: Tensor) -> Tensor:
    length = ops.minimum(last, sides[..., 1]) - ops.maximum(first, sides[..., 0])
    return ops.maximum(length, 0.0)
