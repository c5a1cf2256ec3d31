"""Detect in images, folders, globs and videos."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from mobilenetdet.cli.model_option import refuse_two_detectors
from mobilenetdet.cli.progress import frame_progress
from mobilenetdet.cli.run_options import ForPrediction, PredictOverrides, run_defaults
from mobilenetdet.cli.score_option import describe_scores, with_score
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.deploy.engine_loading import load_for_engine
from mobilenetdet.deploy.engines import Engine, check_engine, describe_engine
from mobilenetdet.findings import counted
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.inference.predict import PredictionFormat, PredictionWriter, predict_files
from mobilenetdet.media.picture_names import name_pictures
from mobilenetdet.media.sources import find_files, share_of
from mobilenetdet.media.video import is_video
from mobilenetdet.output_folder import OutputFolder
from mobilenetdet.quiet import import_tensorflow_quietly
from mobilenetdet.records.encoded_image import MAX_MEGAPIXELS
from mobilenetdet.runs import DEFAULT_WEIGHTS
from mobilenetdet.terminal_text import one_line

# Files that are named at the end; what is wrong with thousands is the same with most.
_MAX_NAMED = 50


@dataclass(frozen=True)
class Options:
    """Detect in images, folders, globs and videos with the detector of a run.

    Writes overlays/NAME.jpg, kitti/NAME.txt (KITTI's result format) and detections.json. Frames of
    a video are VIDEO_000000 and so on; of files of one name, folders or a counter are in it. What
    cannot be read is named at the end, and the exit code is 1 then.
    """

    # Images, videos, folders or globs.
    inputs: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    # Where the predictions go; files of others there stay.
    output_dir: Path = Path("predictions")
    # Replaces files of others of the same names.
    overwrite: bool = False
    # What to write: pictures (overlay), result files (kitti), one file (json).
    format: tuple[PredictionFormat, ...] = ("overlay",)
    # Lowest score; by default the best F1 in pictures, all in files.
    score: float | None = None
    # Jobs that share the files, each with a folder of its own: 0-of-4.
    num_shards: int = 1
    # Which of these jobs this is, from 0.
    shard: int = 0
    # Larger images are refused; decoding takes 3 bytes a pixel or more.
    max_megapixels: float = MAX_MEGAPIXELS
    # Run directory, or the name of weights that ship with the package.
    run_dir: Path = Path(DEFAULT_WEIGHTS)
    # Weights; by default the best of the run, or the last if none was measured.
    weights: Path | None = None
    # An exported file instead of a run: .tflite, .onnx, .xml, .pb or .savedmodel.
    model: Path | None = None
    # What runs it: all but keras get it exported once; auto: what has a file.
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
    _check(options)
    config = with_score(options.overrides.apply(config), options.score)
    scores = config.drawing_scores()
    files, names, folder = _share(options)
    if not files:
        print(f"no files are left for job {options.shard} of {options.num_shards}")
        return 0
    writer = PredictionWriter(
        folder, options.format, draw_score=scores, file_score=options.score or 0.0
    )
    faults: dict[Path, str] = {}

    def note(path: Path, error: Exception) -> None:
        """Keeps what is wrong with a file; its name is said anyway."""
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        faults[path] = reason.removeprefix(f"{path}: ")

    with folder.locked():  # before the seconds that loading takes
        model = _load(options, config)
        with frame_progress(None, "detecting") as progress, writer:
            counts = predict_files(
                model,
                files,
                writer,
                on_fault=note,
                names=names,
                max_megapixels=options.max_megapixels,
                progress=progress,
            )
    objects = f"{counted(counts.objects, 'object')} in {counted(counts.pictures, 'picture')}"
    print(f"{folder.path}: {objects}, {describe_scores(config)}")
    height, width = model.image_size
    print(f"by {model.source} at {height}x{width}, {describe_engine(model, options.engine)}")
    if faults:
        in_order = {path: faults[path] for path in files if path in faults}
        print(one_line(describe_faults(in_order, files)), file=sys.stderr)
    return 1 if faults else 0


def _check(options: Options) -> None:
    """Refuses before the work what would fail behind it, or at every picture."""
    if not options.inputs:
        raise ValueError("name images, folders, globs or videos to detect in; --help says more")
    if not options.max_megapixels > 0:
        raise ValueError(f"--max_megapixels is {options.max_megapixels:g}; it must be above 0")
    refuse_two_detectors(options.model, options.run_dir, Path(DEFAULT_WEIGHTS))
    check_engine(options.engine, options.model)


def _load(options: Options, config: DetectionConfig) -> LoadedDetector:
    return load_for_engine(
        options.model or options.run_dir,
        options.engine,
        weights=options.weights,
        config=config,
        tell=print,
        start=import_tensorflow_quietly,
    )


def _share(options: Options) -> tuple[list[Path], list[str], OutputFolder]:
    """The files of this job, their names among those of all jobs, and where its predictions go."""
    files = find_files(options.inputs)
    named = list(zip(files, name_pictures(files), strict=True))
    share = share_of(named, options.num_shards, options.shard)
    place = options.output_dir
    if options.num_shards > 1:
        place /= f"{options.shard}-of-{options.num_shards}"
    folder = OutputFolder(place, overwrite=options.overwrite)
    return [path for path, _ in share], [name for _, name in share], folder


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
