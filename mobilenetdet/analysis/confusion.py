"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mobilenetdet.config.classes import KITTI_TASK, EvalTask
from mobilenetdet.kitti.assignment import PackedFrames, assign_greedily, pack_frames
from mobilenetdet.kitti.labels import KittiObjects

# Boxes that overlap by more than this are of the same object, whatever their classes.
SAME_OBJECT_OVERLAP = 0.5
NOTHING = "nothing"


def confusion_matrix(
    labels: Sequence[KittiObjects],
    detections: Sequence[KittiObjects],
    *,
    difficulty: str,
    score_thresholds: Mapping[str, float],
    task: EvalTask = KITTI_TASK,
) -> np.ndarray:
    """Return how many objects of each class were detected as each class.

    Detections choose among the objects of any class that they overlap by more than one half, the
    surest first. Objects that do not count at the difficulty, of any class, and DontCare regions
    take the detections that are left on them out of the count. Not KITTI's protocol, which looks
    at one class at a time.

    Args:
        labels: the labels of each frame, DontCare included.
        detections: the detections of the same frames, with scores.
        difficulty: easy, moderate or hard: which objects count; detections below its minimum height
            do not.
        score_thresholds: the lowest score of each class that is still a detection.
        task: the classes and how each is scored.

    Returns:
        int [C + 1, C + 1]: rows are the classes of the labels and then nothing, columns
        those of the detections. The last row holds false alarms, the last column misses.
    """
    packed = pack_frames(labels, detections, task=task, min_overlap=SAME_OBJECT_OVERLAP)
    gt_counts, det_counts = _who_counts(packed, difficulty, score_thresholds)
    gts, dets = _assign_surest_first(packed, gt_counts, det_counts)
    on_other = np.zeros(len(det_counts), bool)
    on_other[packed.pair_dets[~gt_counts[packed.pair_gts]]] = True
    on_other |= packed.det_dontcare > SAME_OBJECT_OVERLAP
    missed, false_alarms = gt_counts.copy(), det_counts & ~on_other
    missed[gts] = false_alarms[dets] = False
    none = len(task.classes)
    matrix = np.zeros((none + 1, none + 1), np.int64)
    np.add.at(matrix, (packed.gt_types[gts], packed.det_types[dets]), 1)
    np.add.at(matrix[:, none], packed.gt_types[missed], 1)
    np.add.at(matrix[none], packed.det_types[false_alarms], 1)
    return matrix


def _assign_surest_first(
    packed: PackedFrames, gt_counts: np.ndarray, det_counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the objects and the detections that take them, [K] each."""
    pairs = np.flatnonzero(gt_counts[packed.pair_gts] & det_counts[packed.pair_dets])
    gts, dets, frames = (a[pairs] for a in (packed.pair_gts, packed.pair_dets, packed.pair_frames))
    order = np.lexsort((-packed.pair_overlaps[pairs], -packed.det_scores[dets], frames))
    gts, dets, frames = gts[order], dets[order], frames[order]
    made = assign_greedily(gts, dets, frames, np.ones(len(gts), np.uint64)).astype(bool)
    return gts[made], dets[made]


def _who_counts(
    packed: PackedFrames, difficulty: str, score_thresholds: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns which objects [N] and detections [M] are counted, bool."""
    gt_heights = packed.gt_boxes[3] - packed.gt_boxes[1]
    det_heights = packed.det_boxes[3] - packed.det_boxes[1]
    gt_counts = np.zeros(len(gt_heights), bool)
    det_counts = np.zeros(len(det_heights), bool)
    for code, entry in enumerate(packed.task.classes):
        limits = entry.difficulty(difficulty)
        gt_counts |= (
            (packed.gt_types == code)
            & (gt_heights >= limits.min_height)
            & (packed.gt_occluded <= limits.max_occlusion)
            & (packed.gt_truncated <= limits.max_truncation)
        )
        det_counts |= (
            (packed.det_types == code)
            & (det_heights >= limits.min_height)
            & (packed.det_scores >= score_thresholds[entry.name])
        )
    return gt_counts, det_counts
