"""The loss of predicted boxes, by its name in the config."""

from __future__ import annotations

from mobilenetdet.boxes.coding import encode
from mobilenetdet.boxes.geometry import Tensor, ciou, giou
from mobilenetdet.models.losses import smooth_l1, squared_error

# 1 - overlap of boxes, or a distance of deltas.
_OVERLAPS = {"giou": giou, "ciou": ciou}
_DELTA_LOSSES = {"squared": squared_error, "smooth_l1": smooth_l1}


def box_losses(
    kind: str, *, deltas: Tensor, boxes_xyxy: Tensor, anchors_xyxy: Tensor, targets_xyxy: Tensor
) -> Tensor:
    """Losses [P] of P predicted boxes.

    Args:
        kind: "squared", "smooth_l1", "giou" or "ciou".
        deltas: [P, 4], as predicted.
        boxes_xyxy: [P, 4], decoded from them, pixels.
        anchors_xyxy: [P, 4], pixels.
        targets_xyxy: [P, 4], the objects, pixels.
    """
    if kind in _OVERLAPS:
        return 1 - _OVERLAPS[kind](boxes_xyxy, targets_xyxy)
    return _DELTA_LOSSES[kind](deltas, encode(targets_xyxy, anchors_xyxy))
