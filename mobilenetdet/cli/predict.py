"""Detect in images, folders, globs and videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from mobilenetdet.cli.export import parse_size
from mobilenetdet.cli.model_option import refuse_two_detectors
from mobilenetdet.cli.predict_call import PredictCall, has_frames, is_live
from mobilenetdet.cli.run_options import ForPrediction, PredictOverrides, run_defaults
from mobilenetdet.cli.score_option import with_score
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.deploy.engine_loading import load_for_engine
from mobilenetdet.deploy.engines import Engine, check_engine
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.inference.fitting_size import FittingDetector
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.media import window
from mobilenetdet.media.find import describe_unread, find_media
from mobilenetdet.media.live import RECONNECT_S
from mobilenetdet.media.picture_names import name_pictures
from mobilenetdet.media.sources import Media, ReadOptions
from mobilenetdet.predictions.writer import PredictionFormat, PredictionWriter
from mobilenetdet.records.encoded_image import MAX_MEGAPIXELS
from mobilenetdet.runs import DEFAULT_WEIGHTS
from mobilenetdet.system.job_share import JobShare
from mobilenetdet.system.quiet import import_tensorflow_quietly

# The value of --image_size by which each picture gets an input of its shape.
AUTO = "auto"
_INTERRUPTED = "interrupted; what was detected is written; given again, the command begins anew"


@dataclass(frozen=True)
class Options:
    """Detect in images, videos, cameras and streams with the detector of a run.

    Writes overlays/NAME.jpg of images and videos/NAME.mp4 of videos, or what --format says. Frames
    of a video are VIDEO_000000 and so on; of files of one name, folders or a counter are in it.
    What cannot be read is named at the end, and the exit code is 1 then. Ctrl-C ends streams.
    """

    # Images, videos, folders, globs, URLs (http, rtsp), or 0 for the first camera.
    inputs: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    # Looks into the folders in a folder, too.
    recursive: bool = False
    # Where predictions go; files of others stay.
    output_dir: Path = Path("predictions")
    # Replaces files of others of the same names.
    overwrite: bool = False
    # Any of overlay video kitti json csv coco yolo crops; by default overlays, or videos.
    format: Annotated[tuple[PredictionFormat, ...], tyro.conf.arg(metavar="NAME ...")] = ()
    # Shows the pictures in a window; q ends it.
    show: bool = False
    # Lowest score; by default that of the best F1 in pictures, and none in files.
    score: float | None = None
    # Network input: 384x1248, or auto (shaped as each picture).
    image_size: str | None = None
    # Seconds without a frame until a stream is given up.
    reconnect_s: float = RECONNECT_S
    # Jobs that share the files, each in a folder 0-of-4.
    num_shards: int = 1
    # Which of these jobs this is, from 0.
    shard: int = 0
    # Megapixels of the largest image that is read.
    max_megapixels: float = MAX_MEGAPIXELS
    # Run directory, or the name of weights that ship.
    run_dir: Path = Path(DEFAULT_WEIGHTS)
    # Weights; by default the best of the run, or the last.
    weights: Path | None = None
    # An exported file instead of a run: .tflite, .onnx, .xml, .pb or .savedmodel.
    model: Path | None = None
    # Runtime: all but keras export the run once; auto takes the fastest that is exported.
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
    config = with_score(_sized(options.overrides.apply(config), options), options.score)
    sources, names, folder = _share(options)
    if not sources:
        print(f"no files are left for job {options.shard} of {options.num_shards}")
        return 0
    _check_formats(options, sources)
    config = _one_by_one_if_live(config, sources)
    writer = PredictionWriter(
        folder,
        options.format or ("overlay",),
        draw_score=config.drawing_scores(),
        file_score=options.score or 0.0,
        frame_formats=options.format or ("video",),
    )
    call = PredictCall(
        config,
        sources,
        names,
        writer,
        read=ReadOptions(options.max_megapixels, options.reconnect_s),
        show=options.show,
    )
    with folder.locked():  # before the seconds that loading takes
        model = _load(options, config)
        if isinstance(model, LoadedDetector) and _are_several(sources):
            model.run_several_at_once()
        try:
            call.run(model)
        except KeyboardInterrupt:  # the way in which live sources end
            call.tell(model, options.engine)
            raise KeyboardInterrupt(_INTERRUPTED) from None
    call.tell(model, options.engine)
    return 1 if call.faults else 0


def _check(options: Options) -> None:
    """Refuses before the work what would fail behind it, or at every picture."""
    if not options.inputs:
        raise ValueError("name images, folders, globs or videos to detect in; --help says more")
    for name in ("max_megapixels", "reconnect_s"):
        if not (value := getattr(options, name)) > 0:
            raise ValueError(f"--{name} is {value:g}; it must be above 0")
    refuse_two_detectors(options.model, options.run_dir, Path(DEFAULT_WEIGHTS))
    check_engine(options.engine, options.model)
    if options.image_size == AUTO and options.model is not None:
        raise ValueError(
            f"--image_size auto needs a run: the size of {options.model} is built into it; name "
            "the run (--run_dir), or a file that was exported for a fitting --image_size"
        )
    if options.show:
        window.refuse_no_display()


def _check_formats(options: Options, sources: Sequence[Media]) -> None:
    if set(options.format) == {"video"} and not any(map(has_frames, sources)):
        raise ValueError("--format video: no input is a video; pictures are drawn with overlay")


def _sized(config: DetectionConfig, options: Options) -> DetectionConfig:
    """The config with the network input that --image_size asks for."""
    if options.image_size in (None, AUTO):
        return config
    height, width = parse_size(options.image_size)
    return replace(config, data=replace(config.data, image_height=height, image_width=width))


def _one_by_one_if_live(config: DetectionConfig, sources: Sequence[Media]) -> DetectionConfig:
    """A frame of a live source does not wait for others to fill a batch."""
    if not any(map(is_live, sources)):
        return config
    return replace(config, eval=replace(config.eval, batch_size=1))


def _are_several(sources: Sequence[Media]) -> bool:
    """Whether pictures are at hand before they are asked for; those of cameras are not."""
    if any(map(is_live, sources)):
        return False
    return len(sources) > 1 or any(map(has_frames, sources))


def _load(options: Options, config: DetectionConfig) -> LoadedDetector | FittingDetector:
    def load(size: tuple[int, int]) -> LoadedDetector:
        """Loads the run for a size of the network input."""
        data = replace(config.data, image_height=size[0], image_width=size[1])
        return load_for_engine(
            options.model or options.run_dir,
            options.engine,
            weights=options.weights,
            config=replace(config, data=data),
            tell=print,
            start=import_tensorflow_quietly,
        )

    if options.image_size == AUTO:
        return FittingDetector(load, config.image_size)
    return load(config.image_size)


def _share(options: Options) -> tuple[list[Media], list[str], OutputFolder]:
    """The sources of this job, their names among those of all jobs, and where predictions go."""
    sources = find_media(options.inputs, recursive=options.recursive)
    for line in describe_unread(options.inputs, recursive=options.recursive):
        print(line)
    share = JobShare(options.shard, options.num_shards)
    own = share.of(list(zip(sources, name_pictures(sources), strict=True)))
    place = options.output_dir / str(share) if share.count > 1 else options.output_dir
    folder = OutputFolder(place, overwrite=options.overwrite)
    return [source for source, _ in own], [name for _, name in own], folder
