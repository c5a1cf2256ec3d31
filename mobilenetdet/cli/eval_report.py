"""The report that eval writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mobilenetdet.analysis.analyse import analyse
from mobilenetdet.analysis.compared_run import read_compared
from mobilenetdet.analysis.frame_browser import BrowsedRun, browser_parts, pictured_frames
from mobilenetdet.analysis.match_overlays import draw_worst_frames
from mobilenetdet.analysis.overlays import read_images
from mobilenetdet.evaluation.evaluate import Evaluation
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.files.text import write_json
from mobilenetdet.findings import report_findings
from mobilenetdet.runs import ANALYSIS_FILE, REPORT_FILE


def read_other_run(evaluation: Evaluation, source: Path, *, strict: bool) -> BrowsedRun:
    """Reads what another run has found in the same frames.

    Args:
        evaluation: what was measured.
        source: measured run, or folder of result files.
        strict: makes an error of what is odd in them.

    Raises:
        FileNotFoundError: there are no result files.
        ValueError: they are damaged, or odd and `strict`.
    """
    config = evaluation.config
    compared, findings = read_compared(
        source,
        list(evaluation.labels),
        list(evaluation.labels.values()),
        task=config.eval_task(),
        protocol=config.eval.protocol,
    )
    report_findings(findings, strict=strict)
    return compared


def write_eval_report(
    evaluation: Evaluation, folder: OutputFolder, name: str, others: list[BrowsedRun]
) -> Path:
    """Explains the AP in two files; images are read again, by the ids of their frames.

    Args:
        evaluation: what was measured.
        folder: where they go.
        name: of the run.
        others: runs that are shown beside.

    Returns:
        Path of the report.
    """
    # Not at the top: matplotlib takes a second to import.
    from mobilenetdet.analysis.report import NUM_WORST_FRAMES, write_report

    config, frame_ids = evaluation.config, list(evaluation.labels)
    labels, detections = evaluation.pairs()
    scoring: dict[str, Any] = {"task": config.eval_task(), "protocol": config.eval.protocol}
    analysis = analyse(labels, detections, **scoring)
    worst = [frame_ids[index] for index in analysis.worst_frames(NUM_WORST_FRAMES)]
    pictured = pictured_frames(frame_ids, analysis.frame_errors)
    images = dict(read_images(config.data.records_dir, evaluation.split, worst))
    pictures = read_images(config.data.records_dir, evaluation.split, pictured)
    runs = [BrowsedRun(name, detections, analysis.thresholds), *others]
    with folder.writing(REPORT_FILE) as path:
        write_report(
            path,
            analysis,
            title=f"AP of {name}",
            facts={
                "split": evaluation.split,
                "training": str(evaluation.seen),
                "records": config.data.records_dir,
                "network input": "{}x{} (height x width)".format(*config.image_size),
            },
            pictures=draw_worst_frames(
                analysis, frame_ids, images.__getitem__, labels, detections, count=NUM_WORST_FRAMES
            ),
            browser=browser_parts(frame_ids, labels, runs, pictures=pictures, **scoring),
            beside=others,
        )
    with folder.writing(ANALYSIS_FILE) as path:
        write_json(path, analysis.to_json(frame_ids))
    return folder.path / REPORT_FILE
