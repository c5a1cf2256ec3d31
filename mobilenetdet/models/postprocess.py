"""From scored boxes to detections, for eval, visualize and predict.

`boxes/numpy_postprocess.py` is the same for runtimes without Keras.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from keras import ops

from mobilenetdet.boxes.gather import batched_gather, top_k_anchors
from mobilenetdet.boxes.geometry import Tensor, area, pairwise_iou
from mobilenetdet.boxes.limits import NO_VOTES
from mobilenetdet.config.detection import GreedyNms, PostprocessConfig, SoftNms


def select_detections(
    scores: Tensor,
    boxes_of: Callable[[Tensor], Tensor],
    image_size: tuple[int, int],
    config: PostprocessConfig,
) -> dict[str, Tensor]:
    """Clips boxes to the network input, suppresses duplicates class by class, keeps the best.

    Where the config has boxes vote, those that are suppressed still help to place the others.

    Args:
        scores: [B, C, A], 0 to 1.
        boxes_of: takes int [B, K] and gives the boxes xyxy [B, K, 4] of these anchors, pixels of
            the network input. Few of the anchors are candidates, so that boxes of all are seldom
            worth their time.
        image_size: (height, width) of the network input.
        config: thresholds and counts.

    Returns:
        "boxes" [B, M, 4], "scores" [B, M] and "classes" int32 [B, M] with
        M = min(max_detections, C * candidates), best first; empty places have score 0, class -1.
    """
    height, width = image_size
    num_classes, num_anchors = scores.shape[1:]
    count = min(config.max_candidates, num_anchors)
    scores, index = top_k_anchors(scores, count)  # [B, C, K]
    index = ops.reshape(index, (-1, num_classes * count))
    boxes = ops.reshape(boxes_of(index), (-1, num_classes, count, 4))  # [B, C, K, 4]
    limits = ops.convert_to_tensor([width, height, width, height], dtype=boxes.dtype)
    boxes = ops.clip(boxes, 0.0, limits)
    # What lies outside of the image is clipped to nothing.
    valid = ops.logical_and(scores >= config.score_threshold, area(boxes) > 0)
    scores = ops.where(valid, scores, 0.0)
    ious = pairwise_iou(boxes, boxes)  # [B, C, K, K]
    if config.vote_sigma:
        boxes = vote(boxes, scores, ious, config.vote_sigma)
    most = min(config.max_detections, num_classes * count)
    scores = suppress(ious, scores, config.suppression, config.score_threshold)
    flat = (-1, num_classes * count)
    best = _best(ops.reshape(boxes, (*flat, 4)), ops.reshape(scores, flat), count, most)
    return _calibrate(best, config.calibration) if config.calibration else best


def suppress(
    ious: Tensor, scores: Tensor, suppression: GreedyNms | SoftNms, min_score: float
) -> Tensor:
    """Scores after suppression of duplicates, 0 for boxes that are dropped.

    Args:
        ious: [..., K, K], of boxes sorted by falling score.
        scores: [..., K]; 0 for boxes that are none.
        suppression: greedy or soft, with its numbers.
        min_score: boxes that soft-NMS lowers below this are dropped.

    Returns:
        [..., K].
    """
    if isinstance(suppression, SoftNms):
        return soft_nms(ious, scores, suppression.sigma, min_score, suppression.rounds)
    return ops.where(greedy_nms(ious, suppression.max_iou), scores, 0.0)


def vote(boxes_xyxy: Tensor, scores: Tensor, ious: Tensor, sigma: float) -> Tensor:
    """Moves each box to the mean of the boxes around it, weighted by score and overlap.

    Box voting (arXiv 1505.01749) with the weights of softer-NMS (arXiv 1809.08545):
    score * exp(-(1 - IoU)^2 / sigma). Anchors beside each other that found the same object err
    in different ways.

    Args:
        boxes_xyxy: [..., K, 4].
        scores: [..., K], 0 for boxes that have no vote; these stay where they are unless others
            overlap them.
        ious: [..., K, K], of the boxes.
        sigma: above 0; the smaller, the less a distant box counts.

    Returns:
        [..., K, 4].
    """
    weights = ops.exp(-((1.0 - ious) ** 2) / sigma) * scores[..., None, :]
    total = ops.sum(weights, axis=-1, keepdims=True)
    # No matmul: GPUs round what it multiplies to 10 bits, and pixels beyond 1024 to whole ones.
    sums = ops.sum(weights[..., None] * boxes_xyxy[..., None, :, :], axis=-2)
    means = sums / ops.maximum(total, NO_VOTES)
    return ops.where(total > NO_VOTES, means, boxes_xyxy)


def greedy_nms(ious: Tensor, max_iou: float) -> Tensor:
    """Which of the boxes, sorted by falling score, survive greedy suppression.

    A box is dropped if a surviving better one overlaps it by more than `max_iou`. Each round
    decides all boxes at once by the survivors of the round before; the fixed point, usually reached
    after a handful of rounds, is the greedy result.

    Args:
        ious: [..., K, K], of the boxes.
        max_iou: 0 to 1.

    Returns:
        bool [..., K].
    """
    count = ious.shape[-1]
    better = ops.convert_to_tensor(np.tri(count, k=-1, dtype=bool))  # [K, K], column before row
    overlaps = ops.logical_and(ious > max_iou, better)
    overlaps = ops.cast(overlaps, "float32")

    def suppress(keep: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        hits = ops.squeeze(ops.matmul(overlaps, keep[..., None]), axis=-1)
        updated = ops.cast(hits < 0.5, "float32")
        return updated, ops.any(updated != keep)

    start = ops.ones_like(ious[..., 0])
    keep, _ = ops.while_loop(
        lambda _, changed: changed,
        suppress,
        (start, ops.convert_to_tensor(True)),
        maximum_iterations=count,
    )
    return keep > 0.5


def soft_nms(
    ious: Tensor, scores: Tensor, sigma: float, min_score: float, num_rounds: int = 0
) -> Tensor:
    """Lowers scores where better boxes overlap (arXiv 1704.04503, the Gaussian variant).

    The best box is taken, the scores of the others fall by exp(-IoU^2 / sigma), and so on. Each
    round fixes all local maxima, boxes that no overlapping box outscores: a handful of rounds
    instead of one a box, with the same result.

    Args:
        ious: [..., K, K], of the boxes.
        scores: [..., K]; 0 for boxes that are none.
        sigma: above 0; the smaller, the harder.
        min_score: boxes that fall below are dropped.
        num_rounds: what is left after so many is taken with the scores that it has; 0 goes on to
            the end, as the paper does.

    Returns:
        [..., K], the scores with which boxes were taken; 0 for those that were not.
    """
    count = ious.shape[-1]
    exponents = ious**2 / sigma
    # A box's rivals are those that overlap it; of equals the first is the better.
    rivals = ops.sign(ious) * (1.0 - np.eye(count, dtype="float32"))
    earlier_rivals = rivals * np.tri(count, k=-1, dtype="float32")  # [K, K], column before row

    def take_best(left: Tensor, taken: Tensor) -> tuple[Tensor, Tensor]:
        """Moves the best scores to those taken and lowers their neighbours'."""
        rivalling = left[..., None, :]
        best = ops.logical_and(
            left >= ops.max(rivals * rivalling, axis=-1),
            left > ops.max(earlier_rivals * rivalling, axis=-1),
        )
        best = ops.cast(best, left.dtype)
        lowered = ops.squeeze(ops.matmul(exponents, best[..., None]), axis=-1)
        rest = left * ops.exp(-lowered) * (1 - best)
        return ops.where(rest >= min_score, rest, 0.0), taken + best * left

    left, taken = scores, ops.zeros_like(scores)
    if num_rounds:
        for _ in range(num_rounds):
            left, taken = take_best(left, taken)
        return taken + left
    _, taken = ops.while_loop(
        lambda left, _: ops.any(left > 0), take_best, (left, taken), maximum_iterations=count
    )
    return taken


