"""KITTI's official 2D average precision, to the digit, in numpy.

The protocol, after evaluate_object.cpp of KITTI's object development kit, per class and level:

1. Objects of the class count if they are tall enough and neither too occluded nor too truncated.
   The others, and the neighbour class (Van for Car, Person_sitting for Pedestrian), are ignored:
   they absorb a detection, which is then neither hit nor false alarm.
2. Detections count if they are of the class. Those of any class whose height, cut to an integer,
   is below the level's minimum are ignored: they can cover an object, which is then neither hit
   nor miss, and are no false alarms. (Protocol "current", since 25 April 2017. Under "pre2017"
   the height of a detection does not matter.)
3. Objects choose in the order of the file among the free detections that overlap them by more than
   70 % (Car) or 50 %. To find the score thresholds they take the highest score; at each threshold
   they take a counting detection before an ignored one, and of those the largest overlap.
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
from typing import Any

import numpy as np

from mobilenetdet.kitti.assignment import pack_frames, type_code
from mobilenetdet.kitti.labels import DIFFICULTIES, EVALUATED_CLASSES, Difficulty, KittiObjects
from mobilenetdet.kitti.protocol import PROTOCOLS, Level, check_choice

NUM_RECALL_STEPS = 41
HIT, MISS, FALSE_ALARM, IGNORED = "hit", "miss", "false_alarm", "ignored"


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """The precision-recall curve of one class and level, at T <= 41 score thresholds.

    Attributes:
        precisions: [41] interpolated precision, 0 to 1; 0 from index T on.
        recalls: [T] recall at each threshold. Objects covered by an ignored detection do not count.
        thresholds: [T] scores, descending.
        num_objects: objects that count at this level.
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


# By class and by name of the level; None for a class that is detected nowhere.
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
    protocol: str = "current",
) -> dict[str, Any]:
    """Return KITTI's official 2D average precision in percent, ready for JSON.

    Args:
        labels: the labels of each frame, DontCare and all classes included.
        detections: the detections of the same frames, in the same order, with scores.
        protocol: "current", or "pre2017" for the rules that SqueezeDet's figures were made with.

    Returns:
        `{"protocol": .., "frames": n, "Car": {"easy": {"R11": .., "R40": .., "num_objects": ..,
        "precision41": [..]}, "moderate": .., "hard": ..}, "Pedestrian": .., "Cyclist": ..}`; a
        class that is detected nowhere is None.

    Raises:
        ValueError: the protocol is unknown, the numbers of frames differ, or scores are missing.
    """
    curves = precision_recall(labels, detections, protocol=protocol)
    return {"protocol": protocol, "frames": len(labels), **summarise_curves(curves)}


def summarise_curves(curves: Curves) -> dict[str, dict[str, Any] | None]:
    """Return R11, R40, the objects that count and the 41 precisions of each class and level."""
    return {
        class_name: of_class
        and {
            level: {
                "R11": curve.r11,
                "R40": curve.r40,
                "num_objects": curve.num_objects,
                "precision41": curve.precisions.tolist(),
            }
            for level, curve in of_class.items()
        }
        for class_name, of_class in curves.items()
    }


def perfect_ap(num_objects: int) -> dict[str, float]:
    """Return R40 and R11 in percent when every object is found and nothing else.

    Example: 100 each for 41 objects and more, 50 and 54.5 for 21.
    """
    precisions = np.arange(NUM_RECALL_STEPS) < num_objects
    return {"R40": precisions[1:].mean() * 100, "R11": precisions[::4].mean() * 100}


def precision_recall(
    labels: Sequence[KittiObjects],
    detections: Sequence[KittiObjects],
    *,
    protocol: str = "current",
) -> Curves:
    """Return the curve of each class and level; arguments as for `evaluate_detections`.

    A class that is detected nowhere is None. As in the official programs, a detection whose left
    side is below 0 does not make its class a detected one under "current" (it stands for a
    detection without a 2D box), but does under "pre2017".
    """
    check_choice("protocol", protocol, PROTOCOLS)
    packed = pack_frames(labels, detections)
    curves: Curves = {}
    for class_name in EVALUATED_CLASSES:
        of_class = packed.det_types == type_code(class_name)
        is_2d = (packed.det_boxes[0] >= 0) | (protocol == "pre2017")
        if not (of_class & is_2d).any():
            curves[class_name] = None
            continue
        task = {"packed": packed, "class_name": class_name, "protocol": protocol}
        curves[class_name] = {
            level.name: level_curve(Level.select(difficulty=level, **task))
            for level in DIFFICULTIES
        }
    return curves


