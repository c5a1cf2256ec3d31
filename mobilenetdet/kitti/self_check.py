"""Scoring the labels as if they were detections: what a perfect detector gets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mobilenetdet.config.classes import DIFFICULTY_NAMES, KITTI_TASK, EvalTask
from mobilenetdet.config.type_names import DONT_CARE_TYPE
from mobilenetdet.findings import counted
from mobilenetdet.kitti.average_precision import (
    NUM_RECALL_STEPS,
    evaluate_detections,
    perfect_ap,
)
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.kitti.metric_table import MEASURES, measure_of


def check_labels(
    labels: Sequence[KittiObjects], *, task: EvalTask = KITTI_TASK, protocol: str = "current"
) -> Iterator[str]:
    """Scores labels against themselves and compares the AP with what it has to be.

    Args:
        labels: the labels of each frame, DontCare included.
        task: the classes and how each is scored.
        protocol: "current" or "pre2017".

    Yields:
        Lines to print: one for each class and difficulty, and an explanation where it is not 100.
    """
    yield f"labels of {counted(len(labels), 'frame')} scored as detections, protocol {protocol}"
    ap = evaluate_detections(labels, as_detections(labels), task=task, protocol=protocol)
    few = surprising = False
    for name, of_class in ap.items():
        if not of_class.detected:
            yield f"{name:12}no object in any frame"
            continue
        for difficulty in DIFFICULTY_NAMES:
            at = of_class[difficulty]
            line = f"{name:12}{difficulty:10}{at.num_objects:7,} objects"
            line += "".join(f"  {m} {measure_of(at, m):6.2f}" for m in MEASURES)
            expected = perfect_ap(at.num_objects)
            if any(abs(measure_of(at, m) - expected[m]) > 1e-6 for m in MEASURES):
                surprising = True
                line += "  expected" + "".join(f" {expected[m]:.2f}" for m in MEASURES)
            elif at.num_objects < NUM_RECALL_STEPS:
                few = True
                line += "  as expected of so few"
            yield line
    if few:
        yield (
            f"Below {NUM_RECALL_STEPS} objects there are not enough scores to sample recall at: "
            f"with n objects only the first n of the {NUM_RECALL_STEPS} precisions are not 0."
        )
    if surprising:
        yield (
            "Some figures are not what a perfect detector gets: objects of one class overlap each "
            "other so much that one takes another's box, or lie in a DontCare region."
        )


def as_detections(labels: Sequence[KittiObjects]) -> list[KittiObjects]:
    """Returns what a perfect detector says: every object but DontCare, with a score of 1."""
    found = []
    for frame in labels:
        objects = frame[frame.types != DONT_CARE_TYPE]
        scores = np.ones(len(objects))
        found.append(KittiObjects.from_detections(objects.types, objects.boxes_xyxy, scores))
    return found
