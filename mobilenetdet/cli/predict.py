"""Detect in images, folders, globs and videos."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from mobilenetdet.cli.options import (
    ForPrediction,
    PredictOverrides,
    pretrained_run,
    run_defaults,
)
from mobilenetdet.cli.progress import frame_progress
from mobilenetdet.inference.predict import Format, PredictionWriter, detect_pictures
from mobilenetdet.inference.sources import find_files, read_pictures
from mobilenetdet.runs import find_weights, load_detection_model


@dataclass(frozen=True)
class Options:
    """Detect in images, folders, globs and videos with the detector of a run.

    Writes overlays/NAME.jpg, kitti/NAME.txt (KITTI's result format) and detections.json under the
    output directory. A frame of a video is named VIDEO_000000 and so on.
    """

    # Images, videos, folders or globs.
    inputs: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    # Where the predictions go.
    output_dir: Path = Path("predictions")
    # What to write: overlay (pictures), kitti (result files), json (one file).
    format: tuple[Format, ...] = ("overlay",)
    # Run directory that scripts/train.py wrote; by default the detector that comes with the
    # project.
    run_dir: Path = field(default_factory=pretrained_run)
    # Weights; by default the best of the run, or the last if none was measured.
    weights: Path | None = None
    overrides: ForPrediction = field(default_factory=PredictOverrides)


def main(argv: list[str] | None = None) -> int:
    """Detects, writes and says where; returns 0.

    Raises:
        FileNotFoundError: nothing to detect in, or no run.
        ValueError: a file is neither image nor video, or cannot be decoded.
    """
    config, options = run_defaults(Options, argv)
    if not options.inputs:
        raise ValueError("name images, folders, globs or videos to detect in; --help says more")
    config = options.overrides.apply(config)
    files = find_files(options.inputs)
    model = load_detection_model(config, options.weights or find_weights(options.run_dir))
    writer = PredictionWriter(
        options.output_dir, options.format, draw_score=config.eval.overlay_score
    )
    num_pictures = num_found = 0
    with frame_progress(None, "detecting") as progress:
        for picture, objects in detect_pictures(model, config, read_pictures(files)):
            writer.add(picture, objects)
            num_pictures += 1
            num_found += int((objects.scores >= config.eval.overlay_score).sum())
            progress(num_pictures)
    writer.close()
    print(
        f"{options.output_dir}: {num_found} objects with a score of {config.eval.overlay_score} "
        f"or more in {num_pictures} pictures"
    )
    return 0
