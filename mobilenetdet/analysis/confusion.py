"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mobilenetdet.kitti.assignment import PackedFrames, assign_greedily, pack_frames, type_code
from mobilenetdet.kitti.labels import EVALUATED_CLASSES, Difficulty, KittiObjects

# Boxes that overlap by more than this are of the same object, whatever their classes.
SAME_OBJECT_OVERLAP = 0.5
NOTHING = "nothing"


def confusion_matrix(
    labels: Sequence[KittiObjects],
    detections: Sequence[KittiObjects],
    *,
    difficulty: Difficulty,
    score_thresholds: Mapping[str, float],
) -> np.ndarray:
    """Return how many objects of each class were detected as each class.

    Detections choose among the objects of any class that they overlap by more than one half, the
    surest first. Objects that do not count at the level, of any class, and DontCare regions take
    the detections that are left on them out of the count. Not KITTI's protocol, which looks at one
    class at a time.

    Args:
        labels: the labels of each frame, DontCare included.
        detections: the detections of the same frames, with scores.
        difficulty: which objects count; detections below its minimum height do not.
        score_thresholds: the lowest score of each class that is still a detection.

    Returns:
        int [C + 1, C + 1]: rows are the evaluated classes of the labels and then nothing, columns
        those of the detections. The last row holds false alarms, the last column misses.
    """
    packed = pack_frames(labels, detections, min_overlap=SAME_OBJECT_OVERLAP)
    gt_counts, det_counts = _who_counts(packed, difficulty, score_thresholds)
    pairs = np.flatnonzero(gt_counts[packed.pair_gts] & det_counts[packed.pair_dets])
    gts, dets, frames = (a[pairs] for a in (packed.pair_gts, packed.pair_dets, packed.pair_frames))
    order = np.lexsort((-packed.pair_overlaps[pairs], -packed.det_scores[dets], frames))
    gts, dets, frames = gts[order], dets[order], frames[order]
    made = assign_greedily(gts, dets, frames, np.ones(len(gts), np.uint64)).astype(bool)
    gts, dets = gts[made], dets[made]

    on_other = np.zeros(len(det_counts), bool)
    on_other[packed.pair_dets[~gt_counts[packed.pair_gts]]] = True
    on_other |= packed.det_dontcare > SAME_OBJECT_OVERLAP
    missed, false_alarms = gt_counts.copy(), det_counts & ~on_other
    missed[gts] = false_alarms[dets] = False
    none = len(EVALUATED_CLASSES)
    matrix = np.zeros((none + 1, none + 1), np.int64)
    np.add.at(matrix, (packed.gt_types[gts], packed.det_types[dets]), 1)
    np.add.at(matrix[:, none], packed.gt_types[missed], 1)
    np.add.at(matrix[none], packed.det_types[false_alarms], 1)
    return matrix


def _who_counts(
    packed: PackedFrames, difficulty: Difficulty, score_thresholds: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return which objects [N] and detections [M] are counted, bool."""
    gt_counts = packed.gt_boxes[3] - packed.gt_boxes[1] >= difficulty.min_height
    gt_counts &= packed.gt_occluded <= difficulty.max_occlusion
    gt_counts &= packed.gt_truncated <= difficulty.max_truncation
    det_counts = packed.det_boxes[3] - packed.det_boxes[1] >= difficulty.min_height
    is_evaluated = np.zeros(len(gt_counts), bool)
    is_sure = np.zeros(len(det_counts), bool)
    for name in EVALUATED_CLASSES:
        is_evaluated |= packed.gt_types == type_code(name)
        of_class = packed.det_types == type_code(name)
        is_sure |= of_class & (packed.det_scores >= score_thresholds[name])
    return gt_counts & is_evaluated, det_counts & is_sure
