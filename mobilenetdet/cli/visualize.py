"""Draw overlays: detections against labels, labels, training batches, matches of anchors."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mobilenetdet.analysis.overlays import MONTAGE_NAME, draw_found, write_pictures
from mobilenetdet.cli.model_option import refuse_two_detectors
from mobilenetdet.cli.options import DEFAULT_RUN, refuse_no_effect
from mobilenetdet.cli.progress import frame_progress
from mobilenetdet.cli.run_options import ForVisualization, VisualizeOverrides, run_defaults
from mobilenetdet.cli.score_option import with_score
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.presets import PRESETS
from mobilenetdet.evaluation.evaluate import choose_frames
from mobilenetdet.exported_places import beside_exported
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.inference.detect_records import detect_frames
from mobilenetdet.inference.loaded_detector import load_detector
from mobilenetdet.runs import OVERLAYS_DIR, RunDir, is_run, open_run
from mobilenetdet.system.quiet import import_tensorflow_quietly

# Options that only some pictures go by.
_USED_BY = {
    "preset": ("labels", "batches", "matches"),
    "weights": ("detections",),
    "model": ("detections",),
    "split": ("detections", "labels"),
    "frames": ("detections", "labels"),
}
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
    # Run directory, or the name of weights that ship with the package.
    run_dir: Path = DEFAULT_RUN
    # Config to draw batches and matches by, instead of that of a run.
    preset: Annotated[str | None, tyro.conf.arg(help_behavior_hint=_PRESETS)] = None
    # Weights; by default the best of the run, or the last if none was measured.
    weights: Path | None = None
    # An exported file to use instead of a run; the pictures go beside it.
    model: Path | None = None
    # Split to draw; by default data.val_split; batches and matches are of data.train_split.
    split: str | None = None
    # Ids of the frames to draw; by default eval.num_overlays frames spread over the split.
    frames: tuple[str, ...] = ()
    # Lowest score that is drawn, 0 to 1; by default that of the best F1, or 0.5 if not measured.
    score: float | None = None
    # Where the pictures go; by default a folder named after them in the run directory. Files of
    # others in there stay as they are.
    output_dir: Path | None = None
    # Replaces files of others of the same names.
    overwrite: bool = False
    overrides: ForVisualization = field(default_factory=VisualizeOverrides)


def main(argv: list[str] | None = None) -> int:
    """Draws and says where; returns 0.

    Raises:
        FileExistsError: a file of another is in the way, or another process is writing there.
        FileNotFoundError: there is no such run, or no records.
        ValueError: a frame is not in the split, or an option has no effect.
    """
    config, options = run_defaults(Options, argv, run_needed=_needs_run)
    _refuse_unused(options)
    refuse_two_detectors(options.model, options.run_dir, DEFAULT_RUN)
    config = with_score(options.overrides.apply(config), options.score)
    if config.eval.num_overlays == 0 and not options.frames:
        raise ValueError("eval.num_overlays is 0: nothing to draw; set it, or name --frames")
    folder = _output_folder(options)
    folder.refuse_foreign([MONTAGE_NAME])
    draw = _draw_detections if options.what == "detections" else _draw_data
    with folder.locked():
        import_tensorflow_quietly()
        print(draw(config, options, folder))
    return 0


def _refuse_unused(options: Options) -> None:
    """Refuses options that what is drawn does not go by."""
    for name, users in _USED_BY.items():
        if options.what not in users:
            remedy = f"it goes with --what {' or '.join(users)}"
            refuse_no_effect(options, [name], f"on --what {options.what}", remedy)


def _needs_run(options: Options) -> bool:
    return options.what == "detections"


def _output_folder(options: Options) -> OutputFolder:
    """The folder of the pictures; in the run itself its place is for nothing else."""
    if options.output_dir is not None:
        return OutputFolder(options.output_dir, overwrite=options.overwrite)
    if options.model is not None:
        place = beside_exported(options.model).overlays_dir
        return OutputFolder(place, overwrite=options.overwrite)
    name = OVERLAYS_DIR if options.what == "detections" else options.what
    if options.preset is not None:  # the place of a run of that config
        return OutputFolder(Path("runs") / options.preset / name, overwrite=options.overwrite)
    is_there = is_run(options.run_dir)
    run = open_run(options.run_dir) if is_there else RunDir(options.run_dir)
    return OutputFolder.of_run(run.output_dir / name)


def _draw_data(config: DetectionConfig, options: Options, folder: OutputFolder) -> Path:
    # Not at the top: it imports TensorFlow, and the help does without.
    from mobilenetdet.analysis.dataset_overlays import (
        write_batch_overlays,
        write_label_overlays,
        write_match_overlays,
    )

    if options.what == "batches":
        return write_batch_overlays(config, folder)
    if options.what == "matches":
        return write_match_overlays(config, folder)
    split = config.data.val_split if options.split is None else options.split
    return write_label_overlays(config, split, folder, frame_ids=options.frames)


def _draw_detections(config: DetectionConfig, options: Options, folder: OutputFolder) -> Path:
    split = config.data.val_split if options.split is None else options.split
    wanted = options.frames or config.eval.num_overlays
    frames = choose_frames(config.data.records_dir, split, wanted)
    model = load_detector(options.model or options.run_dir, weights=options.weights, config=config)
    with frame_progress(len(frames), "detecting") as progress:
        pictures = (
            (
                frame.frame_id,
                draw_found(frame.frame_id, frame.encoded, frame.objects, found, config=config),
            )
            for frame, found in detect_frames(model, frames, progress=progress)
        )
        return write_pictures(pictures, folder)
