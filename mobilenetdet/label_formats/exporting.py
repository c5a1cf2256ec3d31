"""KITTI folders and result files as data sets of other formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mobilenetdet.config.type_names import DONT_CARE_TYPE, KITTI_TYPES, same
from mobilenetdet.files.atomic_write import atomic_folder, refuse_filled
from mobilenetdet.files.text import write_json
from mobilenetdet.kitti.labels import KittiObjects, read_objects
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.kitti.results import read_label_files
from mobilenetdet.label_formats.coco import coco_labels, coco_results, read_ids
from mobilenetdet.label_formats.picture_files import place_picture
from mobilenetdet.label_formats.source_frame import Notes
from mobilenetdet.label_formats.voc import voc_annotation, voc_results
from mobilenetdet.label_formats.yolo import ATTRIBUTES_FILE, yolo_data, yolo_lines
from mobilenetdet.records.encoded_image import image_header

ExportFormat = Literal["coco", "yolo", "voc"]
# The part of frames that no list divides.
_ALL = {"coco": "all", "yolo": "train", "voc": ""}


@dataclass(frozen=True, eq=False)
class ExportedFrame:
    """A frame of a KITTI folder on its way out.

    Attributes:
        frame_id: KITTI's id.
        objects: its labels.
    """

    frame_id: str
    objects: KittiObjects


@dataclass(frozen=True)
class ExportReport:
    """What an export has written.

    Attributes:
        parts: number of frames by part of the data set.
        objects: number of objects by type.
        notes: what the format has no place for, or was left out.
    """

    parts: dict[str, int]
    objects: dict[str, int]
    notes: Notes


def export_labels(
    label_format: ExportFormat,
    layout: KittiLayout,
    destination: Path,
    *,
    splits: Sequence[str] | None = None,
    image_files: Literal["hardlink", "symlink", "copy"] = "hardlink",
    exif_orientation: Literal["obey", "ignore"] | None = None,
    on_frame: Callable[[int], None] = lambda done: None,
) -> ExportReport:
    """Writes the frames of a KITTI folder, with their pictures, in another format.

    COCO and VOC keep KITTI's other columns as attributes, and YOLO's label files in a file beside
    them, so that `import_labels` gives them back.

    Args:
        label_format: coco, yolo or voc.
        layout: the KITTI folder.
        destination: a new or empty folder; filled when all is written.
        splits: lists of ImageSets; by default all but trainval, where train and val are there.
            Without lists, all frames are one part.
        image_files: hard links (copies where there are none), symbolic links, or copies.
        exif_orientation: what labels of turned pictures are meant for; see `ImportOptions`.
        on_frame: called with the number of frames that are done.

    Raises:
        FileExistsError: the destination holds something.
        FileNotFoundError: a list, a label or a picture is missing.
        ValueError: a label or a picture is damaged, or a picture is turned.
    """
    refuse_filled(destination)
    notes = Notes()
    parts = _read_parts(layout, splits, _ALL[label_format], notes)
    names = class_names(frame.objects for frames in parts.values() for frame in frames)
    done = 0
    with atomic_folder(destination) as folder:

        def place(frame: ExportedFrame, part: str) -> tuple[str, tuple[int, int]]:
            """Puts the picture of a frame into place; returns its name and size."""
            nonlocal done
            image = layout.image_path(frame.frame_id)
            target = folder / _IMAGE_DIRS[label_format].format(part=part) / frame.frame_id
            target.parent.mkdir(parents=True, exist_ok=True)
            placed = place_picture(
                image, str(image), target, how=image_files, exif_orientation=exif_orientation
            )
            if placed.note:
                notes.add(placed.note, image.name)
            done += 1
            on_frame(done)
            return placed.path.name, placed.size

        _WRITERS[label_format](folder, parts, names, place, notes)
    counts: dict[str, int] = dict.fromkeys(names, 0)
    for frame in (frame for frames in parts.values() for frame in frames):
        for name in frame.objects.types.tolist():
            counts[name] += 1
    return ExportReport({part: len(frames) for part, frames in parts.items()}, counts, notes)


def class_names(objects: Iterable[KittiObjects]) -> list[str]:
    """Returns the types that there are: KITTI's in their order, then others, DontCare the last."""
    found = {str(name) for each in objects for name in each.types}
    order = {name: index for index, name in enumerate(KITTI_TYPES)}
    return sorted(found, key=lambda n: (same(n, DONT_CARE_TYPE), order.get(n, len(order)), n))


