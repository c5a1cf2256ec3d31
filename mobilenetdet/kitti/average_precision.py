"""KITTI's official 2D average precision, to the digit, in numpy.

The protocol, after evaluate_object.cpp of KITTI's object development kit, per class and difficulty:

1. Objects of the class count if they are tall enough and neither too occluded nor too truncated.
   The others, and the neighbour types (Van for Car, Person_sitting for Pedestrian), are ignored:
   they absorb a detection, which is then neither hit nor false alarm.
2. Detections count if they are of the class. Those of any class whose height, cut to an integer,
   is below the difficulty's minimum are ignored: they can cover an object, which is then neither
   hit nor miss, and are no false alarms. (Protocol "current", since 25 April 2017. Under "pre2017"
   the height of a detection does not matter.)
3. Objects choose in the order of the file among the free detections that overlap them by more than
   the class's minimum: 70 % (Car) or 50 %. To find the score thresholds they take the highest
   score; at each threshold they take a counting detection before an ignored one, and of those the
   largest overlap.
4. A detection that no object took, with more than that share of its own area inside one DontCare
   region, is no false alarm.
5. The scores of the hits give up to 41 thresholds, about 1/40 of recall apart. The precision at
   each is raised to the highest precision at any higher recall; recalls not reached give 0.
6. R40 is the mean of the last 40 precisions, R11 (KITTI's measure until October 2019) of every
   fourth of the 41. Neither is comparable with the other.

With few objects fewer than 41 thresholds exist, so even perfect detections score below 100: with n
objects that count, n < 41, only the first n of the 41 precisions are not 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mobilenetdet.config.classes import KITTI_TASK, EvalTask
from mobilenetdet.config.type_names import check_choice
from mobilenetdet.kitti.ap_result import AveragePrecision, ClassAp, DifficultyAp
from mobilenetdet.kitti.assignment import PackedFrames, pack_frames
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.kitti.protocol import PROTOCOLS, Selection

NUM_RECALL_STEPS = 41
# What becomes of an object or a detection.
HIT, MISS, FALSE_ALARM, IGNORED_OUTCOME = "hit", "miss", "false_alarm", "ignored"


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """The precision-recall curve of one class and difficulty, at T <= 41 score thresholds.

    Attributes:
        precisions: [41] interpolated precision, 0 to 1; 0 from index T on.
        recalls: [T] recall at each threshold. Objects covered by an ignored detection do not count.
        thresholds: [T] scores, descending.
        num_objects: objects that count at this difficulty.
    """

    precisions: np.ndarray
    recalls: np.ndarray
    thresholds: np.ndarray
    num_objects: int

    @property
    def r11(self) -> float:
        """Average precision over 11 recall steps (0, 0.1 .. 1), in percent."""
        return float(np.mean(self.precisions[::4]) * 100)

    @property
    def r40(self) -> float:
        """Average precision over 40 recall steps (1/40 .. 1), in percent."""
        return float(np.mean(self.precisions[1:]) * 100)


# By class and by name of the difficulty; None for a class that is detected nowhere.
Curves = dict[str, dict[str, PrecisionRecall] | None]


@dataclass(frozen=True, eq=False)
class FrameMatches:
    """What became of the objects and detections of one frame.

    Attributes:
        label_outcomes: [N] "hit", "miss" or "ignored".
        detection_outcomes: [M] "hit", "false_alarm" or "ignored".
        detection_labels: [M] index of the object that took the detection, -1 for none.
    """

    label_outcomes: np.ndarray
    detection_outcomes: np.ndarray
    detection_labels: np.ndarray


def evaluate_detections(
    labels: Sequence[KittiObjects],
    detections: Sequence[KittiObjects],
    *,
    task: EvalTask = KITTI_TASK,
    protocol: str = "current",
) -> AveragePrecision:
    """Measures KITTI's official 2D average precision.

    Args:
        labels: the labels of each frame, DontCare and all types included.
        detections: the detections of the same frames, in the same order, with scores.
        task: the classes and how each is scored; by default KITTI's three.
        protocol: "current", or "pre2017" for the rules that SqueezeDet's figures were made with.

    Raises:
        ValueError: the protocol is unknown, the numbers of frames differ, or scores are missing.
    """
    curves = precision_recall(labels, detections, task=task, protocol=protocol)
    return summarise_curves(curves, protocol=protocol, num_frames=len(labels))


def summarise_curves(curves: Curves, *, protocol: str, num_frames: int) -> AveragePrecision:
    """Returns the AP of curves; the arguments say what they were measured on."""
    classes = {
        class_name: ClassAp(detected=False)
        if of_class is None
        else ClassAp(
            **{
                name: DifficultyAp(
                    curve.r40, curve.r11, curve.num_objects, tuple(curve.precisions.tolist())
                )
                for name, curve in of_class.items()
            }
        )
        for class_name, of_class in curves.items()
    }
    return AveragePrecision(classes, protocol, num_frames)


def perfect_ap(num_objects: int) -> dict[str, float]:
    """Returns R40 and R11 in percent when every object is found and nothing else.

    Example: 100 each for 41 objects and more, 50 and 54.5 for 21.
    """
    precisions = np.arange(NUM_RECALL_STEPS) < num_objects
    return {"R40": precisions[1:].mean() * 100, "R11": precisions[::4].mean() * 100}


def precision_recall(
    labels: Sequence[KittiObjects],
    detections: Sequence[KittiObjects],
    *,
    task: EvalTask = KITTI_TASK,
    protocol: str = "current",
) -> Curves:
    """Returns the curve of each class and difficulty; arguments as for `evaluate_detections`.

    A class that is detected nowhere is None. As in the official programs, a detection whose left
    side is below 0 does not make its class a detected one under "current" (it stands for a
    detection without a 2D box), but does under "pre2017".
    """
    check_choice("protocol", protocol, PROTOCOLS)
    packed = pack_frames(labels, detections, task=task)
    is_2d = (packed.det_boxes[0] >= 0) | (protocol == "pre2017")
    return {
        name: _class_curves(packed, name, protocol)
        if ((packed.det_types == code) & is_2d).any()
        else None
        for code, name in enumerate(task.names)
    }


def _class_curves(packed: PackedFrames, name: str, protocol: str) -> dict[str, PrecisionRecall]:
    return {
        difficulty.name: selection_curve(
            Selection.of(packed, class_name=name, difficulty=difficulty, protocol=protocol)
        )
        for difficulty in packed.task[name].difficulties
    }


def match_frame(
    labels: KittiObjects,
    detections: KittiObjects,
    *,
    class_name: str,
    difficulty: str,
    score_threshold: float,
    task: EvalTask = KITTI_TASK,
    protocol: str = "current",
) -> FrameMatches:
    """Returns what the protocol makes of one frame, for overlays and analysis.

    Everything that does not count for the class at that difficulty is "ignored": other classes, too
    hard objects, DontCare, and detections that score below the threshold, are too small, lie in
    DontCare or were absorbed by an ignored object.

    Args:
        labels: the N objects of the frame.
        detections: its M detections, with scores.
        class_name: one of the task's.
        difficulty: easy, moderate or hard.
        score_threshold: the lowest score that is still a detection.
        task: the classes and how each is scored.
        protocol: "current" or "pre2017".

    Raises:
        ValueError: the class, the difficulty or the protocol is unknown, or scores are missing.
    """
    check_choice("protocol", protocol, PROTOCOLS)
    limits = task[class_name].difficulty(difficulty)
    packed = pack_frames([labels], [detections], task=task)
    selection = Selection.of(packed, class_name=class_name, difficulty=limits, protocol=protocol)
    return match_selection(selection, score_threshold)


def match_selection(selection: Selection, score_threshold: float) -> FrameMatches:
    """Returns what becomes of all objects and detections, as of one long frame."""
    above = selection.scores >= score_threshold
    made = selection.assign_by_overlap(above[selection.dets].astype(np.uint64)).astype(bool)
    gts, dets = selection.gts[made], selection.dets[made]

    taken = np.zeros(len(selection.det_counts), bool)
    taken[dets] = True
    detection_labels = np.full(len(taken), -1)
    detection_labels[dets] = gts
    hits = selection.gt_counts[gts] & selection.det_counts[dets]
    ignored_labels = np.full(len(selection.gt_counts), IGNORED_OUTCOME, "<U11")
    label_outcomes = np.where(selection.gt_counts, MISS, ignored_labels)
    label_outcomes[gts] = np.where(hits, HIT, IGNORED_OUTCOME)
    false_alarms = selection.det_counts & above & ~taken & ~selection.det_in_dontcare
    outcomes = np.where(false_alarms, FALSE_ALARM, np.full(len(taken), IGNORED_OUTCOME, "<U11"))
    outcomes[dets[hits]] = HIT
    return FrameMatches(label_outcomes, outcomes, detection_labels)


def selection_curve(selection: Selection) -> PrecisionRecall:
    """Returns the curve of one class and difficulty; `precision_recall` makes all of them."""
    counting_pairs = selection.gt_counts[selection.gts] & selection.det_counts[selection.dets]
    num_objects = int(selection.gt_counts.sum())
    hit_scores = selection.scores[selection.dets[selection.assign_by_score() & counting_pairs]]
    thresholds = recall_thresholds(hit_scores, num_objects)

    reached = _threshold_bits(selection.scores[selection.dets], thresholds)  # [P]
    made = selection.assign_by_overlap(reached)
    hits = _count_bits(made[counting_pairs], len(thresholds))
    gt_is_covered = selection.gt_counts[selection.gts] & ~counting_pairs
    misses = num_objects - hits - _count_bits(made[gt_is_covered], len(thresholds))
    may_be_false = selection.det_counts & ~selection.det_in_dontcare
    num_found = _count_at_least(selection.scores[may_be_false], thresholds)
    detections = num_found - _count_bits(made[may_be_false[selection.dets]], len(thresholds)) + hits

    precisions = np.zeros(NUM_RECALL_STEPS)
    # An ignored object can take the only hit, and the threshold's other detections be ignored.
    precisions[: len(thresholds)] = hits / np.maximum(detections, 1)
    recalls = hits / np.maximum(hits + misses, 1)
    best_from_here = np.maximum.accumulate(precisions[::-1])[::-1]
    return PrecisionRecall(best_from_here, recalls, thresholds, num_objects)


def recall_thresholds(hit_scores: np.ndarray, num_objects: int) -> np.ndarray:
    """Returns the scores at which precision is sampled, at most 41, descending.

    They are those of the hits that come nearest to recall 0, 1/40, 2/40 ..; the last hit is always
    one of them (getThresholds of the official program, with its rounding).

    Args:
        hit_scores: [K] scores of the hits, in any order.
        num_objects: objects that count, at least K.

    Example:
        `recall_thresholds([0.9, 0.5, 0.7], 3)` is `[0.9, 0.7, 0.5]`.
    """
    scores = np.sort(np.asarray(hit_scores, np.float64))[::-1]
    thresholds = []
    recall = 0.0
    recalls = (np.arange(len(scores)) + 1) / max(num_objects, 1)  # [K]
    index = 0
    while index < len(scores):
        nearer_later = (recalls[index + 1 :] - recall) < (recall - recalls[index:-1])
        # Once the next hit is not nearer to the step, no later one is.
        index += int(np.argmin(np.r_[nearer_later, False]))
        thresholds.append(scores[index])
        recall += 1.0 / (NUM_RECALL_STEPS - 1.0)
        index += 1
    return np.array(thresholds)


def _threshold_bits(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Returns [M] uint64 with bit t set where the score reaches threshold t (descending)."""
    first = np.searchsorted(-thresholds, -scores).astype(np.uint64)
    every = np.uint64((1 << len(thresholds)) - 1)
    return (every >> first) << first


def _count_bits(bits: np.ndarray, num_thresholds: int) -> np.ndarray:
    """Returns in how many of the numbers each bit is set, [T]."""
    little_endian = bits.astype("<u8").view(np.uint8).reshape(-1, 8)
    flags = np.unpackbits(little_endian, axis=1, bitorder="little")  # [P, 64]
    return flags.sum(axis=0, dtype=np.int64)[:num_thresholds]


def _count_at_least(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Returns how many scores reach each threshold, [T]."""
    return len(scores) - np.searchsorted(np.sort(scores), thresholds)
