"""Matching anchors to objects, on the batch; every object keeps at least one anchor."""

from __future__ import annotations

from typing import NamedTuple

from keras import ops

from mobilenetdet.boxes.anchors import AnchorGrid
from mobilenetdet.boxes.box_status import DONT_CARE, IGNORED, OBJECT, WITHOUT_WEIGHT
from mobilenetdet.boxes.gather import PositiveAnchors, top_k_anchors
from mobilenetdet.boxes.geometry import Tensor
from mobilenetdet.boxes.grid_iou import from_iou, signed_overlaps
from mobilenetdet.config.detection import MatchingConfig

# More than any overlap.
_UNREACHABLE = 2.0


class AnchorMatches(NamedTuple):
    """The assignment of anchors; those neither positive nor negative have weight 0 in the loss.

    Attributes:
        gt_index: int32 [B, A], row of the matched object of a positive anchor, 0 elsewhere.
        positive: bool [B, A], matched to an object.
        negative: bool [B, A], background.
    """

    gt_index: Tensor
    positive: Tensor
    negative: Tensor


def match_anchors(
    grid: AnchorGrid, gt_boxes: Tensor, gt_status: Tensor, config: MatchingConfig
) -> AnchorMatches:
    """Matches anchors to objects by IoU, SSD's way, with a one-to-one match for every object.

    Each object owns the anchor that `assign_best_anchors` gives it, if it overlaps one. Any other
    anchor is positive for the object of its highest IoU if that reaches `positive_iou`. Anchors on
    ignored objects, in DontCare regions (unless the config counts these as background) or with an
    IoU between `ignore_iou` and `positive_iou` are neither positive nor negative, nor is any anchor
    of a frame WITHOUT_WEIGHT.

    Args:
        grid: the anchors.
        gt_boxes: float [B, N, 4], pixels of the network input.
        gt_status: int [B, N] of `boxes.box_status`.
        config: the thresholds.
    """
    overlaps = signed_overlaps(grid, gt_boxes, gt_status)  # [B, N, A]
    best = ops.max(overlaps, axis=1)  # [B, A], above 0 only for objects
    assigned = assign_best_anchors(overlaps, gt_status == OBJECT)
    owner = _owners(assigned, ops.shape(best))  # [B, A]
    is_owned = owner >= 0
    is_covered = best >= from_iou(config.positive_iou)
    positive = ops.logical_or(is_owned, is_covered)
    gt_index = ops.where(is_owned, owner, _best_objects(overlaps, is_covered))
    neutral = best >= from_iou(config.ignore_iou)
    if config.ignore_regions:
        neutral = ops.logical_or(neutral, _on_ignored(overlaps, gt_status, config))
    neutral = ops.logical_or(neutral, ops.any(gt_status == WITHOUT_WEIGHT, axis=1)[:, None])
    negative = ops.logical_not(ops.logical_or(positive, neutral))
    return AnchorMatches(gt_index, positive, negative)


def assign_best_anchors(overlaps: Tensor, is_object: Tensor) -> Tensor:
    """Assigns each object an anchor of its own, greedily by the highest overlap.

    Greedy one-to-one assignment takes the pair of the highest overlap, removes its object and its
    anchor, and repeats. Here each round takes every pair that is the best of both its object and
    its anchor, which gives the same result in few rounds, since objects rarely share their best
    anchor. Ties go to the first object. An object that overlaps no anchor gets none.

    Args:
        overlaps: float [B, N, A], -1 to 1; 0 or more in the rows of objects; N <= A.
        is_object: bool [B, N].

    Returns:
        int32 [B, N], the anchor of each object, -1 in the rows that are no objects and of objects
        that overlap no anchor.
    """
    count = ops.shape(overlaps)[1]
    rows = ops.arange(count, dtype="int32")
    earlier = rows[None, :] < rows[:, None]  # [N, N]: m before n
    # The others take at most N - 1 anchors, so that one of its best N is left to each object.
    # Of equals the lower anchor comes first.
    best, candidates = top_k_anchors(overlaps, count)  # [B, N, N]
    overlaps_some = ops.logical_and(is_object, best[:, :, 0] > 0)
    best = ops.where(overlaps_some[:, :, None], best, -1.0)

    def fix_mutual_bests(best: Tensor, assigned: Tensor) -> tuple[Tensor, Tensor]:
        """Fixes the pairs in which object and anchor are each other's best."""
        first = ops.argmax(best, axis=2)[:, :, None]
        wanted = ops.take_along_axis(candidates, first, axis=2)[:, :, 0]  # [B, N]
        own = ops.max(best, axis=2)  # [B, N], -1 for objects that have left
        # Overlap of every object m with the anchor that n wants: [B, n, m].
        rivals = ops.transpose(ops.take_along_axis(overlaps, wanted[:, None, :], axis=2), (0, 2, 1))
        rivals = ops.where(own[:, None, :] >= 0, rivals, -1.0)
        beaten = ops.logical_or(
            rivals > own[:, :, None], ops.logical_and(rivals == own[:, :, None], earlier)
        )
        fixed = ops.logical_and(own >= 0, ops.logical_not(ops.any(beaten, axis=2)))
        assigned = ops.where(fixed, wanted, assigned)
        taken = ops.where(fixed, wanted, -1)[:, None, None, :]
        is_taken = ops.any(candidates[..., None] == taken, axis=3)  # [B, N, N]
        closed = ops.logical_or(fixed[:, :, None], is_taken)
        return ops.where(closed, -1.0, best), assigned

    nobody = ops.full_like(candidates[:, :, 0], -1)
    _, assigned = ops.while_loop(
        lambda best, _: ops.any(best >= 0),
        fix_mutual_bests,
        (best, nobody),
        maximum_iterations=count,
    )
    return assigned


def _best_objects(overlaps: Tensor, is_covered: Tensor) -> Tensor:
    """The object [B, A] that each covered anchor overlaps most, of equals the first; 0 elsewhere.

    TensorFlow's argmax over [B, N, A] takes longer than all else here, and few anchors are covered.
    """
    covered = PositiveAnchors(is_covered)
    best = ops.argmax(covered.take_pairs(overlaps), axis=1)
    return covered.put(ops.cast(best, "int32"))


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


def _on_ignored(overlaps: Tensor, gt_status: Tensor, config: MatchingConfig) -> Tensor:
    """Anchors [B, A] on ignored objects or in DontCare regions."""
    # A small ignored object may be far from every anchor's shape: its best anchor counts too.
    best = ops.maximum(-ops.min(overlaps, axis=2), 1e-6)  # [B, N]
    of_ignored = ops.minimum(best, from_iou(config.ignore_iou))
    limits = ops.where(gt_status == IGNORED, of_ignored, _UNREACHABLE)
    limits = ops.where(gt_status == DONT_CARE, config.dont_care_overlap, limits)
    return ops.any(overlaps <= -limits[:, :, None], axis=1)
