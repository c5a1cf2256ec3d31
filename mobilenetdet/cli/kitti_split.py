"""Divide the labelled frames of a KITTI folder into training and validation."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mobilenetdet.cli.options import parse
from mobilenetdet.files.folder_lock import folder_lock
from mobilenetdet.files.text import read_json, read_text, write_json
from mobilenetdet.findings import count_named, counted, report_findings
from mobilenetdet.kitti.frames_seen import seen_by_shipped_weights
from mobilenetdet.kitti.layout import FrameReport, KittiLayout
from mobilenetdet.kitti.splits import (
    DriveMapping,
    Split,
    describe_leaks,
    drive_split,
    published_split,
    random_split,
    read_drive_mapping,
)
from mobilenetdet.records.kitti_frames import Unlabelled
from mobilenetdet.synthetic.writer import MANIFEST_NAME

_MAX_REPORTED_FRAMES = 20
_LISTS = ("trainval", "train", "val")
# Stands beside the lists and holds their hashes.
_RECORD_NAME = "kitti_split.json"
# In it, while the lists are being written: the hashes that they will have.
_UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Options:
    """Divide the labelled frames of a KITTI folder into training and validation.

    Writes train.txt, val.txt, trainval.txt and kitti_split.json with their hashes. Frames that lack
    an image or a label are left out and listed.
    """

    # Folder that holds training/image_2 and training/label_2.
    kitti_root: Path = Path("data/KITTI")
    # Folder for the lists, for a KITTI root in which nothing may be written; then mobilenetdet
    # tf_convert_data takes it as --split_dir. By default ImageSets in the KITTI root.
    output_dir: Path | None = None
    # random: halves drawn frame by frame, as for SqueezeDet. published: the 3,712/3,769 frames of
    # Chen et al., which most papers use. drive: whole drives, by the mapping files of the devkit.
    method: Literal["random", "published", "drive"] = "random"
    # Share of the frames for validation, above 0 and below 1 (not used by published).
    val_fraction: float = 0.5
    # Another seed gives another split (published: only another --num_train).
    seed: int = 0
    # Keeps only so many of the training frames, for a learning curve: fewer are always among more.
    num_train: int | None = None
    # Unpacked object development kit of KITTI, for the drives of the frames; by default
    # devkit_object in the KITTI root, where it is there.
    devkit_dir: Path | None = None
    # Images without label file: skip leaves them out, negative lists them as frames in which
    # nothing is (for mobilenetdet tf_convert_data --unlabelled negative), error refuses them.
    unlabelled: Unlabelled = "skip"
    # Ends before anything is written if frames lack an image or a label.
    strict: bool = False
    # Replaces lists of frames that this command has not written, or that were edited since.
    overwrite: bool = False


def main(argv: list[str] | None = None) -> int:
    """Writes the three lists of frames and prints what they hold and leak; returns 0.

    Raises:
        FileNotFoundError: the folder holds no frames or labels, or the devkit is missing.
        FileExistsError: a list is there that this command has not written, or another process is
            writing there.
        ValueError: a fraction or a number is out of range, one side would be empty, or a label
            is damaged.
    """
    options = parse(Options, argv)
    layout = KittiLayout(options.kitti_root, split_dir=options.output_dir)
    if layout.image_set_dir.resolve() == layout.label_dir.resolve():
        raise ValueError(
            f"--output_dir {options.output_dir} holds the labels, for one of which a list would be "
            "taken; name another folder"
        )
    report = _check_frames(layout, options.unlabelled)
    frame_ids = report.complete
    mapping = _find_mapping(options)
    split = _make_split(frame_ids, options, mapping)
    if options.num_train is not None:
        split = split.draw_train(options.num_train, seed=options.seed)
    report_findings(_left_out(report), strict=options.strict)
    labelled = [frame_id for frame_id in split.val if layout.label_path(frame_id).is_file()]
    seen = seen_by_shipped_weights(layout, "val", labelled)  # before: it reads all labels
    with folder_lock(layout.image_set_dir):
        _write_lists(layout, split, overwrite=options.overwrite)
    for line in seen:
        print(line)
    if (options.kitti_root / MANIFEST_NAME).is_file():
        print("train and val share nothing: every rendered frame is a scene of its own")
        return 0
    for line in describe_leaks(split, options.method, mapping):
        print(line)
    return 0


def _write_lists(layout: KittiLayout, split: Split, *, overwrite: bool) -> None:
    """Writes the lists, and their hashes, so that a later call recognises them as its own."""
    record = layout.image_set_path("train").with_name(_RECORD_NAME)
    own = _read_hashes(record)
    if os.path.lexists(record) and not own and not overwrite:
        raise FileExistsError(
            f"{record} was not written by this command; move it away, or replace it with "
            "--overwrite"
        )
    unfinished = own.pop(_UNFINISHED, {})
    hashes = {name: _hash(getattr(split, name)) for name in _LISTS}
    known = {}
    for name in _LISTS:
        path = layout.image_set_path(name)
        if path.exists():
            present = _hash(_words_of(path))
            if present in (own.get(name), unfinished.get(name), hashes[name]):
                known[name] = present
            elif not overwrite:
                raise FileExistsError(
                    f"{path} was not written by this command, or edited since; tf_convert_data "
                    "takes it as it is; to divide anew move it away, or replace it with --overwrite"
                )
    former = {name: _words_of(layout.image_set_path(name)) for name in _LISTS}
    # Before and after: a list is known whenever the writing of the three is broken off.
    write_json(record, known | {_UNFINISHED: hashes})
    for name in _LISTS:
        layout.write_image_set(name, getattr(split, name))
        print(f"{layout.image_set_path(name)}: {counted(len(getattr(split, name)), 'frame')}")
    write_json(record, hashes)
    _tell_of_records(layout, [n for n in _LISTS if former[n] != list(getattr(split, n))])


def _tell_of_records(layout: KittiLayout, changed: Sequence[str]) -> None:
    """Says which records in the usual place hold the frames of lists that have changed."""
    records = layout.root / "tfrecord"
    if stale := [name for name in changed if (records / f"{name}.json").is_file()]:
        print(
            f"{records} still holds the frames of the former {' and '.join(stale)}: give "
            "mobilenetdet tf_convert_data again before you train or measure"
        )


def _read_hashes(path: Path) -> dict[str, Any]:
    try:
        hashes = read_json(path, "remove it")
    except (FileNotFoundError, ValueError):
        return {}
    if not isinstance(hashes, dict) or not isinstance(hashes.get(_UNFINISHED, {}), dict):
        return {}
    return hashes


def _words_of(path: Path) -> list[str]:
    """Returns what a list of frames holds; nothing of what is no such text."""
    try:
        return read_text(path).split()
    except (FileNotFoundError, ValueError):
        return []


def _hash(frame_ids: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(frame_ids).encode()).hexdigest()


def _check_frames(layout: KittiLayout, unlabelled: Unlabelled) -> FrameReport:
    """Finds the frames to divide, and lists those that lack something.

    Raises:
        FileNotFoundError: there are none, or some without label that are to be refused.
    """
    frame_ids = layout.frame_ids()  # refuses a folder without images
    report = layout.check_frames()
    complete = counted(len(report.complete), "frame")
    print(f"{layout.root / layout.subset}: {complete} with image and label")
    # What is asked for is no fault to be listed.
    shown = report.with_empty_labels(frame_ids) if unlabelled == "negative" else report
    if shown.num_incomplete:
        print("\n".join(f"  {line}" for line in shown.lines(limit=_MAX_REPORTED_FRAMES)))
    if not report.complete:  # whatever is asked for: nothing can be learnt there
        raise FileNotFoundError(
            f"no frame has an image in {layout.image_dir} and a label in {layout.label_dir}; "
            "unpack KITTI's data_object_label_2.zip beside the images"
        )
    if unlabelled == "error" and report.missing_labels:
        what = "images have no label file; --unlabelled skip leaves them out, negative takes them "
        what += "for frames in which nothing is"
        raise FileNotFoundError(count_named(report.missing_labels, len(frame_ids), what))
    if unlabelled == "negative" and report.missing_labels:
        print(f"{counted(len(report.missing_labels), 'image')} without label: nothing is in them")
    return shown


def _left_out(report: FrameReport) -> list[str]:
    """Counts the frames that lack an image or a label."""
    if not report.num_incomplete:
        return []
    names = sorted([*report.missing_labels, *report.missing_images])
    what = "frames lack an image or a label and are left out (--unlabelled negative takes images "
    what += "without label for frames in which nothing is)"
    return [count_named(names, len(names) + len(report.complete), what)]


def _find_mapping(options: Options) -> DriveMapping | None:
    if options.devkit_dir is not None:
        return read_drive_mapping(options.devkit_dir)
    beside = options.kitti_root / "devkit_object"
    return read_drive_mapping(beside) if beside.is_dir() or options.method == "drive" else None


def _make_split(
    frame_ids: Collection[str], options: Options, mapping: DriveMapping | None
) -> Split:
    draw: dict[str, Any] = {"val_fraction": options.val_fraction, "seed": options.seed}
    if options.method == "random":
        return random_split(frame_ids, **draw)
    if options.method == "drive":
        return drive_split(frame_ids, mapping or {}, **draw)
    full = published_split()
    split = full.restrict(frame_ids)
    for name in ("train", "val"):
        kept, wanted = getattr(split, name), getattr(full, name)
        if not kept:
            raise ValueError(f"none of the published split's {name} frames is in this folder")
        if len(kept) < len(wanted):
            absent = len(wanted) - len(kept)
            print(f"{absent:,} of the published split's {len(wanted):,} {name} frames are absent")
    if extra := len(frame_ids) - len(split.trainval):
        print(f"{extra:,} frames are in neither side of the published split and left out")
    return split
