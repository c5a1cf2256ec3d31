"""From raw predictions to detections in numpy, for runtimes that end at the former.

The same as `models/postprocess.py` and `boxes/coding.py`, which a test holds it to, for one image
at a time and without Keras. Of tens of thousands of anchors a few hundred can reach the threshold:
a comparison of logits finds them, and only their scores and boxes are computed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mobilenetdet.boxes.anchors import AnchorGrid
from mobilenetdet.boxes.limits import MAX_LOG_SCALE, NO_VOTES, SMALLEST_AREA

if TYPE_CHECKING:
    from mobilenetdet.config.detection import PostprocessConfig
    from mobilenetdet.exported_info import ExportedInfo

_LARGEST_SHARE = np.float32(1 - 1e-6)
# `_least_logit` is by so much lower than it need be, far above the rounding of float32; beyond the
# ends a sigmoid in float32 hardly changes any more.
_MARGIN, _SMALLEST_SCORE, _LARGEST_LOGIT = 0.01, 1e-30, 8.0
# Boxes xyxy [N, 4], scores [N] and class ids [N], the best first; places to spare have class -1.
Found = tuple[np.ndarray, np.ndarray, np.ndarray]


class NumpyPostprocess:
    """From the raw predictions of one image to its detections."""

    def __init__(self, info: ExportedInfo, settings: PostprocessConfig) -> None:
        """Places the anchors.

        Args:
            info: of the network.
            settings: thresholds, suppression and calibration; only their names count.
        """
        self.settings, self.scores_from = settings, info.scores_from
        self.image_size, self.num_classes = info.image_size, len(info.classes)
        self.grid = AnchorGrid(info.image_size, info.anchor_levels)
        self.anchors = self.grid.boxes_xyxy()  # [A, 4]

    def __call__(self, predictions: Mapping[str, np.ndarray]) -> Found:
        """Makes detections of "deltas" [1, A, 4], "class_logits" [1, A, C] and the like."""
        settings, places = self.settings, min(self.settings.max_candidates, len(self.anchors))
        anchors = self._candidates(predictions)  # [A'], few of all
        of_class = self._scores(predictions, anchors)  # [C, A']
        rows = [best_first(each, settings.score_threshold, places) for each in of_class]
        scores = _padded([each[of_row] for each, of_row in zip(of_class, rows, strict=True)])
        boxes = self._boxes(predictions["deltas"][0], anchors[_padded(rows)])  # [C, K, 4]
        scores[_area(boxes) <= 0] = 0
        boxes, scores = self._suppress(boxes, scores)
        most = min(settings.max_detections, self.num_classes * places)
        found = _best(boxes, scores, most)
        return _calibrated(found, settings.calibration) if settings.calibration else found

    def average_mirrored(
        self, predictions: Mapping[str, np.ndarray], mirrored: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Means of the raw predictions for an image and for its mirror image.

        Raises:
            ValueError: the anchors have no mirror image.
        """
        order = self.grid.mirror_order()
        back = {name: value[:, order] for name, value in mirrored.items()}
        back["deltas"] = back["deltas"] * np.array([-1, 1, 1, 1], np.float32)
        return {name: (value + back[name]) / 2 for name, value in predictions.items()}

    def _candidates(self, predictions: Mapping[str, np.ndarray]) -> np.ndarray:
        """Anchors, rising: all that score the threshold in a class, and few others.

        No score is above the sigmoid of the bound that is compared here.
        """
        if self.scores_from == "softmax_times_confidence":
            bound = predictions["confidence_logits"][0]  # [A]
        else:
            bound = predictions["class_logits"][0]  # [A, C]
            if self.scores_from == "softmax_after_background":
                bound = bound[:, 1:] - bound[:, :1]
        places = np.flatnonzero(bound >= _least_logit(self.settings.score_threshold))
        if bound.ndim == 1:
            return places
        anchors = places // bound.shape[1]
        return anchors[np.diff(anchors, prepend=-1) > 0]  # `np.unique` takes milliseconds

    def _scores(self, predictions: Mapping[str, np.ndarray], anchors: np.ndarray) -> np.ndarray:
        """Scores [C, N] of some anchors [N], 0 to 1."""
        logits = predictions["class_logits"][0].take(anchors, axis=0)  # faster than indexing
        logits = np.ascontiguousarray(logits.T, np.float32)
        if self.scores_from == "sigmoid":
            return _sigmoid(logits)
        powers = np.exp(logits - logits.max(axis=0))
        shares = powers / powers.sum(axis=0)
        if self.scores_from == "softmax_after_background":
            return shares[1:]
        return shares * _sigmoid(predictions["confidence_logits"][0][anchors])

    def _boxes(self, deltas: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Boxes xyxy [C, K, 4] of some anchors [C, K], clipped to the input."""
        deltas, anchors = deltas.take(index, axis=0), self.anchors.take(index, axis=0)
        deltas = deltas.astype(np.float32, copy=False)
        sides = anchors[..., 2:] - anchors[..., :2]
        centres = deltas[..., :2] * sides + (anchors[..., :2] + anchors[..., 2:]) / 2
        halves = sides * np.exp(np.clip(deltas[..., 2:], -MAX_LOG_SCALE, MAX_LOG_SCALE)) / 2
        height, width = self.image_size
        limits = np.array([width, height, width, height], np.float32)
        return np.clip(np.concatenate([centres - halves, centres + halves], axis=-1), 0, limits)

    def _suppress(self, boxes: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes [C, K, 4] and scores [C, K] after voting and suppression, class by class."""
        settings, suppression = self.settings, self.settings.suppression
        ious = pairwise_iou(boxes)
        if settings.vote_sigma:
            boxes = _vote(boxes, scores, ious, settings.vote_sigma)
        if suppression.kind == "soft":
            scores = soft_nms(
                ious, scores, suppression.sigma, settings.score_threshold, suppression.rounds
            )
        else:
            keep = [greedy_nms(of_class, suppression.max_iou) for of_class in ious]
            scores = np.where(keep, scores, 0)
        return boxes, scores


def _padded(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Stacks arrays, the shorter ones with zeros at the end."""
    stacked = np.zeros((len(rows), max(map(len, rows))), rows[0].dtype)
    for place, row in zip(stacked, rows, strict=True):
        place[: len(row)] = row
    return stacked


def best_first(scores: np.ndarray, threshold: float, count: int) -> np.ndarray:
    """Indices of at most `count` scores [A] from a threshold on, falling; of equals the first."""
    rows = np.flatnonzero(scores >= np.float32(threshold))
    if len(rows) > 4 * count:  # all that tie with the last one stay, so that the first of them win
        least = np.partition(scores[rows], len(rows) - count)[len(rows) - count]
        rows = rows[scores[rows] >= least]
    return rows[np.argsort(-scores[rows], kind="stable")[:count]]


def pairwise_iou(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Intersection over union [..., K, K] of boxes [..., K, 4]."""
    left, top, right, bottom = np.moveaxis(boxes_xyxy, -1, 0).copy()
    shared = _overlaps(left, right)
    shared *= _overlaps(top, bottom)
    areas = _area(boxes_xyxy)
    union = areas[..., :, None] + areas[..., None, :]
    union -= shared
    np.maximum(union, np.float32(SMALLEST_AREA), out=union)
    return np.divide(shared, union, out=shared)


def _overlaps(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Lengths [..., K, K] that intervals [..., K] have in common."""
    lengths = np.minimum(ends[..., :, None], ends[..., None, :])
    lengths -= np.maximum(starts[..., :, None], starts[..., None, :])
    return np.maximum(lengths, 0, out=lengths)


def greedy_nms(ious: np.ndarray, max_iou: float) -> np.ndarray:
    """Which of the boxes, sorted by falling score, no surviving better one overlaps: bool [K]."""
    overlaps = ious > max_iou
    keep = np.ones(len(ious), bool)
    for index in range(len(ious)):
        if keep[index]:
            keep[index + 1 :] &= ~overlaps[index, index + 1 :]
    return keep


def soft_nms(
    ious: np.ndarray, scores: np.ndarray, sigma: float, min_score: float, num_rounds: int
) -> np.ndarray:
    """Scores [C, K] after soft-NMS, 0 for dropped ones; `models/postprocess.py` says how."""
    exponents, count = ious**2 / np.float32(sigma), ious.shape[-1]
    # Of a box and its rivals the lowest rank is the box's own if it is to be taken. The smallest
    # integers that will do make that the faster.
    beyond = (ious <= 0).astype(np.min_scalar_type(-count - 1)) * count  # [C, K, K]
    left, taken = scores.astype(np.float32), np.zeros(scores.shape, np.float32)
    for _ in range(num_rounds or count):
        if not left.any():
            break
        order = np.argsort(-left, axis=-1, kind="stable")  # of equals the first before the others
        ranks = np.argsort(order, axis=-1).astype(beyond.dtype)
        best = (np.maximum(beyond, ranks[..., None]).min(axis=-2) >= ranks) & (left > 0)
        taken += np.where(best, left, 0)
        lowered = (exponents @ best[..., None].astype(np.float32))[..., 0]
        left = np.where(best, 0, left * np.exp(-lowered))
        left[left < np.float32(min_score)] = 0
    return taken + left if num_rounds else taken


def _vote(boxes: np.ndarray, scores: np.ndarray, ious: np.ndarray, sigma: float) -> np.ndarray:
    weights = 1 - ious
    np.square(weights, out=weights)
    weights /= np.float32(-sigma)
    np.exp(weights, out=weights)
    weights *= scores[..., None, :]
    total = weights.sum(axis=-1, keepdims=True)
    means = weights @ boxes / np.maximum(total, np.float32(NO_VOTES))
    return np.where(total > NO_VOTES, means, boxes)


def _best(boxes: np.ndarray, scores: np.ndarray, most: int) -> Found:
    """The best of all classes; places to spare have score 0 and class -1."""
    flat, per_class = scores.reshape(-1), scores.shape[1]
    order = np.argsort(-flat, kind="stable")[:most]
    order = order[flat[order] > 0]
    found = (
        np.zeros((most, 4), np.float32), np.zeros(most, np.float32), np.full(most, -1, np.int32)
    )  # fmt: skip
    values = (boxes.reshape(-1, 4)[order], flat[order], order // max(per_class, 1))
    for place, each in zip(found, values, strict=True):
        place[: len(order)] = each
    return found


def _calibrated(found: Found, lines: tuple[tuple[float, float], ...]) -> Found:
    """Moves the log odds of the scores along the line of each class; the best come first again."""
    boxes, scores, class_ids = found
    count = int((class_ids >= 0).sum())
    slope, offset = np.array(lines, np.float32)[class_ids[:count]].T
    scores = scores[:count]
    odds = np.log(scores) - np.log(1 - np.minimum(scores, _LARGEST_SHARE))
    calibrated = _sigmoid(slope * odds + offset)
    order = np.argsort(-calibrated, kind="stable")
    for values, new in zip(found, (boxes, calibrated, class_ids), strict=True):
        values[:count] = new[:count][order]
    return found


def _area(boxes_xyxy: np.ndarray) -> np.ndarray:
    sides = np.maximum(boxes_xyxy[..., 2:] - boxes_xyxy[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def _least_logit(score: float) -> np.float32:
    """A logit below which no sigmoid in float32 reaches a score."""
    if score < _SMALLEST_SCORE:
        return np.float32(-np.inf)
    odds = math.log(score) - math.log1p(-score) if score < 1 else math.inf
    return np.float32(min(odds, _LARGEST_LOGIT) - _MARGIN)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    # exp of what is far below zero would overflow, and warn.
    return 1 / (1 + np.exp(-np.clip(logits, -80, None)))
