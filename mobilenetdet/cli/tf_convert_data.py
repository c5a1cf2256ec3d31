"""Convert a KITTI folder to TFRecords."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mobilenetdet.cli.conversion import describe_conversion
from mobilenetdet.cli.options import parse
from mobilenetdet.cli.progress import counting_progress
from mobilenetdet.files.folder_lock import folder_lock
from mobilenetdet.findings import counted, report_findings
from mobilenetdet.kitti.frames_seen import seen_by_shipped_weights
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.kitti.splits import list_overlaps
from mobilenetdet.records.kitti_convert import (
    ConversionOptions,
    ExifOrientation,
    convert_split,
)
from mobilenetdet.records.kitti_frames import FoundFrames, Unlabelled, find_frames
from mobilenetdet.records.shard_writer import ShardProgress


@dataclass(frozen=True)
class Options:
    """Convert a KITTI folder to TFRecords: train_000.tfrecord and so on, and train.json.

    Every object is kept, DontCare included, and the bytes of the images are copied as they are.
    Ctrl-C leaves no half file, and the same command goes on where it stopped. What is complete
    and unchanged is not written again.
    """

    # Format of the data set.
    dataset_name: Literal["kitti"] = "kitti"
    # Folder that holds training/image_2 and training/label_2; only read.
    dataset_root: Path = Path("data/KITTI")
    # Folder for the records; by default the folder tfrecord in the dataset root.
    output_dir: Path | None = None
    # Lists of frames, without .txt; `mobilenetdet kitti_split` makes train and val.
    split: tuple[str, ...] = ("train", "val")
    # Folder of these lists, as kitti_split --output_dir has named it; by default ImageSets in the
    # dataset root.
    split_dir: Path | None = None
    # Files per split; by default 8, or more of about 256 MB.
    num_shards: int | None = None
    # Threads; by default one per core.
    num_workers: int | None = None
    # 1 to 100 re-encodes every image as JPEG: 95 decodes 4 times as fast as PNG and takes a third
    # of the space. By default the bytes are kept.
    jpeg_quality: int | None = None
    # Adds image/key/sha256 to each record; nothing here needs it, and it takes twice the time.
    sha256: bool = False
    # Decodes every image first, and ends with the names of those that are damaged; conversion looks
    # at the header and the end of each. JPEG has no checksums: some damage to it shows nowhere.
    verify: bool = False
    # Images without label file: skip leaves them out, negative takes them for frames in which
    # nothing is, as an empty label file says, error names them, for labels may as well be lost.
    unlabelled: Unlabelled = "error"
    # Leaves out frames of a list that have no image instead of refusing to start.
    skip_missing_images: bool = False
    # What the labels of images with an EXIF orientation are meant for: the picture as viewers show
    # it (obey), or the pixels as they are stored (ignore). Such images are written upright, as PNG.
    # By default they are named.
    exif_orientation: ExifOrientation | None = None
    # Ends before anything is written if a list to measure on shares frames with one to train on.
    strict: bool = False
    # Converts again what is complete, and replaces files of the same names that are no records of
    # this program, or were changed since. Without it, such a file stops the conversion.
    overwrite: bool = False

    @property
    def records_dir(self) -> Path:
        """The folder that the records go to."""
        return self.output_dir or self.dataset_root / "tfrecord"


def main(argv: list[str] | None = None) -> int:
    """Writes the records of each split and says what they hold; returns 0.

    Raises:
        FileExistsError: another process is writing in the folder, or a file of another is in the
            way.
        FileNotFoundError: a list of frames is missing, or frames lack an image or a label.
        ValueError: a damaged file, or an option out of range.
    """
    options = parse(Options, argv)
    layout = KittiLayout(options.dataset_root, split_dir=options.split_dir)
    conversion = ConversionOptions(
        num_shards=options.num_shards,
        num_workers=options.num_workers,
        jpeg_quality=options.jpeg_quality,
        sha256=options.sha256,
        unlabelled=options.unlabelled,
        skip_missing_images=options.skip_missing_images,
        exif_orientation=options.exif_orientation,
        overwrite=options.overwrite,
    )
    # All of them before anything is written.
    found = {split: _find_frames(layout, split, options) for split in options.split}
    report_findings(list_overlaps(layout, options.split), strict=options.strict)
    with folder_lock(options.records_dir):  # of all splits together
        for split in options.split:
            _convert(layout, split, options.records_dir, conversion, found[split])
    return 0


def _find_frames(layout: KittiLayout, split: str, options: Options) -> FoundFrames:
    """Refuses a split that lacks files or, with --verify, has images that cannot be decoded."""
    found = find_frames(
        layout,
        split,
        unlabelled=options.unlabelled,
        skip_missing_images=options.skip_missing_images,
    )
    if options.verify:
        # Not at the top: conversion alone decodes nothing.
        from mobilenetdet.records.verify_images import refuse_damaged_images

        paths = [source.image_path for source in found.sources]
        refuse_damaged_images(paths, split, options.num_workers)
        print(f"{split}: all {counted(len(paths), 'image')} can be decoded")
    return found


def _convert(
    layout: KittiLayout,
    split: str,
    output_dir: Path,
    conversion: ConversionOptions,
    found: FoundFrames,
) -> None:
    """Converts a split, with a bar on terminals, and says what it holds and who has seen it."""
    start = time.perf_counter()
    is_measured_on = not split.startswith("train")
    objects: dict[str, KittiObjects] = {}
    with counting_progress(split) as callbacks:
        manifest, num_kept = convert_split(
            layout,
            split,
            output_dir,
            conversion,
            found=found,
            progress=ShardProgress(*callbacks),
            on_objects=objects.__setitem__ if is_measured_on else None,
        )
    print(
        describe_conversion(
            manifest,
            num_kept,
            time.perf_counter() - start,
            content=f"{counted(manifest.num_frames, 'frame')}, "
            f"{counted(manifest.num_objects, 'object')}",
            skipped="incomplete frames",
        )
    )
    if is_measured_on:
        frame_ids = [each.frame_id for each in found.sources if each.label_path]
        for line in seen_by_shipped_weights(layout, split, frame_ids, objects):
            print(line)
