"""What explains an AP: errors by kind and what they cost, AP of parts, confusions, worst frames."""

from __future__ import annotations

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
    Errors,
    error_costs,
    find_errors,
)
from mobilenetdet.kitti.average_precision import (
    NUM_RECALL_STEPS,
    Curves,
    PrecisionRecall,
    precision_recall,
)
from mobilenetdet.kitti.labels import DIFFICULTIES, EVALUATED_CLASSES, MODERATE, KittiObjects

# The level that everything is explained at which is not given for all three.
LEVEL = MODERATE
FEW_OBJECTS = "* n objects, fewer than 41: R40 is at most 2.5 (n - 1)"


@dataclass(frozen=True, eq=False)
class Analysis:
    """An AP explained. What is not given by level is of level moderate.

    Attributes:
        protocol: "current" or "pre2017".
        num_frames: frames that were scored.
        curves: precision and recall by class and level.
        thresholds: by class, the score of the best F1, from which on detections count as made.
        error_counts: by level and class, how many detections are correct and how many errors there
            are of each kind.
        error_costs: by class and kind, what R40 would gain without such errors, percent points.
        parts: by property and class, AP and recall of the objects in parts.
        confusion: [C + 1, C + 1], see `confusion_matrix`.
        scores: by class and kind, the scores of all detections whatever their score.
        frame_errors: [F] errors of all classes in each frame.
    """

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
        """Return the indices of up to `count` frames with errors, the most errors first."""
        order = np.argsort(-self.frame_errors, kind="stable")[:count]
        return [int(index) for index in order if self.frame_errors[index] > 0]

    def to_json(self, frame_ids: Sequence[str]) -> dict[str, Any]:
        """Return everything but the curves and the scores, ready for JSON.

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
    protocol: str = "current",
) -> Analysis:
    """Explain the AP of detections.

    Args:
        labels: the labels of each frame, DontCare included.
        detections: the detections of the same frames, with scores.
        protocol: "current" or "pre2017".
    """
    curves = precision_recall(labels, detections, protocol=protocol)
    thresholds = {
        name: best_threshold(of_class[LEVEL.name]) if of_class else 0.0
        for name, of_class in curves.items()
    }
    task = {"labels": labels, "detections": detections, "protocol": protocol}
    by_level = {
        level.name: find_errors(difficulty=level, score_thresholds=thresholds, **task)
        for level in DIFFICULTIES
    }
    any_score = dict.fromkeys(EVALUATED_CLASSES, -np.inf)
    unthresholded = find_errors(difficulty=LEVEL, score_thresholds=any_score, **task)
    return Analysis(
        protocol=protocol,
        num_frames=len(labels),
        curves=curves,
        thresholds=thresholds,
        error_counts={
            level: {name: errors.counts() for name, errors in classes.items()}
            for level, classes in by_level.items()
        },
        error_costs=error_costs(difficulty=LEVEL, **task),
        parts={name: ap_by(labels, detections, name) for name in PROPERTIES},
        confusion=confusion_matrix(
            labels, detections, difficulty=LEVEL, score_thresholds=thresholds
        ),
        scores=_scores_by_kind(unthresholded, detections),
        frame_errors=_count_by_frame(by_level[LEVEL.name], labels, detections),
    )


def best_threshold(curve: PrecisionRecall) -> float:
    """Return the sampled score at which F1, the harmonic mean of precision and recall, is best.

    0 if nothing is hit.
    """
    if not len(curve.thresholds):
        return 0.0
    # Interpolated precision is that of a point with at least this recall, so the last of the best
    # points is one where it was reached.
    precisions = curve.precisions[: len(curve.thresholds)]
    f1 = 2 * precisions * curve.recalls / np.maximum(precisions + curve.recalls, 1e-12)
    return float(curve.thresholds[len(f1) - 1 - int(np.argmax(f1[::-1]))])


def format_analysis(analysis: Analysis) -> str:
    """Lay errors, their costs and the AP of parts out as tables for the terminal."""
    return "\n\n".join([_format_errors(analysis), _format_parts(analysis)])


def _format_errors(analysis: Analysis) -> str:
    kinds = (CORRECT, *ERROR_KINDS)
    lines = [
        f"Errors at level {LEVEL.name} (detections from the score of the best F1 on), and what "
        "R40 would gain without them",
        f"{'':12}{'score':>7}" + "".join(f"{kind:>18}" for kind in kinds),
    ]
    for name in EVALUATED_CLASSES:
        counts, costs = analysis.error_counts[LEVEL.name][name], analysis.error_costs[name]
        cells = "".join(f"{_format_count(counts[kind], costs.get(kind)):>18}" for kind in kinds)
        lines.append(f"{name:12}{analysis.thresholds[name]:7.3f}{cells}")
    return "\n".join(lines)


def _format_count(count: int, cost: float | None) -> str:
    # Adding 0 makes a plain 0 of -0.
    return f"{count:,}" if cost is None else f"{count:,} ({round(cost, 1) + 0:+.1f})"


def _format_parts(analysis: Analysis) -> str:
    classes = EVALUATED_CLASSES
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
    return {
        name: {kind: scores[of_class.detection_kinds == kind] for kind in kinds}
        for name, of_class in errors.items()
    }


def _count_by_frame(
    errors: dict[str, Errors], labels: Sequence[KittiObjects], detections: Sequence[KittiObjects]
) -> np.ndarray:
    """Return the misses and false alarms of all classes in each frame, [F]."""
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
