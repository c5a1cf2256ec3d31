"""What kinds of errors a detector makes, and what each kind costs in AP.

The kinds are those of SqueezeDet's analysis (arXiv 1612.01051) after Hoiem et al. (ECCV 2012).
A false alarm of the protocol is, by the first rule that holds,

* repeated: it overlaps an object of its class enough, but another detection has it;
* localisation: it overlaps one by more than a tenth;
* classification: it overlaps an object of another class by more than a tenth;
* background: it is on nothing that is labelled.

What a kind costs is the AP that is gained when all errors of that kind are mended and the rest is
left (as in TIDE, arXiv 2008.08115). The gains do not add up to 100.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mobilenetdet.config.classes import KITTI_TASK, EvalTask
from mobilenetdet.kitti.assignment import PackedFrames, pack_frames
from mobilenetdet.kitti.average_precision import (
    FALSE_ALARM,
    HIT,
    MISS,
    PrecisionRecall,
    match_selection,
    perfect_ap,
    selection_curve,
)
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.kitti.protocol import Selection

CORRECT, REPEATED, LOCALISATION = "correct", "repeated", "localisation"
CLASSIFICATION, BACKGROUND, MISSED = "classification", "background", "missed"
ERROR_KINDS = (LOCALISATION, CLASSIFICATION, BACKGROUND, REPEATED, MISSED)
# A false alarm that overlaps an object by more than this is about that object.
NEAR_OVERLAP = 0.1
# An occlusion that no difficulty counts; labels have 3 at most.
_NEVER = 99


@dataclass(frozen=True, eq=False)
class Errors:
    """The errors of one class at one difficulty in frames laid end to end.

    Attributes:
        detection_kinds: [M] "correct", an error kind, or "" for what the protocol ignores.
        detection_gts: [M] index of the object that a detection is about, -1 for none.
        missed: [N] bool, objects that count and have no hit.
    """

    detection_kinds: np.ndarray
    detection_gts: np.ndarray
    missed: np.ndarray

    def counts(self) -> dict[str, int]:
        """Returns how many detections are correct, and how many errors there are of each kind."""
        kinds = (CORRECT, LOCALISATION, CLASSIFICATION, BACKGROUND, REPEATED)
        found = {kind: int((self.detection_kinds == kind).sum()) for kind in kinds}
        return {**found, MISSED: int(self.missed.sum())}


def find_errors(
    labels: Sequence[KittiObjects],
    detections: Sequence[KittiObjects],
    *,
    difficulty: str,
    score_thresholds: Mapping[str, float],
    task: EvalTask = KITTI_TASK,
    protocol: str = "current",
) -> dict[str, Errors]:
    """Returns the errors of each class at one difficulty.

    Args:
        labels: the labels of each frame, DontCare included.
        detections: the detections of the same frames, with scores.
        difficulty: easy, moderate or hard.
        score_thresholds: the lowest score of each class that is still a detection.
        task: the classes and how each is scored.
        protocol: "current" or "pre2017".
    """
    packed = _pack_near(labels, detections, task)
    return _errors_of(packed, difficulty, score_thresholds, protocol)


def error_costs(
    labels: Sequence[KittiObjects],
    detections: Sequence[KittiObjects],
    *,
    difficulty: str,
    task: EvalTask = KITTI_TASK,
    protocol: str = "current",
) -> dict[str, dict[str, float]]:
    """Returns the R40 that each class would gain if all errors of a kind were mended.

    Localisation: the surest such detection of an object gets the object's box, unless that has a
    hit; the others go. Classification: likewise with its class. Background: they go. Repeated: of
    those on one object the surest stays. Missed: the objects that nothing hits do not count, and
    the R40 that so few objects can have at most becomes that of all of them.

    Returns:
        `{"Car": {"localisation": gain in percent points, ..}, ..}`.
    """
    packed = _pack_near(labels, detections, task)
    errors = _errors_of(packed, difficulty, dict.fromkeys(task.names, -np.inf), protocol)
    rules: dict[str, Any] = {"task": task, "difficulty": difficulty, "protocol": protocol}
    before = _curves(labels, detections, **rules)
    gains: dict[str, dict[str, float]] = {name: {} for name in task.names}
    for kind in ERROR_KINDS:
        mended_labels, mended = list(labels), list(detections)
        if kind == MISSED:
            mended_labels = _without_missed(labels, errors)
        else:
            mended = _mend(kind, labels, detections, packed, errors)
        after = _curves(mended_labels, mended, **rules)
        for name, curve in after.items():
            r40 = _as_of_all(curve, errors[name].counts()) if kind == MISSED else curve.r40
            gains[name][kind] = r40 - before[name].r40
    return gains


def surest(dets: np.ndarray, gts: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns, of detections about objects, the one with the highest score of each object.

    Args:
        dets: indices of detections.
        gts: [M], the object that each of all detections is about.
        scores: [M].
    """
    surest_first = dets[np.lexsort((dets, -scores[dets]))]
    _, first = np.unique(gts[surest_first], return_index=True)
    return surest_first[first]


def _pack_near(
    labels: Sequence[KittiObjects], detections: Sequence[KittiObjects], task: EvalTask
) -> PackedFrames:
    """Packs frames with the pairs that are near, and all that the protocol needs."""
    min_overlap = min(NEAR_OVERLAP, task.lowest_overlap)
    return pack_frames(labels, detections, task=task, min_overlap=min_overlap)


def _errors_of(
    packed: PackedFrames,
    difficulty: str,
    score_thresholds: Mapping[str, float],
    protocol: str,
) -> dict[str, Errors]:
    return {
        name: _class_errors(packed, name, difficulty, score_thresholds[name], protocol)
        for name in packed.task.names
    }


