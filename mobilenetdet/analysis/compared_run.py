"""The detections of another run, to be looked at beside those of a report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mobilenetdet.analysis.analyse import best_thresholds
from mobilenetdet.analysis.frame_browser import BrowsedRun
from mobilenetdet.config.classes import KITTI_TASK, EvalTask
from mobilenetdet.findings import count_named
from mobilenetdet.kitti.average_precision import precision_recall, summarise_curves
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.kitti.results import read_result_files
from mobilenetdet.runs import DETECTIONS_DIR, EVALUATION_DIR, is_run, open_run

_REMEDY = "measure it on the same split first: mobilenetdet eval --run_dir {} --split SPLIT"


def find_result_files(source: str | os.PathLike[str]) -> Path:
    """Returns the folder of the result files NNNNNN.txt of another detector.

    Args:
        source: a run that was measured, or the name of weights that ship; what `eval` has written
            (`--output_dir`, or its `eval`); or a folder of result files.

    Raises:
        FileNotFoundError: there are none; names what was looked for.
    """
    place = Path(source)
    tried = [place, place / DETECTIONS_DIR, place / EVALUATION_DIR / DETECTIONS_DIR]
    if is_run(source):
        tried.append(open_run(source).evaluation_dir / DETECTIONS_DIR)
    for folder in tried:
        if folder.is_dir() and any(folder.glob("*.txt")):
            return folder
    raise FileNotFoundError(
        f"{source}: no result files NNNNNN.txt to compare with, neither there nor in "
        f"{tried[-1]}; {_REMEDY.format(source)}"
    )


def read_compared(
    source: str | os.PathLike[str],
    frame_ids: Sequence[str],
    labels: Sequence[KittiObjects],
    *,
    task: EvalTask = KITTI_TASK,
    protocol: str = "current",
) -> tuple[BrowsedRun, list[str]]:
    """Reads what another detector has found in the same frames.

    Args:
        source: see `find_result_files`.
        frame_ids: of the F frames.
        labels: F entries.
        task: the classes and how each is scored.
        protocol: "current" or "pre2017".

    Returns:
        Its detections, with its AP and its own scores of the best F1, and lines for frames that
        have no result file and count as empty, and for classes that are nowhere in them.

    Raises:
        FileNotFoundError: there are no result files.
        ValueError: a file is damaged, or none is of these frames.
    """
    folder = find_result_files(source)
    detections, missing = read_result_files(folder, frame_ids)
    if frame_ids and len(missing) == len(frame_ids):
        raise ValueError(
            f"{folder} holds no result of these {len(frame_ids):,} frames, such as "
            f"{missing[0]}.txt; {_REMEDY.format(source)}"
        )
    curves = precision_recall(labels, detections, task=task, protocol=protocol)
    what = f"frames have no result file in {folder}, counted as empty"
    findings = [count_named(missing, len(frame_ids), what)] if missing else []
    found = {name.lower() for frame in detections for name in np.unique(frame.types).tolist()}
    if absent := [name for name in task.names if name.lower() not in found]:
        findings.append(
            f"{folder} has no {', '.join(absent)}; is it of a detector of these classes?"
        )
    ap = summarise_curves(curves, protocol=protocol, num_frames=len(frame_ids))
    return BrowsedRun(str(source), detections, best_thresholds(curves), ap), findings
