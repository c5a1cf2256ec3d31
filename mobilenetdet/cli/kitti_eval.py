"""Score any detector's result files by KITTI's rules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from mobilenetdet.kitti.average_precision import precision_recall, summarise_curves
from mobilenetdet.kitti.layout import parse_frame_ids
from mobilenetdet.kitti.metrics import format_metrics, write_metrics
from mobilenetdet.kitti.preflight import check_results
from mobilenetdet.kitti.results import read_labels, read_result_set
from mobilenetdet.kitti.self_check import check_labels


@dataclass(frozen=True)
class Options:
    """Score any detector's result files by KITTI's official 2D rules.

    Prints easy, moderate and hard AP of Car, Pedestrian and Cyclist in both samplings of recall,
    R40 and R11. Before that it looks for what makes such a number wrong without any error: names
    that match nothing, missing files, boxes in another order or resolution.
    """

    # Folder of the label files NNNNNN.txt.
    label_dir: Path = Path("data/KITTI/training/label_2")
    # Folder of the result files NNNNNN.txt, 16 columns, the last of them the score.
    result_dir: Path | None = None
    # List of the frames to score, one id a line; by default those that have a result file.
    frames: Path | None = None
    # current: detections lower than a level's minimum are ignored, since April 2017. pre2017: they
    # count, as in the figures of SqueezeDet's paper.
    protocol: Literal["current", "pre2017"] = "current"
    # File for the figures, with all 41 precisions.
    json: Path | None = None
    # Folder for plots of precision against recall.
    plots: Path | None = None
    # Ends without a figure if anything looks wrong.
    strict: bool = False
    # Scores the labels themselves instead of results and says what to expect of them.
    self_check: bool = False


def main(argv: list[str] | None = None) -> int:
    """Checks, scores and writes; returns 0.

    Raises:
        FileNotFoundError: a folder or a label is missing.
        ValueError: a file is damaged, or with --strict anything that looks wrong.
    """
    options = tyro.cli(Options, args=argv, use_underscores=True)
    frame_ids = None
    if options.frames is not None:
        text = options.frames.read_text(encoding="utf-8")
        frame_ids = parse_frame_ids(text, str(options.frames))
    if options.self_check:
        for line in check_labels(
            read_labels(options.label_dir, frame_ids), protocol=options.protocol
        ):
            print(line)
        return 0
    if options.result_dir is None:
        raise ValueError("--result_dir is missing: the folder of the result files to score")
    results = read_result_set(options.label_dir, options.result_dir, frame_ids)
    _report(check_results(results), strict=options.strict)
    curves = precision_recall(results.labels, results.detections, protocol=options.protocol)
    metrics = {
        "protocol": options.protocol,
        "frames": len(results.frame_ids),
        **summarise_curves(curves),
    }
    print(format_metrics(metrics))
    if options.json is not None:
        write_metrics(options.json, metrics)
        print(options.json)
    if options.plots is not None:
        # Not at the top: matplotlib takes a second to import.
        from mobilenetdet.evaluation.plots import plot_precision_recall

        print(plot_precision_recall(curves, options.plots))
    return 0


def _report(findings: list[str], *, strict: bool) -> None:
    if strict and findings:
        raise ValueError(
            "with --strict nothing is scored while there are warnings:\n  " + "\n  ".join(findings)
        )
    for finding in findings:
        print(f"warning: {finding}")