def _class_errors(
    packed: PackedFrames, name: str, difficulty: str, score_threshold: float, protocol: str
) -> Errors:
    entry, code = packed.task[name], packed.task.index(name)
    limits = entry.difficulty(difficulty)
    selection = Selection.of(packed, class_name=name, difficulty=limits, protocol=protocol)
    matches = match_selection(selection, score_threshold)
    num_dets = len(packed.det_scores)
    kinds = np.where(matches.detection_outcomes == HIT, CORRECT, np.full(num_dets, "", "<U14"))
    false_alarms = matches.detection_outcomes == FALSE_ALARM
    own, own_overlaps = _nearest(packed, packed.gt_types == code)
    other, other_overlaps = _nearest(packed, packed.gt_types != code)
    rules = [
        (REPEATED, own_overlaps > entry.min_overlap),
        (LOCALISATION, own_overlaps > NEAR_OVERLAP),
        (CLASSIFICATION, other_overlaps > NEAR_OVERLAP),
    ]
    chosen = np.select([rule for _, rule in rules], [kind for kind, _ in rules], BACKGROUND)
    kinds[false_alarms] = chosen[false_alarms]
    gts = np.where(kinds == CLASSIFICATION, other, own)
    gts[kinds == CORRECT] = matches.detection_labels[kinds == CORRECT]
    gts[(kinds == "") | (kinds == BACKGROUND)] = -1
    return Errors(kinds, gts, matches.label_outcomes == MISS)


def _nearest(packed: PackedFrames, is_candidate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the candidate object [M] that each detection overlaps most (-1), and by how much."""
    pairs = np.flatnonzero(is_candidate[packed.pair_gts])
    pairs = pairs[np.argsort(packed.pair_overlaps[pairs], kind="stable")]
    gts = np.full(len(packed.det_scores), -1)
    overlaps = np.zeros(len(gts))
    # The last of several writes stays: the largest overlap.
    gts[packed.pair_dets[pairs]] = packed.pair_gts[pairs]
    overlaps[packed.pair_dets[pairs]] = packed.pair_overlaps[pairs]
    return gts, overlaps


def _mend(
    kind: str,
    labels: Sequence[KittiObjects],
    detections: Sequence[KittiObjects],
    packed: PackedFrames,
    errors: dict[str, Errors],
) -> list[KittiObjects]:
    """Returns the detections with all errors of a kind mended, whatever their class."""
    types = _join([frame.types for frame in detections]).astype(object)
    boxes = packed.det_boxes.T.copy()
    kept = np.ones(len(types), bool)
    gt_types = _join([frame.types for frame in labels])
    is_missed = np.any([of_class.missed for of_class in errors.values()], axis=0)
    for of_class in errors.values():
        wrong = np.flatnonzero(of_class.detection_kinds == kind)
        kept[wrong] = False
        gts = of_class.detection_gts
        if kind in (LOCALISATION, CLASSIFICATION):
            dets = surest(wrong[is_missed[gts[wrong]]], gts, packed.det_scores)
            kept[dets] = True
            # A box on the wrong class may be off, too: the other errors are as they were.
            boxes[dets] = packed.gt_boxes.T[gts[dets]]
            types[dets] = gt_types[gts[dets]]
        elif kind == REPEATED:
            # The hit is the one that overlaps most, which need not be the surest.
            hits = np.flatnonzero(of_class.detection_kinds == CORRECT)
            kept[hits] = False
            again = wrong[np.isin(gts[wrong], gts[hits])]
            kept[surest(np.concatenate([hits, again]), gts, packed.det_scores)] = True
    scores, starts = packed.det_scores, np.cumsum([0, *map(len, detections)])
    return [
        KittiObjects.from_detections(types[rows], boxes[rows], scores[rows])
        for start, stop in zip(starts[:-1], starts[1:], strict=True)
        for rows in [start + np.flatnonzero(kept[start:stop])]
    ]


def _without_missed(
    labels: Sequence[KittiObjects], errors: dict[str, Errors]
) -> list[KittiObjects]:
    """Returns the labels with missed objects marked as too hard to count."""
    is_missed = np.any([of_class.missed for of_class in errors.values()], axis=0)
    starts = np.cumsum([0, *map(len, labels)])
    return [
        replace(
            frame, occluded=np.where(is_missed[start : start + len(frame)], _NEVER, frame.occluded)
        )
        for frame, start in zip(labels, starts[:-1], strict=True)
    ]


def _as_of_all(curve: PrecisionRecall, counts: Mapping[str, int]) -> float:
    """Takes the R40 of the objects that are found for that of all: fewer than 41 have a limit."""
    found, missed = counts[CORRECT], counts[MISSED]
    limit = perfect_ap(found + missed)["R40"]
    if missed == 0:
        return curve.r40
    if found == 0:
        return limit
    if found == 1:  # too few for an R40, and the precision is known
        return float(curve.precisions[0]) * limit
    return curve.r40 * limit / perfect_ap(found)["R40"]


def _curves(
    labels: Sequence[KittiObjects],
    detections: Sequence[KittiObjects],
    *,
    task: EvalTask,
    difficulty: str,
    protocol: str,
) -> dict[str, PrecisionRecall]:
    packed = pack_frames(labels, detections, task=task)
    found = {}
    for entry in task.classes:
        limits = entry.difficulty(difficulty)
        selection = Selection.of(
            packed, class_name=entry.name, difficulty=limits, protocol=protocol
        )
        found[entry.name] = selection_curve(selection)
    return found


def _join(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0, "<U1"), *arrays])
