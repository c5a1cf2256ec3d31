"""Scoring the labels as if they were detections: what a perfect detector gets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mobilenetdet.kitti.average_precision import (
    NUM_RECALL_STEPS,
    PrecisionRecall,
    perfect_ap,
    precision_recall,
)
from mobilenetdet.kitti.labels import DONT_CARE, EVALUATED_CLASSES, KittiObjects
from mobilenetdet.kitti.metric_table import MEASURES


def check_labels(labels: Sequence[KittiObjects], *, protocol: str = "current") -> Iterator[str]:
    """Score labels against themselves and compare the AP with what it has to be.

    Args:
        labels: the labels of each frame, DontCare included.
        protocol: "current" or "pre2017".

    Yields:
        Lines to print: one for each class and level, and an explanation where it is not 100.
    """
    yield f"labels of {len(labels):,} frames scored as detections, protocol {protocol}"
    curves = precision_recall(labels, as_detections(labels), protocol=protocol)
    few = surprising = False
    for class_name in EVALUATED_CLASSES:
        if curves[class_name] is None:
            yield f"{class_name:12}no object in any frame"
            continue
        for level, curve in curves[class_name].items():
            expected = perfect_ap(curve.num_objects)
            line = f"{class_name:12}{level:10}{curve.num_objects:7,} objects"
            line += "".join(f"  {m} {_ap(curve, m):6.2f}" for m in MEASURES)
            if any(abs(_ap(curve, m) - expected[m]) > 1e-6 for m in MEASURES):
                surprising = True
                line += "  expected" + "".join(f" {expected[m]:.2f}" for m in MEASURES)
            elif curve.num_objects < NUM_RECALL_STEPS:
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
    """Return what a perfect detector says: every object but DontCare, with a score of 1."""
    found = []
    for frame in labels:
        objects = frame[frame.types != DONT_CARE]
        scores = np.ones(len(objects))
        found.append(KittiObjects.from_detections(objects.types, objects.boxes_xyxy, scores))
    return found


def _ap(curve: PrecisionRecall, measure: str) -> float:
    return {"R40": curve.r40, "R11": curve.r11}[measure]