def _read_parts(
    layout: KittiLayout, splits: Sequence[str] | None, name_of_all: str, notes: Notes
) -> dict[str, list[ExportedFrame]]:
    ids = layout.frame_ids()
    if splits is None:
        there = sorted(path.stem for path in layout.image_set_path("train").parent.glob("*.txt"))
        splits = [s for s in there if s != "trainval" or not {"train", "val"} <= set(there)]
    lists = {split: layout.read_image_set(split) for split in splits} or {name_of_all: ids}
    listed = {each for frame_ids in lists.values() for each in frame_ids}
    for frame_id in ids:
        if frame_id not in listed:
            notes.add("frames that no list has were left out", frame_id)
    return {
        split: [
            ExportedFrame(frame_id, objects)
            for frame_id, objects in zip(
                frame_ids, read_label_files(layout.label_dir, frame_ids), strict=True
            )
        ]
        for split, frame_ids in lists.items()
    }


_Parts = Mapping[str, list[ExportedFrame]]
_Place = Callable[[ExportedFrame, str], tuple[str, tuple[int, int]]]
_IMAGE_DIRS = {"coco": "images", "yolo": "images/{part}", "voc": "JPEGImages"}


def _write_coco(
    folder: Path, parts: _Parts, names: Sequence[str], place: _Place, notes: Notes
) -> None:
    placed: dict[str, tuple[str, tuple[int, int]]] = {}
    for part, frames in parts.items():
        for frame in frames:
            if frame.frame_id not in placed:  # pictures of all parts are in one folder
                placed[frame.frame_id] = place(frame, part)
        rows = [(*placed[frame.frame_id], frame.objects) for frame in frames]
        write_json(
            folder / "annotations" / f"instances_{part}.json",
            coco_labels(rows, names),
            indent=None,
        )


def _write_yolo(
    folder: Path, parts: _Parts, names: Sequence[str], place: _Place, notes: Notes
) -> None:
    names = [name for name in names if not same(name, DONT_CARE_TYPE)]
    attributes: dict[str, Any] = {}
    for part, frames in parts.items():
        (folder / "labels" / part).mkdir(parents=True)
        for frame in frames:
            _, size = place(frame, part)
            key = f"labels/{part}/{frame.frame_id}"
            text, attributes[key] = yolo_lines(frame.objects, size, names)
            (folder / f"{key}.txt").write_text(text, encoding="utf-8")
            for _ in attributes[key]["dont_care"]:
                notes.add(
                    f"{DONT_CARE_TYPE} regions are in {ATTRIBUTES_FILE} alone", frame.frame_id
                )
    data = yolo_data(names, {part: f"images/{part}" for part in parts})
    (folder / "data.yaml").write_text(data, encoding="utf-8")
    write_json(folder / ATTRIBUTES_FILE, attributes, indent=None)


def _write_voc(
    folder: Path, parts: _Parts, names: Sequence[str], place: _Place, notes: Notes
) -> None:
    (folder / "Annotations").mkdir()
    written: set[str] = set()
    for part, frames in parts.items():
        for frame in frames:
            if frame.frame_id in written:
                continue
            written.add(frame.frame_id)
            text = voc_annotation(*place(frame, part), frame.objects)
            path = folder / "Annotations" / f"{frame.frame_id}.xml"
            path.write_text(text, encoding="utf-8")
        if part:
            path = folder / "ImageSets/Main" / f"{part}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{frame.frame_id}\n" for frame in frames), encoding="utf-8")