def _best(boxes: Tensor, scores: Tensor, per_class: int, count: int) -> dict[str, Tensor]:
    scores, index = ops.top_k(scores, k=count)  # [B, M]
    index = ops.cast(index, "int32")
    classes = ops.where(scores > 0, index // per_class, -1)
    boxes = batched_gather(boxes, index)
    return {"boxes": boxes, "scores": scores, "classes": classes}


def _calibrate(
    found: dict[str, Tensor], lines: tuple[tuple[float, float], ...]
) -> dict[str, Tensor]:
    """Moves the log odds of the scores along the line of each class; the best come first again."""
    line = ops.take(ops.convert_to_tensor(lines, dtype="float32"), found["classes"], axis=0)
    # Not log1p, which ONNX lacks; what is lost is below what float32 holds of the odds.
    odds = ops.log(found["scores"]) - ops.log(1.0 - ops.minimum(found["scores"], 1 - 1e-6))
    scores = ops.sigmoid(line[..., 0] * odds + line[..., 1])
    scores = ops.where(found["classes"] >= 0, scores, 0.0)
    scores, order = ops.top_k(scores, k=scores.shape[1])  # [B, M]
    order = ops.cast(order, "int32")
    return {
        "boxes": batched_gather(found["boxes"], order),
        "scores": scores,
        "classes": batched_gather(found["classes"], order),
    }
