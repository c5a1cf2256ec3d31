"""Measure the AP of a run on a split."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from mobilenetdet.cli.options import UseOverrides, run_defaults
from mobilenetdet.cli.progress import frame_progress
from mobilenetdet.data.pipeline import count_frames
from mobilenetdet.evaluation.evaluate import evaluate_split, write_evaluation
from mobilenetdet.evaluation.overlays import write_overlays
from mobilenetdet.evaluation.run import find_weights, load_detection_model
from mobilenetdet.kitti.metrics import format_metrics


@dataclass(frozen=True)
class Options:
    """Measure KITTI's official AP of a run.

    Reads the config of the run directory and writes eval/metrics.json, eval/detections/NNNNNN.txt
    in KITTI's result format, and overlays/ with a montage.
    """

    # Run directory that scripts/train.py wrote.
    run_dir: Path = Path("runs/squeezedet")
    # Weights; by default the best of the run, or the last if none was measured.
    weights: Path | None = None
    # Split to measure; by default data.val_split.
    split: str | None = None
    # Where to write; by default the run directory.
    output_dir: Path | None = None
    overrides: Annotated[UseOverrides, tyro.conf.arg(name="")] = field(default_factory=UseOverrides)


def main(argv: list[str] | None = None) -> int:
    """Measures, writes and prints AP; returns 0."""
    config, options = run_defaults(Options, argv)
    config = options.overrides.apply(config)
    split = options.split or config.data.val_split
    model = load_detection_model(config, options.weights or find_weights(options.run_dir))
    with frame_progress(count_frames(config, split), "detecting") as progress:
        evaluation = evaluate_split(model, config, split, progress=progress)
    output_dir = options.output_dir or options.run_dir
    write_evaluation(evaluation, output_dir / "eval")
    print(format_metrics(evaluation.metrics))
    print(f"{output_dir}/eval/metrics.json and {output_dir}/eval/detections/")
    if config.eval.num_overlays:
        print(write_overlays(evaluation, config, output_dir / "overlays"))
    return 0
