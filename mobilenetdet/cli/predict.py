"""Detect in images, folders, globs and videos."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from mobilenetdet.cli.options import ForPrediction, PredictOverrides, run_defaults
from mobilenetdet.cli.progress import frame_progress
from mobilenetdet.cli.quiet import import_tensorflow_quietly
from mobilenetdet.inference.loaded_detector import load_detector
from mobilenetdet.inference.predict import Format, PredictionWriter, detect_pictures
from mobilenetdet.inference.sources import find_files, read_pictures
from mobilenetdet.output_folder import OutputFolder
from mobilenetdet.runs import DEFAULT_WEIGHTS


@dataclass(frozen=True)
class Options:
    """Detect in images, folders, globs and videos with the detector of a run.

    Writes overlays/NAME.jpg, kitti/NAME.txt (KITTI's result format) and detections.json under the
    output directory. A frame of a video is named VIDEO_000000 and so on.
    """

    # Images, videos, folders or globs.
    inputs: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    # Where the predictions go; files of others there stay.
    output_dir: Path = Path("predictions")
    # Replaces files of others of the same names.
    overwrite: bool = False
    # What to write: overlay (pictures), kitti (result files), json (one file).
    format: tuple[Format, ...] = ("overlay",)
    # Run directory, or the name of weights that ship with the package.
    run_dir: Path = Path(DEFAULT_WEIGHTS)
    # Weights; by default the best of the run, or the last if none was measured.
    weights: Path | None = None
    overrides: ForPrediction = field(default_factory=PredictOverrides)


def main(argv: list[str] | None = None) -> int:
    """Detects, writes and says where; returns 0.

    Raises:
        FileExistsError: a file of another is in the way, or another process is writing there.
        FileNotFoundError: nothing to detect in, or no run.
        ValueError: a file is neither image nor video, or cannot be decoded.
    """
    config, options = run_defaults(Options, argv)
    if not options.inputs:
        raise ValueError("name images, folders, globs or videos to detect in; --help says more")
    config = options.overrides.apply(config)
    files = find_files(options.inputs)
    folder = OutputFolder(options.output_dir, overwrite=options.overwrite)
    writer = PredictionWriter(folder, options.format, draw_score=config.eval.overlay_score)
    import_tensorflow_quietly()
    model = load_detector(options.run_dir, weights=options.weights, config=config)
    num_pictures = num_found = 0
    with folder.locked(), frame_progress(None, "detecting") as progress:
        for picture, found in detect_pictures(model, read_pictures(files)):
            writer.add(picture, found)
            num_pictures += 1
            num_found += len(found.above(config.eval.overlay_score))
            progress(num_pictures)
        writer.close()
    print(
        f"{options.output_dir}: {num_found} objects with a score of {config.eval.overlay_score} "
        f"or more in {num_pictures} pictures"
    )
    return 0
