"""Which anchor learns which object: decided on the batch, without losing an object."""

from __future__ import annotations

from typing import NamedTuple

from keras import ops

from mobilenetdet.boxes.geometry import Tensor, area, intersection
from mobilenetdet.boxes.kinds import DONT_CARE, IGNORED, OBJECT
from mobilenetdet.config import MatchingConfig

# Anchors a group in the search for the largest values.
_GROUP = 32
# More than any IoU.
_UNREACHABLE = 2.0


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
    ignored objects, in DontCare regions (unless the config counts these as background) or just
    below `positive_iou` learn nothing.

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
    # -1 keeps the rows that are no objects below every threshold.
    object_ious = ops.where(_is_kind(gt_kinds, OBJECT), ious, -1.0)
    best_iou = ops.max(object_ious, axis=1)  # [B, A]
    owner = _owners(assign_best_anchors(object_ious), ops.shape(best_iou))  # [B, A]
    is_owned = owner >= 0
    positive = ops.logical_or(is_owned, best_iou >= config.positive_iou)
    favourite = _first_equal(object_ious, best_iou)
    gt_index = ops.where(is_owned, owner, favourite)
    neutral = best_iou >= config.ignore_iou
    if config.ignore_regions:
        neutral = ops.logical_or(neutral, _on_ignored(ious, shared, anchor_areas, gt_kinds, config))
    negative = ops.logical_not(ops.logical_or(positive, neutral))
    return AnchorMatches(gt_index, positive, negative)


def assign_best_anchors(object_ious: Tensor) -> Tensor:
    """Gives each object an anchor of its own, the pairs of highest IoU first.

    The greedy one-to-one assignment: of all open pairs the one with the highest IoU is fixed, its
    object and its anchor leave, and so on. Each round fixes every pair that is the best of both
    its object and its anchor, since greedy would come to it untouched. Objects rarely share their
    best anchor, so that few rounds are needed. Of equals the first object goes first.

    Args:
        object_ious: float [B, N, A], -1 in the rows that are no objects; N <= A.

    Returns:
        int32 [B, N], the anchor of each object, -1 in the rows that are no objects.
    """
    count = ops.shape(object_ious)[1]
    rows = ops.arange(count, dtype="int32")
    earlier = rows[None, :] < rows[:, None]  # [N, N]: m before n
    # The others take at most N - 1 anchors, so that one of its best N is left to each object.
    # Of equals the lower anchor comes first.
    best_ious, candidates = top_anchors(object_ious, count)  # [B, N, N]

    def fix_mutual_bests(ious: Tensor, assigned: Tensor) -> tuple[Tensor, Tensor]:
        """One round: each object that is the best of its best free anchor gets it and leaves."""
        first = ops.argmax(ious, axis=2)[:, :, None]
        wanted = ops.take_along_axis(candidates, first, axis=2)[:, :, 0]  # [B, N]
        own = ops.max(ious, axis=2)  # [B, N], -1 for objects that have left
        # What every object m thinks of the anchor that n wants: [B, n, m].
        rivals = ops.transpose(
            ops.take_along_axis(object_ious, wanted[:, None, :], axis=2), (0, 2, 1)
        )
        rivals = ops.where(own[:, None, :] >= 0, rivals, -1.0)
        beaten = ops.logical_or(
            rivals > own[:, :, None], ops.logical_and(rivals == own[:, :, None], earlier)
        )
        fixed = ops.logical_and(own >= 0, ops.logical_not(ops.any(beaten, axis=2)))
        assigned = ops.where(fixed, wanted, assigned)
        taken = ops.where(fixed, wanted, -1)[:, None, None, :]
        is_taken = ops.any(candidates[..., None] == taken, axis=3)  # [B, N, N]
        closed = ops.logical_or(fixed[:, :, None], is_taken)
        return ops.where(closed, -1.0, ious), assigned

    nobody = ops.cast(ops.full_like(object_ious[:, :, 0], -1), "int32")
    _, assigned = ops.while_loop(
        lambda ious, _: ops.any(ious >= 0),
        fix_mutual_bests,
        (best_ious, nobody),
        maximum_iterations=count,
    )
    return assigned


