"""Detect in images, folders, globs and videos."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from mobilenetdet.cli.options import ForPrediction, PredictOverrides, run_defaults
from mobilenetdet.cli.progress import frame_progress
from mobilenetdet.cli.score_option import describe_scores, with_score
from mobilenetdet.deploy.engine_files import load_for_engine
from mobilenetdet.deploy.engines import Engine, check_engine, describe_engine
from mobilenetdet.inference.predict import Format, PredictionWriter, predict_files
from mobilenetdet.inference.sources import find_files
from mobilenetdet.inference.video import is_video
from mobilenetdet.output_folder import OutputFolder
from mobilenetdet.quiet import import_tensorflow_quietly
from mobilenetdet.records.encoded_image import MAX_MEGAPIXELS
from mobilenetdet.runs import DEFAULT_WEIGHTS
from mobilenetdet.terminal_text import printable

# Files that are named at the end; what is wrong with thousands is the same with most.
_MAX_NAMED = 50


@dataclass(frozen=True)
class Options:
    """Detect in images, folders, globs and videos with the detector of a run.

    Writes overlays/NAME.jpg, kitti/NAME.txt (KITTI's result format) and detections.json under the
    output directory. A frame of a video is named VIDEO_000000 and so on. Files of one name get
    their folders or a counter into it. What cannot be read is named at the end, and the exit code
    is 1 then; each file is whole as soon as it is there, detections.json valid JSON at any moment.
    """

    # Images, videos, folders or globs.
    inputs: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    # Where the predictions go; files of others there stay.
    output_dir: Path = Path("predictions")
    # Replaces files of others of the same names.
    overwrite: bool = False
    # What to write: overlay (pictures), kitti (result files), json (one file).
    format: tuple[Format, ...] = ("overlay",)
    # Lowest score in pictures and files, 0 to 1; by default pictures begin at the best F1 of each
    # class (0.5 if not measured), and files have every detection.
    score: float | None = None
    # Larger images are refused before they are decoded, which takes 3 bytes a pixel or more.
    max_megapixels: float = MAX_MEGAPIXELS
    # Run directory, or the name of weights that ship with the package.
    run_dir: Path = Path(DEFAULT_WEIGHTS)
    # Weights; by default the best of the run, or the last if none was measured.
    weights: Path | None = None
    # An exported file to use instead of a run: .tflite, .onnx, .xml, .pb or .savedmodel.
    model: Path | None = None
    # What runs the network of a run. litert, openvino and onnx, the extras of these names, get it
    # exported once. auto: the fastest of these that has it, or else keras.
    engine: Engine = "auto"
    overrides: ForPrediction = field(default_factory=PredictOverrides)


def main(argv: list[str] | None = None) -> int:
    """Detects, writes and says where; returns 0, or 1 if a picture could not be read.

    Raises:
        FileExistsError: a file of another is in the way, or another process is writing there.
        FileNotFoundError: nothing to detect in, or no run.
        ValueError: a file is neither image nor video.
    """
    config, options = run_defaults(Options, argv)
    if not options.inputs:
        raise ValueError("name images, folders, globs or videos to detect in; --help says more")
    check_engine(options.engine, options.model)
    config = with_score(options.overrides.apply(config), options.score)
    scores = config.drawing_scores()
    files = find_files(options.inputs)
    folder = OutputFolder(options.output_dir, overwrite=options.overwrite)
    writer = PredictionWriter(
        folder, options.format, draw_score=scores, file_score=options.score or 0.0
    )
    model = load_for_engine(
        options.model or options.run_dir,
        options.engine,
        weights=options.weights,
        config=config,
        tell=print,
        start=import_tensorflow_quietly,
    )
    faults: dict[Path, str] = {}

    def note(path: Path, error: Exception) -> None:
        """Keeps what is wrong with a file; its name is said anyway."""
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        faults[path] = reason.removeprefix(f"{path}: ")

    with folder.locked(), frame_progress(None, "detecting") as progress, writer:
        counts = predict_files(
            model,
            files,
            writer,
            on_fault=note,
            max_megapixels=options.max_megapixels,
            progress=progress,
        )
    print(
        f"{options.output_dir}: {counts.objects} objects in {counts.pictures} pictures, "
        + describe_scores(config)
    )
    height, width = model.image_size
    print(f"by {model.source} at {height}x{width}, {describe_engine(model, options.engine)}")
    if faults:
        in_order = {path: faults[path] for path in files if path in faults}
        print(printable(describe_faults(in_order, files)), file=sys.stderr)
    return 1 if faults else 0


def describe_faults(faults: Mapping[Path, str], files: Sequence[Path]) -> str:
    """Says which files could not be read, or not all of them, and why.

    Example: "2 of 40 pictures could not be read: a.jpg (its 7 bytes ...), b.png (...)".
    """
    what = "files could not be read to the end" if any(map(is_video, files)) else ""
    named = [f"{path} ({reason})" for path, reason in faults.items()]
    rest = len(named) - _MAX_NAMED
    more = [f"and {rest:,} more"] if rest > 0 else []
    return (
        f"{len(faults):,} of {len(files):,} {what or 'pictures could not be read'}: "
        + ", ".join([*named[:_MAX_NAMED], *more])
    )
