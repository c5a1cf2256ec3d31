"""One frame of another format as it was read, and notes on what was changed or left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mobilenetdet.kitti.labels import (
    UNKNOWN_ALPHA,
    UNKNOWN_LOCATION,
    UNKNOWN_ROTATION,
    KittiObjects,
)

# How frames without any object are taken: nothing is in them, they are left out, or refused.
Unlabelled = Literal["negative", "skip", "error"]
# What other formats have for KITTI's columns beside the box, and what is unknown in them.
UNKNOWN = {
    **{"truncated": -1.0, "occluded": -1.0, "alpha": UNKNOWN_ALPHA},
    **{"height_m": -1.0, "width_m": -1.0, "length_m": -1.0},
    **{"x_m": UNKNOWN_LOCATION, "y_m": UNKNOWN_LOCATION, "z_m": UNKNOWN_LOCATION},
    "rotation_y": UNKNOWN_ROTATION,
}
# What a flag becomes of which nobody says how much: no longer easy, still moderate.
TRUNCATED_FLAG, OCCLUDED_FLAG = 0.3, 1.0
# Occlusion of objects that are too hard to count: neither learnt nor scored, whatever is found.
TOO_HARD = 3.0
_FLAGS = {"truncated": TRUNCATED_FLAG, "occluded": OCCLUDED_FLAG}
_TRUE, _FALSE = ("true", "yes"), ("false", "no", "")
_RANGES = {"truncated": (0.0, 1.0), "occluded": (0.0, 3.0)}
# Metres and radians: label files take no larger ones.
_LARGEST = 1_000_000


@dataclass(frozen=True)
class EmbeddedPicture:
    """A picture inside of a larger file; two of one place are equal.

    Attributes:
        path: of the larger file.
        position: in it, of the bytes that hold the picture.
        size: of these bytes.
        unpack: gets the picture's file out of them.
    """

    path: Path
    position: int
    size: int
    unpack: Callable[[bytes], bytes]

    def read_bytes(self) -> bytes:
        """Returns the content of the picture's file."""
        with self.path.open("rb") as file:
            file.seek(self.position)
            return self.unpack(file.read(self.size))


PictureSource = Path | EmbeddedPicture


@dataclass(frozen=True, eq=False)
class SourceFrame:
    """One picture and its objects.

    Attributes:
        name: path of the picture in the source, with / between folders.
        image: the picture's file, or where it is in a larger file.
        objects: types as the source spells them, boxes unclipped.
        splits: names of the parts of the data set that it belongs to.
        size: width and height that the labels say the picture has; None where they do not.
        normalised: boxes are shares of width and height, not pixels.
        decimals: of pixels, to round to: gives numbers back as they were before they were divided.
    """

    name: str
    image: PictureSource
    objects: KittiObjects
    splits: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    normalised: bool = False
    decimals: int = 6


@dataclass(frozen=True)
class ImportOptions:
    """How labels are imported.

    Attributes:
        class_map: type that is written, by type of the source in any case.
        image_dir: folder of the pictures; None looks for it around the labels.
        label_map: file that gives names to numbers of classes, for TFRecords without names.
        skip_missing_images: leaves out labels without picture instead of refusing them.
        exif_orientation: whether boxes are meant for pictures as their EXIF orientation turns them
            (obey) or as they are stored (ignore); None refuses turned pictures.
        image_files: hard links (copies where the file system has none), symbolic links, or copies.
        unlabelled: how frames without any object are taken.
    """

    class_map: Mapping[str, str]
    image_dir: Path | None = None
    label_map: Path | None = None
    skip_missing_images: bool = False
    exif_orientation: Literal["obey", "ignore"] | None = None
    image_files: Literal["hardlink", "symlink", "copy"] = "hardlink"
    unlabelled: Unlabelled = "negative"


class Notes:
    """What was changed or left out and why: the names of all cases by their kind."""

    def __init__(self) -> None:
        """Starts without any."""
        self.names: dict[str, list[str]] = {}

    def add(self, what: str, name: str) -> None:
        """Adds one case.

        Args:
            what: the things of this kind and what became of them, such as "polygons became boxes".
            name: the picture, file or line that it is in.
        """
        self.names.setdefault(what, []).append(name)

    def merge(self, other: Notes) -> None:
        """Adds all cases of others, behind these."""
        for what, names in other.names.items():
            self.names.setdefault(what, []).extend(names)

    def lines(self) -> list[str]:
        """Returns a line per kind: what, how many, and the first three by name."""
        return [
            f"{what}: {len(names):,} ({'; '.join(dict.fromkeys(names[:3]))}"
            + ("; ...)" if len(names) > 3 else ")")
            for what, names in self.names.items()
        ]


