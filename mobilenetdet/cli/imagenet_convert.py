"""Convert ImageNet, or any class folders, to TFRecords."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from mobilenetdet.classification.convert import ClassConversionOptions, convert_classes
from mobilenetdet.cli.conversion import describe_conversion
from mobilenetdet.cli.options import parse
from mobilenetdet.cli.progress import counting_progress
from mobilenetdet.files.folder_lock import folder_lock
from mobilenetdet.findings import counted
from mobilenetdet.records.shard_writer import ShardProgress
from mobilenetdet.system.terminal_text import printable

_MAX_NOTES = 30


@dataclass(frozen=True)
class Options:
    """Convert class folders to TFRecords: train_000.tfrecord and so on, train.json, labels.txt.

    The folder holds each split as class folders (train/n01440764/*.JPEG; any names), as class
    archives, or as the archive of ILSVRC2012 (ILSVRC2012_img_train.tar), which is read as it is.
    JPEGs keep their bytes; other formats and CMYK are re-encoded and named. Ctrl-C leaves no half
    file, and the same command goes on where it stopped.
    """

    # Folder that holds the splits; only read.
    dataset_root: Path = Path("data/imagenet")
    # Folder for the records; by default the folder tfrecord in the dataset root.
    output_dir: Path | None = None
    # Splits to convert; the classes of train decide the labels.
    split: tuple[str, ...] = ("train", "val")
    # Text file with the class of each image of val, where these lie in no class folders: the
    # tutorial's imagenet_2012_validation_synset_labels.txt.
    val_labels: Path | None = None
    # Text file with a name for each synset, such as LOC_synset_mapping.txt.
    synset_words: Path | None = None
    # Files per split; by default 8, or more of about 256 MB.
    num_shards: int | None = None
    # Threads; by default one per core.
    num_workers: int | None = None
    # Leaves out damaged images, and names them, instead of refusing them.
    skip_damaged: bool = False
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
        FileNotFoundError: a split is missing, or a class has no image.
        ValueError: a damaged image, or an option out of range.
    """
    options = parse(Options, argv)
    conversion = ClassConversionOptions(
        num_shards=options.num_shards,
        num_workers=options.num_workers,
        overwrite=options.overwrite,
        val_labels=options.val_labels,
        synset_words=options.synset_words,
        skip_damaged=options.skip_damaged,
    )
    with folder_lock(options.records_dir):  # of all splits together
        for split in options.split:
            _convert(options, split, conversion)
    return 0


def _convert(options: Options, split: str, conversion: ClassConversionOptions) -> None:
    """Writes the records of a split and says what they hold."""
    start = time.perf_counter()
    notes: list[str] = []
    with counting_progress(split) as callbacks:
        manifest, num_kept = convert_classes(
            options.dataset_root,
            split,
            options.records_dir,
            conversion,
            progress=ShardProgress(*callbacks),
            on_note=notes.append,
        )
    print(
        describe_conversion(
            manifest,
            num_kept,
            time.perf_counter() - start,
            content=counted(manifest.num_frames, "image"),
            skipped="damaged ones",
        )
    )
    for note in sorted(notes)[:_MAX_NOTES]:
        print(printable(f"  {note}"))
    if len(notes) > _MAX_NOTES:
        print(f"  and {len(notes) - _MAX_NOTES:,} more")