def match_frame(
    labels: KittiObjects,
    detections: KittiObjects,
    *,
    class_name: str,
    difficulty: Difficulty,
    score_threshold: float,
    protocol: str = "current",
) -> FrameMatches:
    """Return what the protocol makes of one frame, for overlays and analysis.

    Everything that does not count for the class and level is "ignored": other classes, too hard
    objects, DontCare, and detections that score below the threshold, are too small, lie in DontCare
    or were absorbed by an ignored object.

    Args:
        labels: the N objects of the frame.
        detections: its M detections, with scores.
        class_name: one of the evaluated classes.
        difficulty: the level.
        score_threshold: the lowest score that is still a detection.
        protocol: "current" or "pre2017".

    Raises:
        ValueError: the class or the protocol is unknown, or scores are missing.
    """
    check_choice("class", class_name, EVALUATED_CLASSES)
    check_choice("protocol", protocol, PROTOCOLS)
    packed = pack_frames([labels], [detections])
    level = Level.select(packed, class_name=class_name, difficulty=difficulty, protocol=protocol)
    return match_level(level, score_threshold)


def match_level(level: Level, score_threshold: float) -> FrameMatches:
    """Return what becomes of all objects and detections of a level, as of one long frame."""
    above = level.scores >= score_threshold
    made = level.assign_by_overlap(above[level.dets].astype(np.uint64)).astype(bool)
    gts, dets = level.gts[made], level.dets[made]

    taken = np.zeros(len(level.det_counts), bool)
    taken[dets] = True
    detection_labels = np.full(len(taken), -1)
    detection_labels[dets] = gts
    hits = level.gt_counts[gts] & level.det_counts[dets]
    ignored_labels = np.full(len(level.gt_counts), IGNORED, "<U11")
    label_outcomes = np.where(level.gt_counts, MISS, ignored_labels)
    label_outcomes[gts] = np.where(hits, HIT, IGNORED)
    false_alarms = level.det_counts & above & ~taken & ~level.det_in_dontcare
    outcomes = np.where(false_alarms, FALSE_ALARM, np.full(len(taken), IGNORED, "<U11"))
    outcomes[dets[hits]] = HIT
    return FrameMatches(label_outcomes, outcomes, detection_labels)


def level_curve(level: Level) -> PrecisionRecall:
    """Return the curve of one class and level; `precision_recall` calls it for all of them."""
    counting_pairs = level.gt_counts[level.gts] & level.det_counts[level.dets]
    num_objects = int(level.gt_counts.sum())
    hit_scores = level.scores[level.dets[level.assign_by_score() & counting_pairs]]
    thresholds = recall_thresholds(hit_scores, num_objects)

    reached = _threshold_bits(level.scores[level.dets], thresholds)  # [P]
    made = level.assign_by_overlap(reached)
    hits = _count_bits(made[counting_pairs], len(thresholds))
    gt_is_covered = level.gt_counts[level.gts] & ~counting_pairs
    misses = num_objects - hits - _count_bits(made[gt_is_covered], len(thresholds))
    may_be_false = level.det_counts & ~level.det_in_dontcare
    num_found = _count_at_least(level.scores[may_be_false], thresholds)
    detections = num_found - _count_bits(made[may_be_false[level.dets]], len(thresholds)) + hits

    precisions = np.zeros(NUM_RECALL_STEPS)
    # An ignored object can take the only hit, and the threshold's other detections be ignored.
    precisions[: len(thresholds)] = hits / np.maximum(detections, 1)
    recalls = hits / np.maximum(hits + misses, 1)
    best_from_here = np.maximum.accumulate(precisions[::-1])[::-1]
    return PrecisionRecall(best_from_here, recalls, thresholds, num_objects)


def recall_thresholds(hit_scores: np.ndarray, num_objects: int) -> np.ndarray:
    """Return the scores at which precision is sampled, at most 41, descending.

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
    """Return [M] uint64 with bit t set where the score reaches threshold t (descending)."""
    first = np.searchsorted(-thresholds, -scores).astype(np.uint64)
    every = np.uint64((1 << len(thresholds)) - 1)
    return (every >> first) << first


def _count_bits(bits: np.ndarray, num_thresholds: int) -> np.ndarray:
    """Return in how many of the numbers each bit is set, [T]."""
    little_endian = bits.astype("<u8").view(np.uint8).reshape(-1, 8)
    flags = np.unpackbits(little_endian, axis=1, bitorder="little")  # [P, 64]
    return flags.sum(axis=0, dtype=np.int64)[:num_thresholds]


def _count_at_least(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return how many scores reach each threshold, [T]."""
    return len(scores) - np.searchsorted(np.sort(scores), thresholds)
