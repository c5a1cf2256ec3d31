"""Convert a KITTI folder to TFRecords."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mobilenetdet.cli.conversion import describe_conversion
from mobilenetdet.cli.options import parse
from mobilenetdet.cli.progress import counting_progress
from mobilenetdet.findings import count_named, report_findings
from mobilenetdet.kitti.frames_seen import seen_by_shipped_weights
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.kitti.splits import list_overlaps
from mobilenetdet.records.kitti_convert import (
    ConversionOptions,
    convert_split,
    find_damaged_images,
    find_sources,
)
from mobilenetdet.records.shard_writer import Progress
from mobilenetdet.records.shards import Manifest

_MAX_LISTED_IMAGES = 20


@dataclass(frozen=True)
class Options:
    """Convert a KITTI folder to TFRecords: train_000.tfrecord and so on, and train.json.

    Every object is kept, DontCare included, and the bytes of the images are copied as they are.
    Ctrl-C leaves no half file, and the same command goes on where it stopped. What is complete
    and unchanged is not written again.
    """

    # Format of the data set.
    dataset_name: Literal["kitti"] = "kitti"
    # Folder that holds training/image_2, training/label_2 and ImageSets; only read.
    dataset_root: Path = Path("data/KITTI")
    # Folder for the records; by default the folder tfrecord in the dataset root.
    output_dir: Path | None = None
    # Lists of frames under ImageSets, without .txt; `mobilenetdet kitti_split` makes train and val.
    split: tuple[str, ...] = ("train", "val")
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
    # Leaves out frames without image or label instead of refusing to start.
    skip_missing: bool = False
    # Ends before anything is written if a list to measure on shares frames with one to train on.
    strict: bool = False
    # Converts again what is complete, and replaces files of the same names that are no records of
    # this program. Without it, such a file stops the conversion.
    overwrite: bool = False

    @property
    def records_dir(self) -> Path:
        """The folder that the records go to."""
        return self.output_dir or self.dataset_root / "tfrecord"


def main(argv: list[str] | None = None) -> int:
    """Writes the records of each split and says what they hold; returns 0.

    Raises:
        FileNotFoundError: a list of frames is missing, or frames lack an image or a label.
        ValueError: a damaged file, or an option out of range.
    """
    options = parse(Options, argv)
    layout = KittiLayout(options.dataset_root)
    conversion = ConversionOptions(
        num_shards=options.num_shards,
        num_workers=options.num_workers,
        jpeg_quality=options.jpeg_quality,
        sha256=options.sha256,
        skip_missing=options.skip_missing,
        overwrite=options.overwrite,
    )
    report_findings(list_overlaps(layout, options.split), strict=options.strict)
    for split in options.split:
        if options.verify:
            _verify(layout, split, options)
        start = time.perf_counter()
        manifest, num_kept = _convert_with_bar(layout, split, options.records_dir, conversion)
        print(
            describe_conversion(
                manifest,
                num_kept,
                time.perf_counter() - start,
                content=f"{manifest.num_frames:,} frames, {manifest.num_objects:,} objects",
                skipped="incomplete frames",
            )
        )
        if not split.startswith("train"):
            frame_ids = layout.check_frames(layout.read_image_set(split)).complete
            for line in seen_by_shipped_weights(layout, split, frame_ids):
                print(line)
    return 0


def _verify(layout: KittiLayout, split: str, options: Options) -> None:
    """Refuses a split with images that cannot be decoded whole."""
    sources, _ = find_sources(layout, split, skip_missing=options.skip_missing)
    if damaged := find_damaged_images(sources, options.num_workers):
        lines = [f"  {path}: {damage}" for path, damage in damaged[:_MAX_LISTED_IMAGES]]
        names = [Path(path).name for path, _ in damaged]
        raise ValueError(
            "\n".join([count_named(names, len(sources), f"images of {split} are damaged"), *lines])
            + f"\nreplace them, or take their frames out of {layout.image_set_path(split)}"
        )
    print(f"{split}: all {len(sources):,} images can be decoded")


def _convert_with_bar(
    layout: KittiLayout, split: str, output_dir: Path, conversion: ConversionOptions
) -> tuple[Manifest, int]:
    """Converts a split; the bar shows on terminals only."""
    with counting_progress(split) as callbacks:
        return convert_split(layout, split, output_dir, conversion, progress=Progress(*callbacks))