def top_anchors(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Finds the largest values along the last axis, of equals the first: `ops.top_k`, but faster.

    The largest k values lie in the k groups that have the largest maxima. On a CPU that is several
    times faster than a heap of k over a hundred thousand anchors.

    Args:
        values: float [B, N, A], none below -1.
        count: k, at most A.

    Returns:
        The values [B, N, k], falling, and their int32 indices.
    """
    length = values.shape[-1]
    padding = -length % _GROUP
    padded = ops.pad(values, ((0, 0), (0, 0), (0, padding)), constant_values=-2.0)
    groups = ops.reshape(padded, (*ops.shape(values)[:2], -1, _GROUP))
    num_groups = (length + padding) // _GROUP
    # In a graph of TensorFlow the number of rows is a tensor.
    fewer = min if isinstance(count, int) else ops.minimum
    _, best = ops.top_k(ops.max(groups, axis=-1), fewer(count, num_groups))
    best = ops.sort(ops.cast(best, "int32"), axis=-1)  # [B, N, k]
    members = ops.take_along_axis(groups, best[..., None], axis=2)  # [B, N, k, group]
    shape = (*ops.shape(values)[:2], -1)
    places = ops.reshape(best[..., None] * _GROUP + ops.arange(_GROUP, dtype="int32"), shape)
    top, inner = ops.top_k(ops.reshape(members, shape), count)
    return top, ops.take_along_axis(places, ops.cast(inner, "int32"), axis=-1)


def _first_equal(values: Tensor, best: Tensor) -> Tensor:
    """The first row of [B, N, A] that has the best value [B, A]; `argmax` is several times slower.

    TensorFlow's argmax over an axis other than the last walks with large steps.
    """
    count = ops.shape(values)[1]
    rows = ops.arange(count, dtype="int32")[:, None]  # [N, 1]
    return ops.min(ops.where(values == best[:, None, :], rows, count), axis=1)


def _owners(assigned: Tensor, shape: tuple[Tensor, Tensor]) -> Tensor:
    """Turns the anchor of each object [B, N] into the object of each anchor [B, A], -1 for none."""
    batch, num_anchors = shape
    count = ops.shape(assigned)[1]
    # Rows without an anchor write into one place more, which is cut off.
    slots = ops.where(assigned >= 0, assigned, num_anchors)
    slots = slots + ops.arange(batch, dtype="int32")[:, None] * (num_anchors + 1)
    objects = ops.broadcast_to(ops.arange(count, dtype="int32"), (batch, count))
    owners = ops.scatter_update(
        ops.full((batch * (num_anchors + 1),), -1, dtype="int32"),
        ops.reshape(slots, (-1, 1)),
        ops.reshape(objects, (-1,)),
    )
    return ops.reshape(owners, (batch, num_anchors + 1))[:, :num_anchors]


def _on_ignored(
    ious: Tensor, shared: Tensor, anchor_areas: Tensor, gt_kinds: Tensor, config: MatchingConfig
) -> Tensor:
    """Anchors [B, A] that lie on something which is neither object nor background."""
    # A small ignored object may be far from every anchor's shape: its best anchor counts too.
    best = ops.maximum(ops.max(ious, axis=2, keepdims=True), 1e-6)  # [B, N, 1]
    limits = ops.where(
        _is_kind(gt_kinds, IGNORED), ops.minimum(best, config.ignore_iou), _UNREACHABLE
    )
    on_ignored = ops.any(ious >= limits, axis=1)
    covered = ops.max(ops.where(_is_kind(gt_kinds, DONT_CARE), shared, -1.0), axis=1)
    in_dont_care = covered >= config.dont_care_overlap * ops.maximum(anchor_areas, 1e-6)
    return ops.logical_or(on_ignored, in_dont_care)


def _is_kind(gt_kinds: Tensor, kind: int) -> Tensor:
    return ops.expand_dims(gt_kinds == kind, 2)  # [B, N, 1]
