"""Draw overlays: detections against labels, labels, training batches, matches of anchors."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mobilenetdet.analysis.dataset_overlays import (
    write_batch_overlays,
    write_label_overlays,
    write_match_overlays,
)
from mobilenetdet.analysis.overlays import write_overlays
from mobilenetdet.cli.options import DEFAULT_RUN, Overrides, UseOverrides, run_defaults
from mobilenetdet.cli.progress import frame_progress
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.presets import PRESETS
from mobilenetdet.data.pipeline import count_frames
from mobilenetdet.evaluation.evaluate import evaluate_split
from mobilenetdet.runs import find_weights, load_detection_model

_PRESETS = f"one of {', '.join(PRESETS)}"


@dataclass(frozen=True)
class Options:
    """Draw overlays to look at.

    detections: those of a run against the labels; hits, misses and false alarms by colour.
    labels: what the records hold. batches: augmented frames with their boxes, as the network gets
    them. matches: the anchors that learn each of these objects. Only detections need a run; for the
    others its config is used, or that of --preset.
    """

    # What to draw.
    what: Literal["detections", "labels", "batches", "matches"] = "detections"
    # Run directory that scripts/train.py wrote.
    run_dir: Path = DEFAULT_RUN
    # Config to draw batches and matches by, instead of that of a run.
    preset: Annotated[str | None, tyro.conf.arg(help_behavior_hint=_PRESETS)] = None
    # Weights; by default the best of the run, or the last if none was measured.
    weights: Path | None = None
    # Split to draw; by default data.val_split; batches and matches are of data.train_split.
    split: str | None = None
    # Ids of the frames to draw; by default eval.num_overlays frames spread over the split.
    frames: tuple[str, ...] = ()
    # Where the pictures go; by default a folder named after them in the run directory.
    output_dir: Path | None = None
    overrides: Overrides = field(default_factory=UseOverrides)


def main(argv: list[str] | None = None) -> int:
    """Draws and says where; returns 0.

    Raises:
        FileNotFoundError: there is no such run, or no records.
        ValueError: a frame is not in the split.
    """
    config, options = run_defaults(Options, argv, run_needed=_needs_run)
    config = options.overrides.apply(config)
    name = "overlays" if options.what == "detections" else options.what
    folder = options.output_dir or options.run_dir / name
    if options.what == "labels":
        split = options.split or config.data.val_split
        print(write_label_overlays(config, split, folder, frame_ids=options.frames))
    elif options.what == "batches":
        print(write_batch_overlays(config, folder))
    elif options.what == "matches":
        print(write_match_overlays(config, folder))
    else:
        print(_draw_detections(config, options, folder))
    return 0


def _needs_run(options: Options) -> bool:
    return options.what == "detections"


def _draw_detections(config: DetectionConfig, options: Options, folder: Path) -> Path:
    split = options.split or config.data.val_split
    model = load_detection_model(config, options.weights or find_weights(options.run_dir))
    with frame_progress(count_frames(config, split), "detecting") as progress:
        evaluation = evaluate_split(model, config, split, progress=progress)
    return write_overlays(evaluation, config, folder, frame_ids=options.frames)
