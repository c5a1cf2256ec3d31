"""Which anchor learns which object: decided on the batch, without losing an object."""

from __future__ import annotations

from typing import NamedTuple

from keras import ops

from mobilenetdet.boxes.geometry import Tensor, area, intersection
from mobilenetdet.boxes.kinds import DONT_CARE, IGNORED, OBJECT
from mobilenetdet.config import MatchingConfig


class AnchorMatches(NamedTuple):
    """What each anchor is to learn. An anchor that is neither positive nor negative learns nothing.

    Attributes:
        gt_index: int32 [B, A], row of the object of a positive anchor (any row elsewhere).
        positive: bool [B, A], the anchor learns an object.
        negative: bool [B, A], the anchor learns background.
    """

    gt_index: Tensor
    positive: Tensor
    negative: Tensor


def match_anchors(
    anchors_xyxy: Tensor, gt_boxes: Tensor, gt_kinds: Tensor, config: MatchingConfig
) -> AnchorMatches:
    """Matches anchors to objects.

    Each object owns the anchor that `assign_best_anchors` gives it. Beside these, an anchor is
    positive for the object that it overlaps most if that IoU reaches `positive_iou`. Anchors on
    ignored objects, in DontCare regions or just below `positive_iou` learn nothing.

    Args:
        anchors_xyxy: float [A, 4], pixels of the network input.
        gt_boxes: float [B, N, 4] in the same pixels.
        gt_kinds: int [B, N] of `boxes.kinds`.
        config: the thresholds.
    """
    boxes = ops.expand_dims(gt_boxes, 2)  # [B, N, 1, 4]
    shared = intersection(boxes, anchors_xyxy)  # [B, N, A]
    anchor_areas = area(anchors_xyxy)  # [A]
    ious = shared / ops.maximum(area(boxes) + anchor_areas - shared, 1e-6)
    # N may be 0 rows of objects: -1 keeps them below every threshold.
    object_ious = ops.where(_is_kind(gt_kinds, OBJECT), ious, -1.0)
    owned = _owned_anchors(object_ious, gt_kinds)  # [B, N, A]
    is_owned = ops.any(owned, axis=1)

    best_iou = ops.max(object_ious, axis=1)  # [B, A]
    positive = ops.logical_or(is_owned, best_iou >= config.positive_iou)
    gt_index = ops.where(
        is_owned,
        ops.argmax(ops.cast(owned, "int32"), axis=1),
        ops.argmax(object_ious, axis=1),
    )
    neutral = ops.logical_or(
        best_iou >= config.ignore_iou,
        _on_ignored(ious, shared / ops.maximum(anchor_areas, 1e-6), gt_kinds, config),
    )
    negative = ops.logical_not(ops.logical_or(positive, neutral))
    return AnchorMatches(ops.cast(gt_index, "int32"), positive, negative)


def assign_best_anchors(object_ious: Tensor) -> Tensor:
    """Gives each object an anchor of its own, the pairs of highest IoU first.

    The greedy one-to-one assignment: of all open pairs the one with the highest IoU is fixed, its
    object and its anchor leave, and so on. N candidates an object suffice, since at most N - 1
    of them can be lost to others.

    Args:
        object_ious: float [B, N, A], -1 in the rows that are no objects; N <= A.

    Returns:
        int32 [B, N], the anchor of each object, -1 in the rows that are no objects.
    """
    num_objects = ops.shape(object_ious)[1]
    scores, candidates = ops.top_k(object_ious, k=num_objects)  # [B, N, K]
    candidates = ops.cast(candidates, "int32")
    rows = ops.arange(num_objects, dtype="int32")  # [N]

    def fix_best_pair(_: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        scores, assigned = state
        best_of_object = ops.max(scores, axis=2)  # [B, N]
        chosen = ops.cast(ops.argmax(best_of_object, axis=1), "int32")[:, None]  # [B, 1]
        is_chosen = ops.logical_and(rows[None] == chosen, best_of_object >= 0)  # [B, N]
        slot = ops.cast(ops.argmax(scores, axis=2), "int32")  # [B, N]
        anchor_of_object = ops.squeeze(
            ops.take_along_axis(candidates, slot[:, :, None], axis=2), axis=2
        )
        assigned = ops.where(is_chosen, anchor_of_object, assigned)
        anchor = ops.max(ops.where(is_chosen, anchor_of_object, -1), axis=1)  # [B]
        taken = ops.logical_or(is_chosen[:, :, None], candidates == anchor[:, None, None])
        return ops.where(taken, -1.0, scores), assigned

    unassigned = ops.full_like(candidates[:, :, 0], -1)
    _, assigned = ops.fori_loop(0, num_objects, fix_best_pair, (scores, unassigned))
    return assigned


def _owned_anchors(object_ious: Tensor, gt_kinds: Tensor) -> Tensor:
    assigned = assign_best_anchors(object_ious)
    indices = ops.arange(ops.shape(object_ious)[2], dtype="int32")
    owned = assigned[:, :, None] == indices  # [B, N, A]
    return ops.logical_and(owned, _is_kind(gt_kinds, OBJECT))


def _on_ignored(ious: Tensor, covered: Tensor, gt_kinds: Tensor, config: MatchingConfig) -> Tensor:
    """Anchors [B, A] that lie on something which is neither object nor background."""
    ignored_ious = ops.where(_is_kind(gt_kinds, IGNORED), ious, -1.0)
    # A small ignored object may be far from every anchor's shape: its best anchor counts too.
    best = ops.maximum(ops.max(ignored_ious, axis=2, keepdims=True), 1e-6)
    on_ignored = ops.logical_or(ignored_ious >= config.ignore_iou, ignored_ious >= best)
    in_dont_care = ops.logical_and(
        covered >= config.dont_care_overlap, _is_kind(gt_kinds, DONT_CARE)
    )
    return ops.any(ops.logical_or(on_ignored, in_dont_care), axis=1)


def _is_kind(gt_kinds: Tensor, kind: int) -> Tensor:
    return ops.expand_dims(gt_kinds == kind, 2)  # [B, N, 1]
