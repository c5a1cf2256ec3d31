"""The box loss, by its name in the config."""

from __future__ import annotations

from typing import NamedTuple

from keras import ops

from mobilenetdet.boxes.coding import decode, encode
from mobilenetdet.boxes.gather import PositiveAnchors
from mobilenetdet.boxes.geometry import Tensor, ciou, giou
from mobilenetdet.boxes.matching import AnchorMatches
from mobilenetdet.models.addons_losses import tfa_giou
from mobilenetdet.models.losses import smooth_l1, squared_error

# 1 - overlap of boxes, or a distance of deltas.
_OVERLAPS = {"giou": giou, "ciou": ciou, "tfa_giou": tfa_giou}
_DELTA_LOSSES = {"squared": squared_error, "smooth_l1": smooth_l1}


class PositiveBoxes(NamedTuple):
    """Boxes of the P anchors with an object, and their losses.

    Attributes:
        losses: [P].
        boxes_xyxy: [P, 4], as predicted, pixels.
        targets_xyxy: [P, 4], the objects, pixels.
    """

    losses: Tensor
    boxes_xyxy: Tensor
    targets_xyxy: Tensor


def positive_box_losses(
    kind: str,
    rows: PositiveAnchors,
    deltas: Tensor,
    *,
    anchors_xyxy: Tensor,
    matches: AnchorMatches,
    gt_boxes: Tensor,
) -> PositiveBoxes:
    """Box loss of each anchor with an object.

    Args:
        kind: "squared", "smooth_l1", "giou", "ciou" or "tfa_giou".
        rows: the anchors with an object.
        deltas: [B, A, 4], as predicted.
        anchors_xyxy: [A, 4], pixels.
        matches: object or background of each anchor.
        gt_boxes: [B, N, 4], pixels.
    """
    anchors = rows.take(ops.broadcast_to(anchors_xyxy, ops.shape(deltas)))  # [P, 4]
    deltas = rows.take(deltas)
    targets = rows.take_objects(matches.gt_index, gt_boxes)
    boxes = decode(deltas, anchors)
    if kind in _OVERLAPS:
        losses = 1 - _OVERLAPS[kind](boxes, targets)
    else:
        losses = _DELTA_LOSSES[kind](deltas, encode(targets, anchors))
    return PositiveBoxes(losses, boxes, targets)
