"""From raw predictions to detections in numpy, for runtimes that end at the former.

The same as `models/postprocess.py` and `boxes/coding.py`, which a test holds it to, for one image
at a time and without Keras. Boxes that score less than the threshold are left out at the start.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mobilenetdet.boxes.anchors import AnchorGrid

if TYPE_CHECKING:
    from mobilenetdet.config.detection import PostprocessConfig
    from mobilenetdet.exported_info import ExportedInfo

_MAX_LOG_SCALE = math.log(1000.0 / 16.0)
_SMALLEST_AREA, _NO_VOTES = 1e-6, 1e-6
_LARGEST_SHARE = np.float32(1 - 1e-6)
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
        boxes, scores, classes = [], [], []
        for index, of_class in enumerate(self._scores(predictions)):
            rows = best_first(of_class, settings.score_threshold, places)
            found = self._boxes(predictions["deltas"][0], rows)
            valid = _area(found) > 0
            found, rows = found[valid], rows[valid]
            found, kept = self._suppress(found, of_class[rows])
            boxes, scores = [*boxes, found], [*scores, kept]
            classes.append(np.full(len(kept), index, np.int32))
        most = min(settings.max_detections, self.num_classes * places)
        found = _best(*map(np.concatenate, (boxes, scores, classes)), most)
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

    def _scores(self, predictions: Mapping[str, np.ndarray]) -> np.ndarray:
        """Scores [C, A], 0 to 1."""
        logits = np.ascontiguousarray(predictions["class_logits"][0].T, np.float32)
        if self.scores_from == "sigmoid":
            return _sigmoid(logits)
        powers = np.exp(logits - logits.max(axis=0))
        shares = powers / powers.sum(axis=0)
        if self.scores_from == "softmax_after_background":
            return shares[1:]
        return shares * _sigmoid(predictions["confidence_logits"][0])

    def _boxes(self, deltas: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Boxes xyxy of some anchors [K, 4], clipped to the input."""
        deltas, anchors = deltas[rows].astype(np.float32), self.anchors[rows]
        sides = anchors[:, 2:] - anchors[:, :2]
        centres = deltas[:, :2] * sides + (anchors[:, :2] + anchors[:, 2:]) / 2
        halves = sides * np.exp(np.clip(deltas[:, 2:], -_MAX_LOG_SCALE, _MAX_LOG_SCALE)) / 2
        height, width = self.image_size
        limits = np.array([width, height, width, height], np.float32)
        return np.clip(np.concatenate([centres - halves, centres + halves], axis=1), 0, limits)

    def _suppress(self, boxes: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes of one class, best first, and their scores after voting and suppression."""
        settings, suppression = self.settings, self.settings.suppression
        ious = pairwise_iou(boxes)
        if settings.vote_sigma:
            boxes = _vote(boxes, scores, ious, settings.vote_sigma)
        if suppression.kind == "soft":
            scores = soft_nms(
                ious, scores, suppression.sigma, settings.score_threshold, suppression.rounds
            )
        else:
            scores = np.where(greedy_nms(ious, suppression.max_iou), scores, 0)
        return boxes, scores


def best_first(scores: np.ndarray, threshold: float, count: int) -> np.ndarray:
    """Indices of at most `count` scores [A] from a threshold on, falling; of equals the first."""
    rows = np.flatnonzero(scores >= np.float32(threshold))
    if len(rows) > 4 * count:  # all that tie with the last one stay, so that the first of them win
        least = np.partition(scores[rows], len(rows) - count)[len(rows) - count]
        rows = rows[scores[rows] >= least]
    return rows[np.argsort(-scores[rows], kind="stable")[:count]]


def pairwise_iou(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Intersection over union [K, K] of boxes [K, 4]."""
    left, top, right, bottom = boxes_xyxy.T
    width = np.minimum.outer(right, right) - np.maximum.outer(left, left)
    height = np.minimum.outer(bottom, bottom) - np.maximum.outer(top, top)
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    union = np.add.outer(_area(boxes_xyxy), _area(boxes_xyxy)) - shared
    return shared / np.maximum(union, np.float32(_SMALLEST_AREA))


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
    """Scores [K] after soft-NMS, 0 for those that are dropped; `models/postprocess.py` says how."""
    exponents = ious**2 / np.float32(sigma)
    rivals = (ious > 0) & ~np.eye(len(ious), dtype=bool)
    earlier = rivals & np.tri(len(ious), k=-1, dtype=bool)
    left, taken = scores.astype(np.float32), np.zeros(len(scores), np.float32)
    for _ in range(num_rounds or len(scores)):
        if not left.any():
            break
        best = (left >= (rivals * left).max(axis=1)) & (left > (earlier * left).max(axis=1))
        taken += np.where(best, left, 0)
        left = np.where(best, 0, left * np.exp(-exponents[:, best].sum(axis=1)))
        left[left < np.float32(min_score)] = 0
    return taken + left if num_rounds else taken


def _vote(boxes: np.ndarray, scores: np.ndarray, ious: np.ndarray, sigma: float) -> np.ndarray:
    weights = np.exp(-((1 - ious) ** 2) / np.float32(sigma)) * scores
    total = weights.sum(axis=1, keepdims=True)
    means = weights @ boxes / np.maximum(total, np.float32(_NO_VOTES))
    return np.where(total > _NO_VOTES, means, boxes)


def _best(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, most: int) -> Found:
    """The best of all classes; places to spare have score 0 and class -1."""
    order = np.argsort(-scores, kind="stable")[:most]
    order = order[scores[order] > 0]
    found = (
        np.zeros((most, 4), np.float32), np.zeros(most, np.float32), np.full(most, -1, np.int32)
    )  # fmt: skip
    for place, values in zip(found, (boxes, scores, classes), strict=True):
        place[: len(order)] = values[order]
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
    left, top, right, bottom = boxes_xyxy.T
    return np.maximum(right - left, 0) * np.maximum(bottom - top, 0)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    # exp of what is far below zero would overflow, and warn.
    return 1 / (1 + np.exp(-np.clip(logits, -80, None)))
