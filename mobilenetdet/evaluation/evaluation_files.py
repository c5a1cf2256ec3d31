"""What an evaluation leaves: result files in KITTI's format, and metrics.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mobilenetdet.detections import Detections
from mobilenetdet.evaluation.evaluate import Evaluation
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.files.text import write_json
from mobilenetdet.kitti.labels import write_objects
from mobilenetdet.kitti.layout import check_frame_id
from mobilenetdet.runs import ANALYSIS_FILE, DETECTIONS_DIR, METRICS_FILE, REPORT_FILE


def write_evaluation(
    evaluation: Evaluation,
    folder: OutputFolder,
    *,
    min_score: float = 0.0,
    more: Mapping[str, Any] | None = None,
) -> Path:
    """Writes detections/NNNNNN.txt and metrics.json; a report of an earlier evaluation goes.

    Args:
        evaluation: what to write.
        folder: result files of an earlier evaluation in it are replaced when all are written;
            files of others stay.
        min_score: detections below it are not in the result files; AP is of all of them.
        more: further entries of metrics.json, by name.

    Returns:
        The path of metrics.json.

    Raises:
        FileExistsError: a file of another is in the way; nothing has changed.
    """
    folder.refuse_foreign([METRICS_FILE])
    write_detections(
        folder, {name: found.above(min_score) for name, found in evaluation.detections.items()}
    )
    ap = replace(evaluation.ap, context=evaluation.context())
    metrics = ap.to_dict() | dict(more or {})
    with folder.writing(METRICS_FILE) as path:
        write_json(path, metrics)
    folder.discard([REPORT_FILE, ANALYSIS_FILE])
    return folder.path / METRICS_FILE


def write_detections(folder: OutputFolder, by_frame: Mapping[str, Detections]) -> None:
    """Writes detections/NNNNNN.txt, which read back equal.

    Args:
        folder: result files of an earlier evaluation in it are replaced when all are written.
        by_frame: what was found, by frame id.

    Raises:
        FileExistsError: a file of another is in the way; nothing has changed.
        ValueError: a frame id would be a path.
    """
    with folder.replacing(f"{DETECTIONS_DIR}/*") as staging:
        (staging / DETECTIONS_DIR).mkdir()
        for frame_id, found in by_frame.items():
            check_frame_id(frame_id, "an evaluated frame")
            write_objects(staging / DETECTIONS_DIR / f"{frame_id}.txt", found.to_kitti())
