"""Labels of any format made a KITTI folder, whole or not at all."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mobilenetdet.files.atomic_write import atomic_folder, refuse_filled
from mobilenetdet.files.names import utf8_text
from mobilenetdet.files.text import write_json
from mobilenetdet.findings import count_named
from mobilenetdet.kitti.labels import format_objects
from mobilenetdet.kitti.layout import KittiLayout, check_frame_id
from mobilenetdet.label_formats.cleaning import clean_objects, type_map
from mobilenetdet.label_formats.coco import read_coco
from mobilenetdet.label_formats.cvat import read_cvat
from mobilenetdet.label_formats.frame_names import frame_ids, write_table
from mobilenetdet.label_formats.kitti_tracking import read_kitti_tracking
from mobilenetdet.label_formats.picture_files import Placed, ReadPicture, place_picture
from mobilenetdet.label_formats.source_frame import (
    ImportOptions,
    Notes,
    SourceFrame,
    join_repeated,
)
from mobilenetdet.label_formats.tf_records import read_tf_records
from mobilenetdet.label_formats.voc import read_voc
from mobilenetdet.label_formats.yolo import read_yolo
from mobilenetdet.system.cores import num_cores
from mobilenetdet.system.terminal_text import one_line

FORMATS: dict[str, Callable[[Path, ImportOptions, Notes], list[SourceFrame]]] = {
    "coco": read_coco,
    "yolo": read_yolo,
    "voc": read_voc,
    "cvat": read_cvat,
    "kitti_tracking": read_kitti_tracking,
    "tf_records": read_tf_records,
}
# Stands in the folder: what was imported and how.
RECORD_NAME = "import.json"
# Pictures that are worked on at a time: more would fill the memory with their bytes.
_BATCH = 256


class DataSet(NamedTuple):
    """A data set as its labels describe it.

    Attributes:
        frames: in the order of their names.
        ids: of the frames.
        types: type to write, by type of the source.
        notes: what was changed or left out until here; takes what follows.
    """

    frames: list[SourceFrame]
    ids: list[str]
    types: dict[str, str]
    notes: Notes


@dataclass(frozen=True)
class ImportReport:
    """What an import has written.

    Attributes:
        num_frames: pictures with a label file.
        num_empty: those without object.
        splits: number of frames by list.
        read: objects by type of the source.
        written: objects by type in the KITTI folder.
        types: type that was written, by type of the source.
        notes: what was changed or left out.
    """

    num_frames: int
    num_empty: int
    splits: dict[str, int]
    read: dict[str, int]
    written: dict[str, int]
    types: dict[str, str]
    notes: Notes


def import_labels(
    label_format: str,
    source: Path,
    destination: Path,
    options: ImportOptions,
    on_frame: Callable[[int], None] = lambda done: None,
) -> ImportReport:
    """Makes a KITTI folder of a data set of another format.

    The folder is filled under a temporary name beside its own, which it gets at the end: after an
    error or an interruption nothing is there.

    Args:
        label_format: one of `FORMATS`.
        source: file or folder of the labels; only read.
        destination: the KITTI folder; absent or empty.
        options: how to import.
        on_frame: called with the number of frames that are done.

    Raises:
        FileExistsError: the destination holds something.
        FileNotFoundError: labels or pictures are not found; names the first.
        ValueError: a file of the source is damaged; names file and value.
    """
    refuse_imported(destination)
    data = read_data_set(label_format, source, options)
    with atomic_folder(destination) as folder:
        report = _fill(folder, data, options, on_frame)
        made = {"format": label_format, "image_files": options.image_files}
        write_account(folder, source, options, report, made)
        write_table(folder, data.ids, [(frame.name, frame.splits) for frame in data.frames])
    return report


def read_data_set(label_format: str, source: Path, options: ImportOptions) -> DataSet:
    """Reads all labels of a data set, and no picture.

    Args:
        label_format: one of `FORMATS`.
        source: file or folder of the labels.
        options: how to read them.

    Raises:
        FileNotFoundError: labels or pictures are not found; names the first.
        ValueError: a file of the source is damaged, or there is no picture; names file and value.
    """
    notes = Notes()
    frames = join_repeated(FORMATS[label_format](source, options, notes), notes)
    types = type_map((str(n) for f in frames for n in f.objects.types), options.class_map, notes)
    if not frames:
        raise ValueError(f"{source} holds no picture; is it of the format {label_format}?")
    frames = _with_picture(frames, options, notes)
    if not frames:
        raise ValueError(
            f"none of the pictures of {source} is there; name their folder with --image_dir"
        )
    frames = _labelled(frames, options, notes)
    if not frames:
        raise ValueError(
            f"no picture in {source} has an object; --unlabelled negative takes them for frames in "
            "which nothing is"
        )
    frames.sort(key=lambda frame: frame.name)
    ids = frame_ids([frame.name for frame in frames])
    return DataSet(frames, [check_frame_id(each, "frame") for each in ids], types, notes)


def refuse_imported(folder: Path) -> None:
    """Refuses a folder that is not empty, before the work.

    Raises:
        FileExistsError: it holds something.
    """
    if (folder / RECORD_NAME).is_file():
        raise FileExistsError(
            f"{folder} holds an import already, see {folder / RECORD_NAME}; remove the folder to "
            "import again, or name another"
        )
    refuse_filled(folder)


def _with_picture(
    frames: Sequence[SourceFrame], options: ImportOptions, notes: Notes
) -> list[SourceFrame]:
    """Refuses frames without picture, or leaves them out if that was asked for."""
    missing = {f.name for f in frames if isinstance(f.image, Path) and not f.image.is_file()}
    if missing and not options.skip_missing_images:
        first = next(f.image for f in frames if f.name in missing)
        raise FileNotFoundError(
            count_named(sorted(missing), len(frames), "pictures are not there")
            + f"; the first was looked for as {one_line(str(first))}; name their folder with "
            "--image_dir, or leave them out with --skip_missing_images"
        )
    for name in sorted(missing):
        notes.add("labels without picture were left out", name)
    return [frame for frame in frames if frame.name not in missing]


def _labelled(
    frames: Sequence[SourceFrame], options: ImportOptions, notes: Notes
) -> list[SourceFrame]:
    """Leaves out or refuses frames without any object, if that was asked for."""
    empty = [frame.name for frame in frames if not len(frame.objects)]
    if empty and options.unlabelled == "error":
        what = "pictures have no object; --unlabelled negative takes them for frames in which "
        raise ValueError(count_named(empty, len(frames), f"{what}nothing is, skip leaves them out"))
    if not empty or options.unlabelled == "negative":
        return list(frames)
    for name in empty:
        notes.add("pictures without object were left out", name)
    return [frame for frame in frames if len(frame.objects)]


def _fill(
    root: Path, data: DataSet, options: ImportOptions, on_frame: Callable[[int], None]
) -> ImportReport:
    """Writes pictures, labels, lists and the table of names."""
    layout = KittiLayout(root)
    layout.image_dir.mkdir(parents=True)
    layout.label_dir.mkdir()
    frames, ids, types, notes = data
    written: Counter[str] = Counter()
    num_empty = 0
    for index, placed in enumerate(_place_all(layout, ids, frames, options)):
        frame = frames[index]
        note_picture(frame, placed, notes)
        objects = clean_objects(frame, placed.size, types, notes)
        layout.label_path(ids[index]).write_text(format_objects(objects), encoding="utf-8")
        written.update(objects.types.tolist())
        num_empty += not len(objects)
        on_frame(index + 1)
    splits: dict[str, int] = {}
    for split in dict.fromkeys(split for frame in frames for split in frame.splits):
        chosen = [each for each, f in zip(ids, frames, strict=True) if split in f.splits]
        layout.write_image_set(split, chosen)
        splits[split] = len(chosen)
    read = Counter(str(name) for frame in frames for name in frame.objects.types)
    return ImportReport(len(frames), num_empty, splits, dict(read), dict(written), types, notes)


def _place_all(
    layout: KittiLayout, ids: Sequence[str], frames: Sequence[SourceFrame], options: ImportOptions
) -> Iterator[Placed]:
    """Yields the pictures in their order; reading and checking them uses every core."""

    def place(index: int) -> Placed:
        """Puts one picture where the layout has it."""
        frame = frames[index]
        return place_picture(
            frame.image,
            one_line(frame.name),
            layout.image_dir / ids[index],
            how=options.image_files,
            exif_orientation=options.exif_orientation,
        )

    with ThreadPoolExecutor(num_cores()) as executor:
        for start in range(0, len(frames), _BATCH):
            yield from executor.map(place, range(start, min(start + _BATCH, len(frames))))


def note_picture(frame: SourceFrame, picture: Placed | ReadPicture, notes: Notes) -> None:
    """Notes what was done to the picture of a frame, and a size that its labels do not say."""
    if picture.note:
        notes.add(picture.note, frame.name)
    if frame.size is not None and frame.size != picture.size:
        notes.add(
            "pictures are not of the size that their labels say; the boxes were kept in pixels",
            f"{frame.name} ({picture.size[0]}x{picture.size[1]}, not {frame.size[0]}x"
            f"{frame.size[1]})",
        )


def write_account(
    folder: Path,
    source: Path,
    options: ImportOptions,
    report: ImportReport,
    made: Mapping[str, object],
) -> None:
    """Writes what was imported, and all options by which it can be made again.

    Args:
        folder: that was made.
        source: file or folder of the labels.
        options: how they were read.
        report: what was made of them.
        made: how it was made, for the file.
    """
    paths = {"image_dir": options.image_dir, "label_map": options.label_map}
    write_json(
        folder / RECORD_NAME,
        {
            **made,
            "source": utf8_text(os.path.abspath(source)),
            "class_map": dict(options.class_map),
            **{key: path and utf8_text(os.path.abspath(path)) for key, path in paths.items()},
            "skip_missing_images": options.skip_missing_images,
            "unlabelled": options.unlabelled,
            "exif_orientation": options.exif_orientation,
            "num_frames": report.num_frames,
            "num_frames_without_object": report.num_empty,
            "splits": report.splits,
            "objects_read": report.read,
            "objects_written": report.written,
            "changed_or_left_out": report.notes.names,
        },
    )
