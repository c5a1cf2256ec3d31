"""Labels of any format made a KITTI folder, whole or not at all."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from mobilenetdet.files.atomic_write import atomic_folder, refuse_filled
from mobilenetdet.files.text import write_json
from mobilenetdet.findings import count_named
from mobilenetdet.kitti.labels import format_objects
from mobilenetdet.kitti.layout import KittiLayout, check_frame_id
from mobilenetdet.label_formats.cleaning import clean_objects, type_map
from mobilenetdet.label_formats.coco import read_coco
from mobilenetdet.label_formats.cvat import read_cvat
from mobilenetdet.label_formats.frame_names import frame_ids
from mobilenetdet.label_formats.kitti_tracking import read_kitti_tracking
from mobilenetdet.label_formats.picture_files import Placed, place_picture
from mobilenetdet.label_formats.source_frame import (
    ImportOptions,
    Notes,
    PictureSource,
    SourceFrame,
    join_objects,
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
# Stand in the folder: what was imported and how; the id of each frame and the picture that it was.
RECORD_NAME, TABLE_NAME = "import.json", "frame_names.csv"
# Pictures that are worked on at a time: more would fill the memory with their bytes.
_BATCH = 256


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
    _refuse_imported(destination)
    notes = Notes()
    frames = join_repeated(FORMATS[label_format](source, options, notes), notes)
    types = type_map((str(n) for f in frames for n in f.objects.types), options.class_map, notes)
    frames = _with_picture(frames, options, notes)
    if not frames:
        raise ValueError(f"{source} holds no picture; is it of the format {label_format}?")
    frames.sort(key=lambda frame: frame.name)
    with atomic_folder(destination) as folder:
        report = _fill(folder, frames, types, options, notes=notes, on_frame=on_frame)
        _write_record(folder, label_format, source, options, report)
    return report


def _refuse_imported(folder: Path) -> None:
    """Refuses a folder that is not empty, before the work."""
    if (folder / RECORD_NAME).is_file():
        raise FileExistsError(
            f"{folder} holds an import already, see {folder / RECORD_NAME}; remove the folder to "
            "import again, or name another"
        )
    refuse_filled(folder)


def join_repeated(frames: Sequence[SourceFrame], notes: Notes) -> list[SourceFrame]:
    """Returns one frame for each picture, with all that several files or entries say of it.

    Args:
        frames: as they were read.
        notes: takes pictures whose entries are not the same.
    """
    joined: dict[PictureSource, SourceFrame] = {}
    for frame in frames:
        earlier = joined.get(frame.image)
        joined[frame.image] = frame if earlier is None else _join(earlier, frame, notes)
    return list(joined.values())


def _join(first: SourceFrame, second: SourceFrame, notes: Notes) -> SourceFrame:
    objects = first.objects
    same_objects = len(objects) == len(second.objects) and all(
        (value == getattr(second.objects, key)).all()
        for key, value in vars(objects).items()
        if value is not None
    )
    if not same_objects:
        notes.add("pictures are there several times; their objects were joined", first.name)
        objects = join_objects(objects, second.objects)
    return replace(
        first, objects=objects, splits=tuple(dict.fromkeys((*first.splits, *second.splits)))
    )


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


def _fill(
    root: Path,
    frames: Sequence[SourceFrame],
    types: dict[str, str],
    options: ImportOptions,
    *,
    notes: Notes,
    on_frame: Callable[[int], None],
) -> ImportReport:
    """Writes pictures, labels, lists and the table of names."""
    layout = KittiLayout(root)
    layout.image_dir.mkdir(parents=True)
    layout.label_dir.mkdir()
    ids = [check_frame_id(each, "frame") for each in frame_ids([frame.name for frame in frames])]
    written: Counter[str] = Counter()
    num_empty = 0
    for index, placed in enumerate(_place_all(layout, ids, frames, options)):
        frame = frames[index]
        _note_picture(frame, placed, notes)
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
    _write_table(root / TABLE_NAME, ids, frames)
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


def _note_picture(frame: SourceFrame, placed: Placed, notes: Notes) -> None:
    if placed.note:
        notes.add(placed.note, frame.name)
    if frame.size is not None and frame.size != placed.size:
        notes.add(
            "pictures are not of the size that their labels say; the boxes were kept in pixels",
            f"{frame.name} ({placed.size[0]}x{placed.size[1]}, not {frame.size[0]}x"
            f"{frame.size[1]})",
        )


def _write_table(path: Path, ids: Sequence[str], frames: Sequence[SourceFrame]) -> None:
    # A name may hold bytes that are no UTF-8; they are spelled.
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("frame_id", "picture", "splits"))
        writer.writerows(
            (each, _cell(frame.name), " ".join(frame.splits))
            for each, frame in zip(ids, frames, strict=True)
        )


def _cell(name: str) -> str:
    """Returns a text that programs for tables take for no formula: a path may begin with ./."""
    return f"./{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def _write_record(
    root: Path, label_format: str, source: Path, options: ImportOptions, report: ImportReport
) -> None:
    write_json(
        root / RECORD_NAME,
        {
            "format": label_format,
            "source": os.path.abspath(source).encode(errors="backslashreplace").decode(),
            "class_map": dict(options.class_map),
            "image_files": options.image_files,
            "num_frames": report.num_frames,
            "num_frames_without_object": report.num_empty,
            "splits": report.splits,
            "objects_read": report.read,
            "objects_written": report.written,
            "changed_or_left_out": report.notes.names,
        },
    )
