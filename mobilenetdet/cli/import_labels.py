"""Make a KITTI folder, or records, of labels in another format."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from mobilenetdet.cli.options import parse, refuse_no_effect
from mobilenetdet.cli.progress import counting_progress, frame_progress
from mobilenetdet.config.type_names import DONT_CARE_TYPE
from mobilenetdet.findings import counted, report_findings
from mobilenetdet.system.terminal_text import one_line

if TYPE_CHECKING:
    from mobilenetdet.label_formats.importing import ImportReport
    from mobilenetdet.label_formats.source_frame import ImportOptions

# Records hold their pictures.
_OF_FILES = ("coco", "yolo", "voc", "cvat", "kitti_tracking")
# Options of a KITTI folder, and of records.
_OF_KITTI, _OF_RECORDS = ("image_files",), ("split", "val_fraction", "seed")
# Options that only some formats go by.
_USED_BY = {
    "image_dir": _OF_FILES,
    "label_map": ("tf_records",),
    "skip_missing_images": _OF_FILES,
    "image_files": _OF_FILES,
}


@dataclass(frozen=True)
class Options:
    """Make a KITTI folder, or records, of labels in another format; the source is only read.

    A KITTI folder has training/image_2, training/label_2, and a list in ImageSets for each part of
    the data set. --to records writes what tf_convert_data makes of that folder, and no picture on
    the way: train.json, train_000.tfrecord and so on. Beside either lie frame_names.csv (old and
    new names) and import.json. The folder appears when it is complete: after Ctrl-C nothing is
    there. What was changed or left out is counted and named.
    """

    # The labels. coco: a file, or a folder with annotations/*.json. yolo: data.yaml. voc: the
    # folder with Annotations. cvat: annotations.xml, CVAT for images 1.1. kitti_tracking: the
    # folder with training. tf_records: a file or folder of the TensorFlow Object Detection API.
    source: Annotated[Path, tyro.conf.Positional]
    # The folder to make; new or empty.
    destination: Annotated[Path, tyro.conf.Positional]
    # Format of the labels.
    format: Literal["coco", "yolo", "voc", "cvat", "kitti_tracking", "tf_records"]
    # What to make: a KITTI folder, from which everything else works, or records to train on.
    to: Literal["kitti", "records"] = "kitti"
    # Types to write for types of the source, in pairs: person Pedestrian bicycle Cyclist. DontCare
    # makes regions that do not count.
    class_map: dict[str, str] = field(default_factory=dict)
    # Folder of the pictures; by default it is looked for around the labels.
    image_dir: Path | None = None
    # Names of the numbers of classes in records, which go before names in them: item { id: 1
    # name: 'Car' }.
    label_map: Path | None = None
    # Leaves out labels whose image is missing instead of refusing to start.
    skip_missing_images: bool = False
    # Pictures without any object: negative takes them for frames in which nothing is, skip leaves
    # them out, error names them.
    unlabelled: Literal["negative", "skip", "error"] = "negative"
    # What the boxes on pictures with an EXIF orientation are meant for: the picture as viewers show
    # it (obey), or the pixels as they are stored (ignore). Such pictures are written upright.
    exif_orientation: Literal["obey", "ignore"] | None = None
    # How the pictures get there. hardlink takes no space, stays when the source goes, and is a copy
    # where that is on another file system; symlink ends with the source.
    image_files: Literal["hardlink", "symlink", "copy"] = "hardlink"
    # Parts of the data set that become records; by default all.
    split: tuple[str, ...] = ()
    # Divides all frames at random into records of train and val, whatever parts the source has:
    # share for val, above 0 and below 1.
    val_fraction: float | None = None
    # Another seed draws others.
    seed: int = 0


def main(argv: list[str] | None = None) -> int:
    """Imports the labels and says what they hold; returns 0.

    Raises:
        FileExistsError: the destination is neither new nor empty.
        FileNotFoundError: labels or pictures are not found.
        ValueError: a file of the source is damaged, or an option makes no sense.
    """
    options = parse(Options, argv)
    _refuse_no_effect(options)
    # Not at the top: --help does without.
    from mobilenetdet.label_formats.source_frame import ImportOptions

    how = ImportOptions(
        options.class_map,
        image_dir=options.image_dir,
        label_map=options.label_map,
        skip_missing_images=options.skip_missing_images,
        exif_orientation=options.exif_orientation,
        image_files=options.image_files,
        unlabelled=options.unlabelled,
    )
    (_make_records if options.to == "records" else _make_kitti_folder)(options, how)
    return 0


def _refuse_no_effect(options: Options) -> None:
    for name, formats in _USED_BY.items():
        if options.format not in formats:
            remedy = f"it goes with --format {' or '.join(formats)}"
            refuse_no_effect(options, [name], f"on --format {options.format}", remedy)
    others, other = (_OF_KITTI, "kitti") if options.to == "records" else (_OF_RECORDS, "records")
    refuse_no_effect(options, others, f"on --to {options.to}", f"it goes with --to {other}")
    if options.val_fraction is None:
        refuse_no_effect(options, ["seed"], "without --val_fraction")


def _make_kitti_folder(options: Options, how: ImportOptions) -> None:
    from mobilenetdet.label_formats.importing import import_labels

    destination, started = options.destination, time.monotonic()
    with frame_progress(None, "importing") as on_frame:
        report = import_labels(options.format, options.source, destination, how, on_frame)
    _print_report(report, destination, time.monotonic() - started)
    lists = ", ".join(f"{name} {count:,}" for name, count in report.splits.items())
    print(f"lists of frames: {lists}" if lists else _no_lists(destination))


def _make_records(options: Options, how: ImportOptions) -> None:
    from mobilenetdet.imported_records import Division, import_records
    from mobilenetdet.records.shard_writer import ShardProgress

    destination, started = options.destination, time.monotonic()
    division = Division(options.split, options.val_fraction, options.seed)
    with counting_progress("importing") as callbacks:
        made = import_records(
            options.format,
            options.source,
            destination,
            how,
            division=division,
            progress=ShardProgress(*callbacks),
        )
    _print_report(made.report, destination, time.monotonic() - started)
    for manifest in made.manifests:
        print(
            f"{manifest.split}: {counted(manifest.num_frames, 'frame')}, "
            f"{counted(manifest.num_objects, 'object')}, {manifest.num_bytes / 1e6:,.1f} MB in "
            f"{counted(manifest.num_shards, 'shard')}"
        )
    report_findings(made.overlaps, strict=False)
    for line in made.seen:
        print(line)
    names = [manifest.split for manifest in made.manifests]
    if absent := [name for name in ("train", "val") if name not in names]:
        print(
            f"there are no records of {' and '.join(absent)}: name those there are with "
            f"--data.train_split and --data.val_split ({', '.join(names)}), or divide all frames "
            "with --val_fraction 0.2"
        )


def _print_report(report: ImportReport, destination: Path, seconds: float) -> None:
    print(
        f"{destination}: {counted(report.num_frames, 'frame')} ({report.num_empty:,} without "
        f"object), {counted(sum(report.written.values()), 'object')}, in {seconds:.1f} s"
    )
    for line in type_table(report.read, report.written, report.types):
        print(line)
    for line in report.notes.lines():
        print(f"note: {one_line(line)}")


def type_table(read: dict[str, int], written: dict[str, int], types: dict[str, str]) -> list[str]:
    """Lays out how many objects of each type were read, and as what they were written.

    Args:
        read: objects by type of the source.
        written: objects by type in the KITTI folder.
        types: type to write, by type of the source.
    """
    if not read:
        return ["no object is labelled"]
    sources: dict[str, list[str]] = {}
    for name, target in types.items():
        sources.setdefault(target, []).append(name)
    rows = [("in the source", "objects", "in the folder", "objects")]
    for target in sorted(sources, key=lambda t: (t == DONT_CARE_TYPE, -written.get(t, 0), t)):
        # Labels that were left out for want of a picture may have been all of their type.
        by_count = sorted(sources[target], key=lambda name: read.get(name, 0), reverse=True)
        for index, name in enumerate(by_count):
            after = (target, f"{written.get(target, 0):,}") if not index else ("", "")
            rows.append((one_line(name), f"{read.get(name, 0):,}", *after))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        f"  {a:{widths[0]}}  {b:>{widths[1]}}  {c:{widths[2]}}  {d:>{widths[3]}}".rstrip()
        for a, b, c, d in rows
    ]


def _no_lists(destination: Path) -> str:
    return (
        "the source does not say what is for training; divide the frames with "
        f"mobilenetdet kitti_split --kitti_root {destination}"
    )
