"""Detect in KITTI's test frames and pack the results for its server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mobilenetdet.cli.model_option import refuse_two_detectors
from mobilenetdet.cli.options import DEFAULT_RUN
from mobilenetdet.cli.output_file import check_output_file, output_file
from mobilenetdet.cli.progress import frame_progress
from mobilenetdet.cli.run_options import ForPrediction, PredictOverrides, run_defaults
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.deploy.engine_loading import load_for_engine
from mobilenetdet.deploy.engines import Engine, check_engine, describe_engine
from mobilenetdet.evaluation.kitti_submission import (
    NUM_TEST_FRAMES,
    ResultFiles,
    check_classes,
    describe_archive,
    describe_detector,
    detect_test_frames,
    find_test_frames,
)
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.findings import counted
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.system.quiet import import_tensorflow_quietly


@dataclass(frozen=True)
class Options:
    """Detect in KITTI's test frames and pack the results for its server.

    Writes a file 000000.txt for each frame of testing/image_2, empty where nothing is found, reads
    and checks all of them, and packs them into one archive with the files in its root, as the
    server wants them. The files stay in the folder beside the archive: after Ctrl-C the same
    command goes on there.
    """

    # Run directory, or the name of weights that ship.
    run_dir: Path = DEFAULT_RUN
    # Folder that holds testing/image_2; only read.
    kitti_root: Path = Path("data/KITTI")
    # The archive, a .zip; the files go to the folder of its name without .zip.
    output: Path = Path("results.zip")
    # Replaces an archive and results of another detector, and files of others of these names.
    overwrite: bool = False
    # Frames that there have to be, 000000 on; fewer than KITTI's 7,518 to try it.
    num_frames: int = NUM_TEST_FRAMES
    # Weights; by default the best of the run, or the last if none was measured.
    weights: Path | None = None
    # An exported file instead of a run: .tflite, .onnx, .xml, .pb or .savedmodel.
    model: Path | None = None
    # Runtime: all but keras export the run once; auto takes the fastest that is exported.
    engine: Engine = "auto"
    overrides: ForPrediction = field(default_factory=PredictOverrides)


def main(argv: list[str] | None = None) -> int:
    """Detects, checks and packs; returns 0.

    Raises:
        FileExistsError: an archive, or results of another detector, are there, or another process
            is writing there.
        FileNotFoundError: no run, or test frames are missing.
        ValueError: an image is damaged, or the server scores none of the classes.
    """
    config, options = run_defaults(Options, argv)
    config = options.overrides.apply(config)
    _check(options)
    layout = KittiLayout(options.kitti_root, subset="testing")
    frame_ids = find_test_frames(layout, options.num_frames)
    for line in check_classes(config.data.classes):
        print(line)
    folder = OutputFolder(options.output.with_suffix(""), overwrite=options.overwrite)
    with folder.locked():
        model = _load(options, config)
        results = ResultFiles(folder, describe_detector(model, layout, frame_ids))
        _refuse_other_archive(options, results)
        results.claim(frame_ids, overwrite=options.overwrite)
        missing = results.missing(frame_ids)
        if kept := len(frame_ids) - len(missing):
            print(f"{folder.path}: {counted(kept, 'frame')} of an earlier call kept")
        with frame_progress(len(missing), "detecting") as progress:
            detect_test_frames(model, layout, missing, results, progress=progress)
        with output_file(options.output, overwrite=options.overwrite) as path:
            num_detections = results.archive(frame_ids, path)
    size = options.output.stat().st_size
    print(f"{options.output}: {describe_archive(len(frame_ids), num_detections, size)}")
    height, width = model.image_size
    print(f"by {model.source} at {height}x{width}, {describe_engine(model, options.engine)}")
    if options.num_frames != NUM_TEST_FRAMES:
        print(f"a trial: the server wants {NUM_TEST_FRAMES:,} frames")
    return 0


def _check(options: Options) -> None:
    """Refuses before the work what would fail behind it."""
    if not 1 <= options.num_frames <= NUM_TEST_FRAMES:
        raise ValueError(
            f"--num_frames is {options.num_frames}; it must be 1 to {NUM_TEST_FRAMES:,}"
        )
    if options.output.suffix != ".zip":
        raise ValueError(f"--output is {options.output}; the server takes a .zip")
    refuse_two_detectors(options.model, options.run_dir, DEFAULT_RUN)
    check_engine(options.engine, options.model)
    check_output_file(options.output, overwrite=options.overwrite)
    images = KittiLayout(options.kitti_root, subset="testing").image_dir.resolve()
    if images in (options.output.with_suffix("").resolve(), options.output.parent.resolve()):
        raise ValueError(
            f"--output is {options.output}, and the results would be among the images; name "
            "another place"
        )


def _refuse_other_archive(options: Options, results: ResultFiles) -> None:
    """Refuses an archive whose results are gone or of another detector: it may have been sent."""
    if options.output.exists() and not options.overwrite and not results.is_of_detector():
        raise FileExistsError(
            f"{options.output} is there, with results of another detector or other images; name "
            "another --output, or replace it with --overwrite"
        )


def _load(options: Options, config: DetectionConfig) -> LoadedDetector:
    model = load_for_engine(
        options.model or options.run_dir,
        options.engine,
        weights=options.weights,
        config=config,
        tell=print,
        start=import_tensorflow_quietly,
    )
    model.run_several_at_once()
    return model
