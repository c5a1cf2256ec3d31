"""Frames drawn with what the protocol makes of every object and every detection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mobilenetdet.analysis.analyse import EXPLAINED, Analysis
from mobilenetdet.config.classes import HARD, KITTI_TASK, EvalTask
from mobilenetdet.drawing import draw_comparison
from mobilenetdet.findings import counted
from mobilenetdet.kitti.average_precision import IGNORED_OUTCOME, match_frame
from mobilenetdet.kitti.labels import KittiObjects


def draw_worst_frames(
    analysis: Analysis,
    frame_ids: Sequence[str],
    read_frame: Callable[[str], np.ndarray],
    labels: Sequence[KittiObjects],
    detections: Sequence[KittiObjects],
    *,
    count: int,
) -> Iterator[tuple[str, np.ndarray]]:
    """Draws the frames with the most errors, with the detections that the analysis counts.

    Args:
        analysis: of these labels and detections.
        frame_ids: of the F frames.
        read_frame: gives the image of a frame, uint8 [H, W, 3] RGB.
        labels: F entries.
        detections: F entries.
        count: frames at most.

    Yields:
        (caption, overlay uint8 [H, W, 3]), the worst first.
    """
    for index in analysis.worst_frames(count):
        found, frame_id = detections[index], frame_ids[index]
        classes = analysis.task.class_of_type
        lowest = {t: analysis.thresholds[name] for t, name in classes.items()}
        sure = [
            score >= lowest.get(name.lower(), np.inf)
            for name, score in zip(found.types.tolist(), found.scores, strict=True)
        ]
        overlay = draw_match_overlay(
            read_frame(frame_id),
            labels[index],
            found[np.array(sure, bool)],
            task=analysis.task,
            protocol=analysis.protocol,
            difficulty=EXPLAINED,
            title=frame_id,
        )
        errors = int(analysis.frame_errors[index])
        yield f"{frame_id}: {counted(errors, 'error')} at difficulty {EXPLAINED}", overlay


def draw_match_overlay(
    image: np.ndarray,
    labels: KittiObjects,
    results: KittiObjects,
    *,
    task: EvalTask = KITTI_TASK,
    protocol: str = "current",
    difficulty: str = HARD.name,
    title: str = "",
) -> np.ndarray:
    """Draws labels and detections with what the protocol makes of them.

    Args:
        image: uint8 [H, W, 3], RGB.
        labels: all objects of the frame.
        results: the detections to draw.
        task: the classes and how each is scored.
        protocol: "current" or "pre2017".
        difficulty: easy, moderate or hard.
        title: stands in the strip below, with the difficulty.
    """
    label_outcomes, result_outcomes = combined_outcomes(
        labels, results, task=task, protocol=protocol, difficulty=difficulty
    )
    return draw_comparison(
        image,
        labels,
        results,
        label_outcomes=label_outcomes,
        detection_outcomes=result_outcomes,
        title=f"{title}, {difficulty}" if title else difficulty,
    )


def combined_outcomes(
    labels: KittiObjects,
    results: KittiObjects,
    *,
    task: EvalTask = KITTI_TASK,
    protocol: str = "current",
    difficulty: str = HARD.name,
) -> tuple[np.ndarray, np.ndarray]:
    """What became of each label [N] and detection [M], all classes together.

    A row that counts for no class stays "ignored".
    """
    label_outcomes = np.full(len(labels), IGNORED_OUTCOME, "<U11")
    result_outcomes = np.full(len(results), IGNORED_OUTCOME, "<U11")
    for class_name in task.names:
        matches = match_frame(
            labels,
            results,
            class_name=class_name,
            difficulty=difficulty,
            score_threshold=-np.inf,
            task=task,
            protocol=protocol,
        )
        for combined, of_class in (
            (label_outcomes, matches.label_outcomes),
            (result_outcomes, matches.detection_outcomes),
        ):
            counts = of_class != IGNORED_OUTCOME
            combined[counts] = of_class[counts]
    return label_outcomes, result_outcomes
