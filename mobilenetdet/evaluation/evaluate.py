"""From a detector and the records of a split to KITTI's AP and result files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.detections import to_kitti
from mobilenetdet.evaluation.score_calibration import Calibration, calibrate
from mobilenetdet.inference.detect import Progress, detect_split
from mobilenetdet.inference.detection_model import DetectionModel
from mobilenetdet.kitti.ap_result import AveragePrecision
from mobilenetdet.kitti.average_precision import evaluate_detections
from mobilenetdet.kitti.labels import KittiObjects, write_objects
from mobilenetdet.kitti.metric_table import write_metrics
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.shards import shard_paths


@dataclass(frozen=True)
class Evaluation:
    """What a detector made of a split.

    Attributes:
        split: such as "val".
        metrics: average precision of each class.
        labels: ground truth by frame id.
        results: detections by frame id, with class names.
    """

    split: str
    metrics: AveragePrecision
    labels: dict[str, KittiObjects]
    results: dict[str, KittiObjects]

    def pairs(self) -> tuple[list[KittiObjects], list[KittiObjects]]:
        """Returns labels and detections of the frames, both in the order of the labels."""
        return list(self.labels.values()), [self.results[frame_id] for frame_id in self.labels]


def read_labels(config: DetectionConfig, split: str) -> dict[str, KittiObjects]:
    """Reads the ground truth of a split from its records, by frame id."""
    paths = shard_paths(config.data.records_dir, split)
    return {frame.frame_id: frame.objects for frame in read_frames(paths)}


def evaluate_split(
    model: DetectionModel,
    config: DetectionConfig,
    split: str,
    *,
    labels: dict[str, KittiObjects] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Detects in a split and measures the official AP.

    Args:
        model: from `detect.make_detection_model`.
        config: says where the records are and which protocol counts.
        split: such as "val".
        labels: ground truth from `read_labels`, if it was read already.
        progress: called with the number of frames that are done.
    """
    labels = labels or read_labels(config, split)
    found = detect_split(model, config, split, progress)
    results = {frame: to_kitti(found[frame], config.data.classes) for frame in labels}
    metrics = evaluate_detections(
        list(labels.values()),
        list(results.values()),
        task=config.eval_task(),
        protocol=config.eval.protocol,
    )
    return Evaluation(split, metrics, labels, results)


def calibrated(evaluation: Evaluation, by_class: Mapping[str, Calibration]) -> Evaluation:
    """Returns an evaluation with calibrated scores; AP looks at their order alone, and stays."""
    results = {}
    for frame_id, objects in evaluation.results.items():
        scores = objects.scores.copy()
        for name, calibration in by_class.items():
            own = objects.types == name
            scores[own] = calibrate(scores[own], calibration)
        order = np.argsort(-scores, kind="stable")
        results[frame_id] = replace(objects, scores=scores)[order]
    return replace(evaluation, results=results)


def write_evaluation(
    evaluation: Evaluation, folder: Path, *, coco: dict[str, Any] | None = None
) -> None:
    """Writes metrics.json and detections/NNNNNN.txt; the old ones stay until all is written.

    Args:
        evaluation: what to write.
        folder: gets the files.
        coco: COCO's metrics, if they were measured, too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / ".detections.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    for frame_id, objects in evaluation.results.items():
        write_objects(temporary / f"{frame_id}.txt", objects)
    target = folder / "detections"
    shutil.rmtree(target, ignore_errors=True)
    os.replace(temporary, target)
    figures = {"split": evaluation.split, **evaluation.metrics.to_dict()}
    write_metrics(folder / "metrics.json", figures | ({} if coco is None else {"coco": coco}))
