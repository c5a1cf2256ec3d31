"""Measure the AP of a run on a split."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mobilenetdet.analysis.analyse import analyse
from mobilenetdet.analysis.match_overlays import draw_worst_frames
from mobilenetdet.analysis.overlays import read_images, write_overlays
from mobilenetdet.cli.options import DEFAULT_RUN, Overrides, UseOverrides, run_defaults
from mobilenetdet.cli.progress import frame_progress
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.data.pipeline import count_frames
from mobilenetdet.evaluation.coco_ap import coco_metrics, format_coco
from mobilenetdet.evaluation.evaluate import Evaluation, evaluate_split, write_evaluation
from mobilenetdet.kitti.metric_table import format_metrics, write_metrics
from mobilenetdet.runs import find_weights, load_detection_model


@dataclass(frozen=True)
class Options:
    """Measure KITTI's official AP of a run.

    Reads the config of the run directory and writes eval/metrics.json, eval/detections/NNNNNN.txt
    in KITTI's result format, and overlays/ with a montage; with --report eval/report.html and
    eval/analysis.json.
    """

    # Run directory that scripts/train.py wrote.
    run_dir: Path = DEFAULT_RUN
    # Weights; by default the best of the run, or the last if none was measured.
    weights: Path | None = None
    # Split to measure; by default data.val_split.
    split: str | None = None
    # Where to write; by default the run directory.
    output_dir: Path | None = None
    # Explains the AP in eval/report.html: errors, what they cost, which objects are found, the
    # worst frames.
    report: bool = False
    # Measures COCO's AP, too.
    coco: bool = False
    overrides: Overrides = field(default_factory=UseOverrides)


def main(argv: list[str] | None = None) -> int:
    """Measures, writes and prints AP; returns 0."""
    config, options = run_defaults(Options, argv)
    config = options.overrides.apply(config)
    split = options.split or config.data.val_split
    model = load_detection_model(config, options.weights or find_weights(options.run_dir))
    with frame_progress(count_frames(config, split), "detecting") as progress:
        evaluation = evaluate_split(model, config, split, progress=progress)
    for line in config.eval_task().guesses():
        print(line)
    print(format_metrics(evaluation.metrics))
    coco = None
    if options.coco:
        coco = coco_metrics(*evaluation.pairs(), config.eval_task())
        print("\n" + format_coco(coco))
    output_dir = options.output_dir or options.run_dir
    write_evaluation(evaluation, output_dir / "eval", coco=coco)
    print(f"{output_dir}/eval/metrics.json and {output_dir}/eval/detections/")
    if options.report:
        print(_write_report(evaluation, config, output_dir / "eval", options))
    if config.eval.num_overlays:
        print(write_overlays(evaluation, config, output_dir / "overlays"))
    return 0


def _write_report(
    evaluation: Evaluation, config: DetectionConfig, folder: Path, options: Options
) -> Path:
    # Not at the top: matplotlib takes a second to import.
    from mobilenetdet.analysis.report import NUM_WORST_FRAMES, write_report

    frame_ids = list(evaluation.labels)
    labels, detections = evaluation.pairs()
    analysis = analyse(labels, detections, task=config.eval_task(), protocol=config.eval.protocol)
    worst = [frame_ids[index] for index in analysis.worst_frames(NUM_WORST_FRAMES)]
    images = dict(read_images(config, evaluation.split, worst))
    write_report(
        folder / "report.html",
        analysis,
        title=f"AP of {options.run_dir.resolve().name}",
        facts={
            "split": evaluation.split,
            "records": config.data.records_dir,
            "network input": f"{config.data.image_width}x{config.data.image_height}",
        },
        pictures=draw_worst_frames(
            analysis, frame_ids, images.__getitem__, labels, detections, count=NUM_WORST_FRAMES
        ),
    )
    write_metrics(folder / "analysis.json", analysis.to_json(frame_ids))
    return folder / "report.html"
