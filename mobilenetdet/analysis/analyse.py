"""What explains an AP: errors by kind and what they cost, AP of parts, confusions, worst frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mobilenetdet.analysis.breakdown import PROPERTIES, PartAp, ap_by
from mobilenetdet.analysis.confusion import confusion_matrix
from mobilenetdet.analysis.error_types import (
    CORRECT,
    ERROR_KINDS,
    MISSED,
    REPEATED,
    Errors,
    error_costs,
    find_errors,
    surest,
)
from mobilenetdet.config.classes import DIFFICULTY_NAMES, KITTI_TASK, EvalTask
from mobilenetdet.kitti.average_precision import (
    NUM_RECALL_STEPS,
    Curves,
    PrecisionRecall,
    precision_recall,
)
from mobilenetdet.kitti.labels import KittiObjects

# The difficulty that everything is explained at which is not given for all three.
EXPLAINED = "moderate"
FEW_OBJECTS = "* n objects, fewer than 41: R40 is at most 2.5 (n - 1)"


@dataclass(frozen=True, eq=False)
class Analysis:
    """An AP explained. What is not given by difficulty is of difficulty moderate.

    Attributes:
        task: the classes that were scored.
        protocol: "current" or "pre2017".
        num_frames: frames that were scored.
        curves: precision and recall by class and difficulty.
        thresholds: by class, the score of the best F1, from which on detections count as made.
        error_counts: by difficulty and class, how many detections are correct and how many errors
            there are of each kind.
        error_costs: by class and kind, what R40 would gain without such errors, percent points.
        parts: by property and class, AP and recall of the objects in parts.
        confusion: [C + 1, C + 1], see `confusion_matrix`.
        scores: by class and kind, the scores of all detections whatever their score; of several on
            one object the surest is the correct one.
        frame_errors: [F] errors of all classes in each frame.
    """

    task: EvalTask
    protocol: str
    num_frames: int
    curves: Curves
    thresholds: dict[str, float]
    error_counts: dict[str, dict[str, dict[str, int]]]
    error_costs: dict[str, dict[str, float]]
    parts: dict[str, dict[str, list[PartAp]]]
    confusion: np.ndarray
    scores: dict[str, dict[str, np.ndarray]]
    frame_errors: np.ndarray

    def worst_frames(self, count: int) -> list[int]:
        """Returns the indices of up to `count` frames with errors, the most errors first."""
        order = np.argsort(-self.frame_errors, kind="stable")[:count]
        return [int(index) for index in order if self.frame_errors[index] > 0]

    def to_json(self, frame_ids: Sequence[str]) -> dict[str, Any]:
        """Returns everything but the curves and the scores, ready for JSON.

        Args:
            frame_ids: the names of the frames that were analysed, in their order.
        """
        return {
            "protocol": self.protocol,
            "frames": self.num_frames,
            "score_thresholds": self.thresholds,
            "errors": self.error_counts,
            "error_costs_R40": self.error_costs,
            "parts": {
                name: {of: [_part_to_json(part) for part in parts] for of, parts in classes.items()}
                for name, classes in self.parts.items()
            },
            "confusion": self.confusion.tolist(),
            "frame_errors": dict(zip(frame_ids, self.frame_errors.tolist(), strict=True)),
        }


def analyse(
    labels: Sequence[KittiObjects],
    detections: Sequence[KittiObjects],
    *,
    task: EvalTask = KITTI_TASK,
    protocol: str = "current",
) -> Analysis:
    """Explains the AP of detections.

    Args:
        labels: the labels of each frame, DontCare included.
        detections: the detections of the same frames, with scores.
        task: the classes and how each is scored.
        protocol: "current" or "pre2017".
    """
    curves = precision_recall(labels, detections, task=task, protocol=protocol)
    thresholds = best_thresholds(curves)
    scored: dict[str, Any] = {"labels": labels, "detections": detections, "task": task}
    rules = {**scored, "protocol": protocol}
    by_difficulty = {
        difficulty: find_errors(difficulty=difficulty, score_thresholds=thresholds, **rules)
        for difficulty in DIFFICULTY_NAMES
    }
    any_score = dict.fromkeys(task.names, -np.inf)
    unthresholded = find_errors(difficulty=EXPLAINED, score_thresholds=any_score, **rules)
    return Analysis(
        task=task,
        protocol=protocol,
        num_frames=len(labels),
        curves=curves,
        thresholds=thresholds,
        error_counts={
            difficulty: {name: errors.counts() for name, errors in classes.items()}
            for difficulty, classes in by_difficulty.items()
        },
        error_costs=error_costs(difficulty=EXPLAINED, **rules),
        parts={name: ap_by(property_name=name, **scored) for name in PROPERTIES},
        confusion=confusion_matrix(difficulty=EXPLAINED, score_thresholds=thresholds, **scored),
        scores=_scores_by_kind(unthresholded, detections),
        frame_errors=_count_by_frame(by_difficulty[EXPLAINED], labels, detections),
    )


def best_thresholds(curves: Curves) -> dict[str, float]:
    """Returns the score of the best F1 at difficulty moderate by class; 0 where nothing is hit."""
    return {
        name: best_threshold(of_class[EXPLAINED]) if of_class else 0.0
        for name, of_class in curves.items()
    }


def best_threshold(curve: PrecisionRecall) -> float:
    """Returns the sampled score at which F1, the harmonic mean of precision and recall, is best.

    0 if nothing is hit.
    """
    if not len(curve.thresholds):
        return 0.0
    # Interpolated precision is that of a point with at least this recall, so the last of the best
    # points is one where it was reached.
    precisions = curve.precisions[: len(curve.thresholds)]
    f1 = 2 * precisions * curve.recalls / np.maximum(precisions + curve.recalls, 1e-12)
    return float(curve.thresholds[len(f1) - 1 - int(np.argmax(f1[::-1]))])


def best_f1_scores(
    labels: Sequence[KittiObjects],
    detections: Sequence[KittiObjects],
    *,
    task: EvalTask = KITTI_TASK,
    protocol: str = "current",
) -> dict[str, float]:
    """Returns the score of the best F1 at difficulty moderate, of each class that is hit at all.

    Args:
        labels: the labels of each frame, DontCare included.
        detections: the detections of the same frames, with scores from 0 to 1.
        task: the classes and how each is scored.
        protocol: "current" or "pre2017".
    """
    curves = precision_recall(labels, detections, task=task, protocol=protocol)
    # Rounded down, so that the detection of that score stays in.
    return {
        name: math.floor(1000 * best_threshold(of_class[EXPLAINED])) / 1000
        for name, of_class in curves.items()
        if of_class and len(of_class[EXPLAINED].thresholds)
    }


def format_analysis(analysis: Analysis) -> str:
    """Lays errors, their costs and the AP of parts out as tables for the terminal."""
    return "\n\n".join([_format_errors(analysis), _format_parts(analysis)])


def _format_errors(analysis: Analysis) -> str:
    kinds = (CORRECT, *ERROR_KINDS)
    lines = [
        f"Errors at difficulty {EXPLAINED} (detections from the score of the best F1 on), and what "
        "R40 would gain without them",
        f"{'':12}{'score':>7}" + "".join(f"{kind:>18}" for kind in kinds),
    ]
    for name in analysis.task.names:
        counts, costs = analysis.error_counts[EXPLAINED][name], analysis.error_costs[name]
        cells = "".join(f"{_format_count(counts[kind], costs.get(kind)):>18}" for kind in kinds)
        lines.append(f"{name:12}{analysis.thresholds[name]:7.3f}{cells}")
    return "\n".join(lines)


def _format_count(count: int, cost: float | None) -> str:
    # Adding 0 makes a plain 0 of -0.
    return f"{count:,}" if cost is None else f"{count:,} ({round(cost, 1) + 0:+.1f})"


def _format_parts(analysis: Analysis) -> str:
    classes = analysis.task.names
    lines = [f"{'R40 / recall / objects':24}" + "".join(f"{name:>24}" for name in classes)]
    few = False
    for property_name, by_class in analysis.parts.items():
        for rows in zip(*(by_class[name] for name in classes), strict=True):
            few |= any(p.num_objects < NUM_RECALL_STEPS for p in rows)
            cells = "".join(f"{_format_part(part):>24}" for part in rows)
            lines.append(f"{property_name:12}{rows[0].part.name:12}{cells}")
    if few:
        lines.append(FEW_OBJECTS)
    return "\n".join(lines)


def _format_part(part: PartAp) -> str:
    star = "*" if part.num_objects < NUM_RECALL_STEPS else " "
    return f"{part.r40:.1f}{star}/ {100 * part.recall:.0f} % / {part.num_objects:,}"


def _scores_by_kind(
    errors: dict[str, Errors], detections: Sequence[KittiObjects]
) -> dict[str, dict[str, np.ndarray]]:
    scores = np.concatenate([np.empty(0), *(frame.scores for frame in detections)])
    kinds = [CORRECT, *(kind for kind in ERROR_KINDS if kind != MISSED)]
    found = {name: _surest_are_hits(of_class, scores) for name, of_class in errors.items()}
    return {
        name: {kind: scores[of_class == kind] for kind in kinds} for name, of_class in found.items()
    }


def _surest_are_hits(errors: Errors, scores: np.ndarray) -> np.ndarray:
    """Returns the kinds of detections as a threshold would show them, which leaves the surest.

    Without one the protocol gives each object to the detection that overlaps it most, however
    unsure.
    """
    kinds, gts = errors.detection_kinds.copy(), errors.detection_gts
    hits, repeated = (np.flatnonzero(kinds == kind) for kind in (CORRECT, REPEATED))
    of_hit = np.concatenate([hits, repeated[np.isin(gts[repeated], gts[hits])]])
    kinds[of_hit] = REPEATED
    kinds[surest(of_hit, gts, scores)] = CORRECT
    return kinds


def _count_by_frame(
    errors: dict[str, Errors], labels: Sequence[KittiObjects], detections: Sequence[KittiObjects]
) -> np.ndarray:
    """Returns the misses and false alarms of all classes in each frame, [F]."""
    gt_frames = np.repeat(np.arange(len(labels)), [len(frame) for frame in labels])
    det_frames = np.repeat(np.arange(len(labels)), [len(frame) for frame in detections])
    counts = np.zeros(len(labels), np.int64)
    for of_class in errors.values():
        np.add.at(counts, gt_frames[of_class.missed], 1)
        wrong = np.isin(of_class.detection_kinds, ERROR_KINDS)
        np.add.at(counts, det_frames[wrong], 1)
    return counts


def _part_to_json(part: PartAp) -> dict[str, Any]:
    values = asdict(part)
    return {"name": values.pop("part")["name"], **values}
