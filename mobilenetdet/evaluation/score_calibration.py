"""Scores that say how often a detection is right.

A head's scores only rank: 0.5 may stand for nine hits in ten or for three. Platt's scaling (1999)
fits, for each class, a line through the log odds, so that 0.5 means as many hits as false alarms.
It rises, so that the order of the detections of a class, and with it its AP, stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mobilenetdet.config.classes import HARD, KITTI_TASK, EvalTask
from mobilenetdet.kitti.assignment import pack_frames
from mobilenetdet.kitti.average_precision import HIT, IGNORED_OUTCOME, match_selection
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.kitti.protocol import Selection

_ITERATIONS = 50
# How strongly the fit is drawn to "leave the scores alone", in detections.
_PRIOR_WEIGHT = 1.0
# The line rises at least by this much.
_MIN_SLOPE = 0.05
# Scores of exactly 0 and 1 have no log odds.
_MARGIN = 1e-6


class Calibration(NamedTuple):
    """New log odds are slope times the old ones plus offset."""

    slope: float = 1.0
    offset: float = 0.0


def fit_calibration(
    labels: Sequence[KittiObjects],
    detections: Sequence[KittiObjects],
    task: EvalTask = KITTI_TASK,
    *,
    protocol: str = "current",
) -> tuple[Calibration, ...]:
    """Fits one calibration a class to what the protocol counts as hits and as false alarms.

    Args:
        labels: the labels of each frame, DontCare included.
        detections: the detections of the same frames, with scores from 0 to 1.
        task: the classes, in the order of the result. One that was never detected keeps its scores.
        protocol: "current" or "pre2017".
    """
    packed = pack_frames(labels, detections, task=task)
    fitted = []
    for entry in task.classes:
        hard = entry.difficulty(HARD.name)
        selection = Selection.of(packed, class_name=entry.name, difficulty=hard, protocol=protocol)
        counts, is_hit = _find_hits(selection)
        fitted.append(fit_platt(packed.det_scores[counts], is_hit[counts]))
    return tuple(fitted)


def _find_hits(selection: Selection) -> tuple[np.ndarray, np.ndarray]:
    """Which detections [M] count, and which of them are right.

    Of the detections that overlap an object enough the top-scored one is right. The protocol has
    the best-overlapping one, which at a threshold of minus infinity is often a low-scored box.
    """
    matches = match_selection(selection, -np.inf)
    counts = matches.detection_outcomes != IGNORED_OUTCOME
    pairs = (matches.label_outcomes == HIT)[selection.gts] & counts[selection.dets]
    gts, dets = selection.gts[pairs], selection.dets[pairs]
    order = np.lexsort((dets, -selection.scores[dets]))
    _, first = np.unique(gts[order], return_index=True)
    is_hit = np.zeros(len(counts), bool)
    is_hit[dets[order][first]] = True
    return counts, is_hit


def fit_platt(scores: np.ndarray, is_hit: np.ndarray) -> Calibration:
    """Fits a calibration by Newton's method on the likelihood, drawn a little to no change.

    Args:
        scores: [M], 0 to 1.
        is_hit: bool [M].
    """
    line = _fit_line(scores, is_hit, free=[True, True], start=(1.0, 0.0))
    if line[0] < _MIN_SLOPE:  # the offset of another slope would move all scores
        line = _fit_line(scores, is_hit, free=[False, True], start=(_MIN_SLOPE, 0.0))
    return Calibration(float(line[0]), float(line[1]))


def _fit_line(
    scores: np.ndarray, is_hit: np.ndarray, *, free: list[bool], start: tuple[float, float]
) -> np.ndarray:
    """Fits those of slope and offset that are free; the others stay as they start."""
    inputs = np.stack([log_odds(scores), np.ones(len(scores))], axis=1)  # [M, 2]
    drawn_to = line = np.array(start)
    for _ in range(_ITERATIONS):
        probabilities = _sigmoid(inputs @ line)
        gradient = inputs.T @ (probabilities - is_hit) + _PRIOR_WEIGHT * (line - drawn_to)
        curvature = (inputs * (probabilities * (1 - probabilities))[:, None]).T @ inputs
        curvature += _PRIOR_WEIGHT * np.eye(2)
        step = np.zeros(2)
        step[free] = np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
        # Far from the optimum a whole step may overshoot.
        line = line - step * min(1.0, 1.0 / max(1e-9, float(np.abs(step).max())))
    return line


def calibrate(scores: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Maps scores [M], 0 to 1, to calibrated ones.

    Example: 0.5 with offset 1 becomes 0.73.
    """
    return _sigmoid(calibration.slope * log_odds(scores) + calibration.offset)


def log_odds(scores: np.ndarray) -> np.ndarray:
    """Returns log(p / (1 - p)) of scores [M]; 0 and 1 count as nearly so."""
    clipped = np.clip(scores, _MARGIN, 1 - _MARGIN)
    return np.log(clipped / (1 - clipped))


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -50, 50)))
