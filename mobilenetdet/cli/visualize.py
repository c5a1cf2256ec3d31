"""Draw overlays: detections against labels, labels alone, or batches as training sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mobilenetdet.cli.options import UseOverrides, run_defaults
from mobilenetdet.cli.progress import frame_progress
from mobilenetdet.config import DetectionConfig
from mobilenetdet.data.pipeline import count_frames
from mobilenetdet.evaluation.evaluate import evaluate_split
from mobilenetdet.evaluation.overlays import write_overlays
from mobilenetdet.evaluation.run import find_weights, load_detection_model
from mobilenetdet.evaluation.verify import write_batch_overlays, write_label_overlays


@dataclass(frozen=True)
class Options:
    """Draw overlays to look at.

    detections: those of a run against the labels; hits, misses and false alarms by colour.
    labels: what the records hold. batches: augmented frames with their boxes, as the network gets
    them. The last two need no run.
    """

    # What to draw.
    what: Literal["detections", "labels", "batches"] = "detections"
    # Run directory that scripts/train.py wrote.
    run_dir: Path = Path("runs/squeezedet")
    # Weights; by default the best of the run, or the last if none was measured.
    weights: Path | None = None
    # Split to draw; by default data.val_split, and data.train_split for batches.
    split: str | None = None
    # Ids of the frames to draw; by default eval.num_overlays frames spread over the split.
    frames: tuple[str, ...] = ()
    # Where the pictures go; by default overlays, labels or batches in the run directory.
    output_dir: Path | None = None
    overrides: Annotated[UseOverrides, tyro.conf.arg(name="")] = field(default_factory=UseOverrides)


def main(argv: list[str] | None = None) -> int:
    """Draws and says where; returns 0.

    Raises:
        FileNotFoundError: there is no such run, or no records.
        ValueError: a frame is not in the split.
    """
    config, options = run_defaults(Options, argv, run_needed=_needs_run)
    config = options.overrides.apply(config)
    names = {"detections": "overlays", "labels": "labels", "batches": "batches"}
    folder = options.output_dir or options.run_dir / names[options.what]
    if options.what == "labels":
        split = options.split or config.data.val_split
        print(write_label_overlays(config, split, folder, frame_ids=options.frames))
    elif options.what == "batches":
        print(write_batch_overlays(config, folder))
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
