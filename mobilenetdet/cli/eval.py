"""Measure the AP of a run on a split."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mobilenetdet.analysis.analyse import analyse
from mobilenetdet.analysis.match_overlays import draw_worst_frames
from mobilenetdet.analysis.overlays import (
    MONTAGE_NAME,
    measure_scores,
    read_images,
    write_overlays,
)
from mobilenetdet.cli.model_option import refuse_two_detectors
from mobilenetdet.cli.options import DEFAULT_RUN
from mobilenetdet.cli.progress import frame_progress
from mobilenetdet.cli.run_options import Overrides, UseOverrides, run_defaults
from mobilenetdet.cli.score_option import with_score
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.evaluation.coco_ap import coco_metrics, format_coco
from mobilenetdet.evaluation.evaluate import (
    Evaluation,
    check_split,
    evaluate_split,
    write_evaluation,
)
from mobilenetdet.findings import report_findings
from mobilenetdet.inference.loaded_detector import load_detector
from mobilenetdet.kitti.changed_rules import changed_rules
from mobilenetdet.kitti.metric_table import format_metrics
from mobilenetdet.output_folder import OutputFolder
from mobilenetdet.quiet import import_tensorflow_quietly
from mobilenetdet.records.shards import count_frames
from mobilenetdet.runs import (
    ANALYSIS_FILE,
    DETECTIONS_DIR,
    METRICS_FILE,
    REPORT_FILE,
    RunDir,
    beside_exported,
    open_run,
)
from mobilenetdet.text_file import write_json


@dataclass(frozen=True)
class Options:
    """Measure KITTI's official AP of a run.

    Writes eval/metrics.json, eval/detections/NNNNNN.txt (KITTI's format) and overlays/.
    """

    # Run directory, or the name of weights that ship.
    run_dir: Path = DEFAULT_RUN
    # Weights; by default the best of the run, or else the last.
    weights: Path | None = None
    # Exported file instead of a run; results go beside it.
    model: Path | None = None
    # Split to measure; by default data.val_split.
    split: str | None = None
    # Lowest score in pictures and files; by default the best F1 in pictures.
    score: float | None = None
    # Where to write; by default the run directory.
    output_dir: Path | None = None
    # Replaces files of others of the same names.
    overwrite: bool = False
    # Explains the AP in eval/report.html.
    report: bool = False
    # Measures COCO's AP, too.
    coco: bool = False
    # Refuses to measure on frames that were trained on.
    strict: bool = False
    overrides: Overrides = field(default_factory=UseOverrides)


def main(argv: list[str] | None = None) -> int:
    """Measures, writes and prints AP; returns 0."""
    config, options = run_defaults(Options, argv)
    refuse_two_detectors(options.model, options.run_dir, DEFAULT_RUN)
    config = with_score(options.overrides.apply(config), options.score)
    run = open_run(options.run_dir) if options.model is None else beside_exported(options.model)
    output = run if options.output_dir is None else RunDir(options.output_dir)
    in_run = options.output_dir is None and options.model is None
    folder, pictures = (
        OutputFolder.of_run(place)
        if in_run and not options.overwrite
        else OutputFolder(place, overwrite=options.overwrite)
        for place in (output.evaluation_dir, output.overlays_dir)
    )
    reports = [REPORT_FILE, ANALYSIS_FILE] if options.report else []
    folder.refuse_foreign([METRICS_FILE, *reports])
    pictures.refuse_foreign([MONTAGE_NAME] if config.eval.num_overlays else [])
    split = options.split or config.data.val_split
    num_frames = count_frames(config.data.records_dir, split)
    with folder.locked(), pictures.locked():
        import_tensorflow_quietly()
        model = load_detector(
            options.model or options.run_dir, weights=options.weights, config=config
        )
        # Before the minutes that detecting takes.
        report_findings(check_split(model, split=split).findings(), strict=options.strict)
        with frame_progress(num_frames, "detecting") as progress:
            evaluation = evaluate_split(
                model, split=split, keep=config.eval.num_overlays, progress=progress
            )
        _report(evaluation, options, run.name, folder)
        if not config.eval.best_f1_scores and config.eval.drawing_score is None:
            evaluation = measure_scores(evaluation, run if _is_of(run, options, config) else None)
        if evaluation.images:
            print(write_overlays(evaluation, pictures))
    return 0


def _report(evaluation: Evaluation, options: Options, name: str, folder: OutputFolder) -> None:
    """Prints AP, and writes all metrics that were asked for."""
    config = evaluation.config
    task = config.eval_task()
    for line in (*task.guesses(), *changed_rules(task.to_dict())):
        print(line)
    print(evaluation.seen)
    print(format_metrics(evaluation.ap))
    metrics = write_evaluation(
        evaluation,
        folder,
        min_score=options.score or 0.0,
        more=_coco(evaluation) if options.coco else {},
    )
    lowest = f" (from score {options.score:g} on; AP is of all)" if options.score else ""
    print(f"{metrics} and {folder.path / DETECTIONS_DIR}{lowest}")
    if options.report:
        print(_write_report(evaluation, folder, name))


def _is_of(run: RunDir, options: Options, config: DetectionConfig) -> bool:
    """Whether what is measured holds for the run as it is, on the split that it is validated on."""
    others = (run.shipped_name, options.output_dir, options.weights, options.split, options.model)
    if any(others):
        return False
    own = run.read_config()
    return (own.data, own.postprocess) == (config.data, config.postprocess)


def _coco(evaluation: Evaluation) -> dict[str, Any]:
    """Measures and prints COCO's AP."""
    metrics = coco_metrics(*evaluation.pairs(), evaluation.config.eval_task())
    print("\n" + format_coco(metrics))
    return {"coco": metrics}


def _write_report(evaluation: Evaluation, folder: OutputFolder, name: str) -> Path:
    """Explains the AP; the images of the worst frames are read again, by their ids."""
    # Not at the top: matplotlib takes a second to import.
    from mobilenetdet.analysis.report import NUM_WORST_FRAMES, write_report

    config, frame_ids = evaluation.config, list(evaluation.labels)
    labels, detections = evaluation.pairs()
    analysis = analyse(labels, detections, task=config.eval_task(), protocol=config.eval.protocol)
    worst = [frame_ids[index] for index in analysis.worst_frames(NUM_WORST_FRAMES)]
    images = dict(read_images(config.data.records_dir, evaluation.split, worst))
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
        )
    with folder.writing(ANALYSIS_FILE) as path:
        write_json(path, analysis.to_json(frame_ids))
    return folder.path / REPORT_FILE