_WRITERS: dict[str, Callable[[Path, _Parts, Sequence[str], _Place, Notes], None]] = {
    "coco": _write_coco,
    "yolo": _write_yolo,
    "voc": _write_voc,
}


def export_results(
    label_format: ExportFormat,
    result_dir: Path,
    destination: Path,
    *,
    coco_file: Path | None = None,
    kitti_root: Path | None = None,
) -> ExportReport:
    """Writes a detector's KITTI result files in another format, with their scores.

    coco: DST/results.json for pycocotools' `loadRes`. yolo: DST/labels/ID.txt with the score as the
    sixth number, and DST/classes.txt. voc: DST/comp4_det_results_CLASS.txt.

    Args:
        label_format: coco, yolo or voc.
        result_dir: folder of the result files.
        destination: a new or empty folder.
        coco_file: COCO file whose ids of images and categories the results have; for coco.
        kitti_root: KITTI folder with the pictures, whose sizes shares are of; for yolo.

    Raises:
        FileExistsError: the destination holds something.
        FileNotFoundError: there are no result files, or a picture is missing.
        ValueError: a file is damaged, or what the format needs was not named.
    """
    refuse_filled(destination)
    files = sorted(p for p in result_dir.glob("*.txt") if not p.name.startswith("."))
    if not files:
        raise FileNotFoundError(f"{result_dir} holds no result files NNNNNN.txt")
    results = {path.stem: read_objects(path, with_scores=True) for path in files}
    names, notes = class_names(results.values()), Notes()
    with atomic_folder(destination) as folder:
        if label_format == "coco":
            rows = _coco_rows(results, coco_file, notes)
            write_json(folder / "results.json", rows, indent=None)
        elif label_format == "yolo":
            if kitti_root is None:
                raise ValueError("YOLO's numbers are shares of pictures; name --kitti_root")
            (folder / "labels").mkdir()
            for frame_id, objects in results.items():
                text, _ = yolo_lines(objects, _size_of(kitti_root, frame_id), names)
                (folder / "labels" / f"{frame_id}.txt").write_text(text, encoding="utf-8")
            (folder / "classes.txt").write_text("".join(f"{n}\n" for n in names), encoding="utf-8")
        else:
            for name, text in voc_results(results, names, notes).items():
                (folder / name).write_text(text, encoding="utf-8")
    counts = {n: sum((each.types == n).sum() for each in results.values()) for n in names}
    return ExportReport({"results": len(results)}, {n: int(c) for n, c in counts.items()}, notes)


def _coco_rows(
    results: Mapping[str, KittiObjects], coco_file: Path | None, notes: Notes
) -> list[dict[str, Any]]:
    if coco_file is None:
        raise ValueError(
            "results have the ids of a COCO file's images and categories; name it: --coco_file "
            "annotations/instances_val.json"
        )
    image_ids, category_ids = read_ids(coco_file)
    by_lower = {name.lower(): key for name, key in category_ids.items()}
    frames = []
    for frame_id, objects in results.items():
        if frame_id not in image_ids:
            notes.add(f"result files of no image of {coco_file} were left out", frame_id)
            continue
        known = [str(name).lower() in by_lower for name in objects.types]
        for name in objects.types[[not each for each in known]].tolist():
            notes.add(f"detections of no category of {coco_file} were left out", name)
        frames.append((image_ids[frame_id], objects[known] if len(objects) else objects))
    if not frames:
        raise ValueError(f"no result file is of an image of {coco_file}; is it of other frames?")
    spelled = {str(n): by_lower[str(n).lower()] for _, o in frames for n in o.types}
    return coco_results(frames, spelled)


def _size_of(kitti_root: Path, frame_id: str) -> tuple[int, int]:
    try:
        path = KittiLayout(kitti_root).image_path(frame_id)
    except FileNotFoundError:
        path = KittiLayout(kitti_root, "testing").image_path(frame_id)
    header = image_header(path.read_bytes(), str(path))
    return header.width, header.height
