"""Labels of any format made a KITTI folder, whole or not at all."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mobilenetdet.atomic_write import remove_leftovers, remove_temporary, sync, temporary_path
from mobilenetdet.cores import num_cores
from mobilenetdet.findings import count_named
from mobilenetdet.kitti.labels import format_objects
from mobilenetdet.kitti.layout import KittiLayout, check_frame_id
from mobilenetdet.label_formats.cleaning import clean_objects, type_map
from mobilenetdet.label_formats.coco import read_coco
from mobilenetdet.label_formats.frame_ids import frame_ids
from mobilenetdet.label_formats.picture_files import Placed, place_picture
from mobilenetdet.label_formats.source_frame import ImportOptions, Notes, SourceFrame
from mobilenetdet.text_file import write_json

FORMATS: dict[str, Callable[[Path, ImportOptions, Notes], list[SourceFrame]]] = {
    "coco": read_coco,
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
    refuse_filled(destination)
    notes = Notes()
    frames = FORMATS[label_format](source, options, notes)
    types = type_map((str(n) for f in frames for n in f.objects.types), options.class_map, notes)
    frames = _with_picture(frames, options, notes)
    if not frames:
        raise ValueError(f"{source} holds no picture; is it of the format {label_format}?")
    frames.sort(key=lambda frame: frame.name)
    destination = Path(os.path.abspath(destination))
    destination.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(destination.parent)
    staging = temporary_path(destination)
    staging.mkdir()
    try:
        report = _fill(staging, frames, types, options, notes=notes, on_frame=on_frame)
        _write_record(staging, label_format, source, options, report)
        refuse_filled(destination)
        if destination.is_dir():
            destination.rmdir()
        os.rename(staging, destination)
        sync(destination.parent)
    except OSError as error:
        if error.errno and isinstance(error.filename, str | Path):
            error.filename = str(error.filename).replace(str(staging), str(destination))
        raise
    finally:
        if staging.exists():
            remove_temporary(staging)
    return report


def refuse_filled(folder: Path) -> None:
    """Refuses a folder that holds anything, before the work.

    Raises:
        FileExistsError: it does, or is a file.
    """
    if folder.is_symlink() and not folder.exists():
        raise FileExistsError(f"{folder} is a link that leads nowhere; name another folder")
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; name a new folder")
    if (folder / RECORD_NAME).is_file():
        raise FileExistsError(
            f"{folder} holds an import already, see {folder / RECORD_NAME}; remove the folder to "
            "import again, or name another"
        )
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; name a new folder")


def _with_picture(
    frames: Sequence[SourceFrame], options: ImportOptions, notes: Notes
) -> list[SourceFrame]:
    """Refuses frames without picture, or leaves them out if that was asked for."""
    missing = {f.name for f in frames if isinstance(f.image, Path) and not f.image.is_file()}
    if missing and not options.skip_missing:
        first = next(f.image for f in frames if f.name in missing)
        raise FileNotFoundError(
            count_named(sorted(missing), len(frames), "pictures are not there")
            + f"; the first was looked for as {first}; name their folder with --image_dir, or "
            "leave them out with --skip_missing"
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
    written, num_empty = Counter(), 0
    for index, placed in enumerate(_place_all(layout, ids, frames, options)):
        frame = frames[index]
        _note_picture(frame, placed, notes)
        objects = clean_objects(frame, placed.size, types, notes)
        layout.label_path(ids[index]).write_text(format_objects(objects), encoding="utf-8")
        written.update(objects.types.tolist())
        num_empty += not len(objects)
        on_frame(index + 1)
    splits = dict.fromkeys(split for frame in frames for split in frame.splits)
    for split in splits:
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
        frame = frames[index]
        return place_picture(
            frame.image,
            frame.name,
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
            (each, frame.name, " ".join(frame.splits))
            for each, frame in zip(ids, frames, strict=True)
        )


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
