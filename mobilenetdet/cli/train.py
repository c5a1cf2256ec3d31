"""Train a detector on records of KITTI, or go on with an interrupted run."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from mobilenetdet.analysis.overlays import MONTAGE_NAME
from mobilenetdet.cli.config_options import parse_with_config
from mobilenetdet.cli.options import CONFIG_FILE, DEFAULT_PRESET, peek
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.presets import PRESETS, make_preset
from mobilenetdet.kitti.metric_table import format_metrics
from mobilenetdet.runs import DETECTIONS_DIR, RunDir
from mobilenetdet.system.quiet import import_tensorflow_quietly


@dataclass(frozen=True)
class Options:
    """Train a detector on KITTI's records, or go on with an interrupted run.

    Start from a preset and change single values: --train.epochs 20 --model.alpha 0.25. The run
    directory gets config.json, metrics.csv, TensorBoard logs, the best and the last weights, eval/
    and overlays/. The same command, given again after Ctrl-C, goes on after the last complete
    epoch.
    """

    # Preset to start from.
    preset: Annotated[str, tyro.conf.arg(metavar="NAME")] = DEFAULT_PRESET
    # File with settings to put over the preset, JSON or YAML, by section as in config.json; options
    # win.
    config_file: CONFIG_FILE = None
    # Where the run goes; by default runs/PRESET.
    run_dir: Path | None = None
    # Ends before the first epoch where there are warnings, such as of validation frames that are
    # trained on.
    strict: bool = False
    config: Annotated[DetectionConfig, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff] = field(
        default_factory=lambda: make_preset(DEFAULT_PRESET)
    )


def main(argv: list[str] | None = None) -> int:
    """Trains, evaluates the best weights and prints AP; returns 0."""
    name = peek(argv, "preset", DEFAULT_PRESET)
    options = parse_with_config(
        Options,
        argv,
        make_preset(name),
        lambda config: Options(preset=name, config=config),
        presets=PRESETS,
    )
    run_dir = options.run_dir or Path("runs") / name
    import_tensorflow_quietly(find_devices=not options.config.train.on_virtual_devices)
    # Not at the top: it imports TensorFlow, and the help does without.
    from mobilenetdet.training.train import train

    # A log file gets lines, a terminal a bar.
    verbose = 1 if sys.stdout.isatty() else 2
    evaluation = train(options.config, run_dir, verbose=verbose, strict=options.strict)
    print(f"\nthe best weights: {evaluation.seen}\n{format_metrics(evaluation.ap)}")
    run = RunDir(run_dir)
    print(f"{run.metrics_file}, {run.evaluation_dir / DETECTIONS_DIR}")
    if options.config.eval.num_overlays:
        print(run.overlays_dir / MONTAGE_NAME)
    return 0
