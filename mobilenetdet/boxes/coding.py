"""Boxes as deltas to anchors and back (R-CNN's coding, as in SqueezeDet)."""

from __future__ import annotations

from keras import ops

from mobilenetdet.boxes.geometry import Tensor, to_cxcywh, to_xyxy
from mobilenetdet.boxes.limits import MAX_LOG_SCALE

_SMALLEST_SIDE = 1e-2  # keeps the logarithm of a degenerate box finite


def encode(boxes_xyxy: Tensor, anchors_xyxy: Tensor) -> Tensor:
    """Codes boxes as deltas (dx, dy, dw, dh) to their anchors.

    dx and dy are in anchor widths and heights, dw and dh are logarithms of the ratio of sides.

    Args:
        boxes_xyxy: [..., A, 4], pixels.
        anchors_xyxy: [A, 4], pixels.

    Example: the box (2, 0, 6, 2) to the anchor (0, 0, 4, 2) is (0.5, 0, 0, 0).
    """
    boxes, anchors = to_cxcywh(boxes_xyxy), to_cxcywh(anchors_xyxy)
    sides = ops.maximum(boxes[..., 2:], _SMALLEST_SIDE)
    centres = (boxes[..., :2] - anchors[..., :2]) / anchors[..., 2:]
    return ops.concatenate([centres, ops.log(sides / anchors[..., 2:])], axis=-1)


def decode(deltas_cxcywh: Tensor, anchors_xyxy: Tensor) -> Tensor:
    """Undoes `encode`; dw and dh are clamped before exp.

    Args:
        deltas_cxcywh: [..., A, 4].
        anchors_xyxy: [A, 4] or [..., A, 4], pixels.

    Returns:
        Boxes xyxy [..., A, 4], pixels, not clipped to the image.

    Example: (0.5, 0, 0, 0) to the anchor (0, 0, 4, 2) is (2, 0, 6, 2).
    """
    anchors = to_cxcywh(anchors_xyxy)
    centres = deltas_cxcywh[..., :2] * anchors[..., 2:] + anchors[..., :2]
    scales = ops.exp(ops.clip(deltas_cxcywh[..., 2:], -MAX_LOG_SCALE, MAX_LOG_SCALE))
    return to_xyxy(ops.concatenate([centres, anchors[..., 2:] * scales], axis=-1))