def make_objects(
    types: Sequence[str],
    boxes_xyxy: Sequence[Sequence[float]] | np.ndarray,
    attributes: Sequence[Mapping[str, float]] | None = None,
) -> KittiObjects:
    """Returns objects in KITTI's columns; what attributes do not say is unknown.

    Args:
        types: N names.
        boxes_xyxy: [N, 4] left, top, right, bottom.
        attributes: N mappings with keys of `UNKNOWN`.
    """
    attributes = attributes or [{}] * len(types)
    rows = [[each.get(key, unknown) for key, unknown in UNKNOWN.items()] for each in attributes]
    columns = np.array(rows, np.float64).reshape(len(types), len(UNKNOWN))
    return KittiObjects(
        types=np.array(types, dtype=str).reshape(-1),
        truncated=columns[:, 0],
        occluded=columns[:, 1].astype(np.int64),
        alpha=columns[:, 2],
        boxes_xyxy=np.array(boxes_xyxy, np.float64).reshape(-1, 4),
        dimensions_hwl=columns[:, 3:6],
        locations_xyz=columns[:, 6:9],
        rotation_y=columns[:, 9],
    )


def known_attributes(objects: KittiObjects) -> list[dict[str, float]]:
    """Returns of each object what is known beside type, box and score; see `make_objects`."""
    columns = np.column_stack(
        [
            *(objects.truncated, objects.occluded, objects.alpha),
            *(objects.dimensions_hwl, objects.locations_xyz, objects.rotation_y),
        ]
    )
    return [
        {
            key: int(value) if key == "occluded" else value
            for (key, unknown), value in zip(UNKNOWN.items(), row, strict=True)
            if value != unknown
        }
        for row in columns.tolist()
    ]


def read_attributes(raw: Mapping[str, Any], notes: Notes, where: str) -> dict[str, float]:
    """Reads KITTI's columns out of the attributes that a format has beside its boxes.

    A flag (true, false) of truncation or occlusion becomes a value that is no longer easy and still
    moderate. Other attributes mean nothing here.

    Args:
        raw: texts, numbers or flags by name.
        notes: takes those of these names that are no numbers or out of range.
        where: they stand, for the notes.
    """
    found = {}
    for key in filter(raw.__contains__, UNKNOWN):
        value = _number(raw[key], _FLAGS.get(key))
        low, high = _RANGES.get(key, (-_LARGEST, _LARGEST))
        if value is None or not low <= value <= high:
            if value != UNKNOWN[key]:
                notes.add(f"values of {key} are no such thing, taken for unknown", where)
        else:
            found[key] = float(round(value)) if key == "occluded" else value
    return found


def join_objects(first: KittiObjects, second: KittiObjects) -> KittiObjects:
    """Returns the objects of both, which have no scores."""
    names = [field.name for field in fields(KittiObjects) if field.name != "scores"]
    return KittiObjects(
        **{name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in names}
    )


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


def path_name(path: Path, root: Path) -> str:
    """Returns how a file is called in notes: its path below a folder, or its last two parts."""
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    return "/".join(path.parts[-2:])


def inside(folder: Path, name: str) -> Path:
    """Returns the file of a name out of data in a folder.

    Raises:
        ValueError: the name leads out of the folder; names it.
    """
    path = Path(os.path.normpath(folder / name.replace("\\", "/")))
    if not path.is_relative_to(os.path.normpath(folder)):
        raise ValueError(
            f"{name!r} is the path of a picture outside of {folder}; name the folder of the "
            "pictures with --image_dir"
        )
    return path


def _number(value: Any, flag: float | None) -> float | None:
    """Returns a number, a flag as the number that it stands for, or None for anything else."""
    text = str(value).strip().lower()
    if flag is not None and text in (*_TRUE, *_FALSE):
        return flag if text in _TRUE else 0.0
    try:
        return float(text)
    except ValueError:
        return None
