"""YOLO's format: a text file a picture, a line a box: class, centre x and y, width, height.

Numbers are shares of the picture's sides. data.yaml has the names of the classes and the folders of
each part of the data set; `labels` stands in the paths where `images` does
(https://docs.ultralytics.com/datasets/detect/).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import yaml

from mobilenetdet.config.type_names import DONT_CARE_TYPE, same
from mobilenetdet.files.text import read_json, read_text
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.label_formats.frame_names import split_names
from mobilenetdet.label_formats.source_frame import (
    ImportOptions,
    Notes,
    SourceFrame,
    known_attributes,
    make_objects,
    path_name,
    read_attributes,
)
from mobilenetdet.label_formats.yolo_data_set import YoloDataSet, label_path, read_data_set

# What a line of five numbers has no place for, in the folder of data.yaml: of each label file,
# without ending, KITTI's other columns by line, and the DontCare regions in shares.
ATTRIBUTES_FILE = "kitti_attributes.json"
# Shares beyond are pixels.
_LARGEST_SHARE = 2.0


def read_yolo(source: Path, options: ImportOptions, notes: Notes) -> list[SourceFrame]:
    """Reads a data set of YOLO's format.

    Outlines (segmentation, turned boxes) become their boxes. A picture with an empty label file, or
    with none, is one without objects.

    Args:
        source: data.yaml, or the folder that holds it or classes.txt.
        options: for the folder that the paths of data.yaml are below.
        notes: takes what was changed or left out.

    Raises:
        FileNotFoundError: there are no names of classes, no pictures, or no labels at all.
        ValueError: a label line is damaged; names file and line.
    """
    data = read_data_set(source, options.image_dir, notes)
    data.refuse_unlabelled()
    attributes = _read_extra(data.root / ATTRIBUTES_FILE)
    usual = split_names(part for part in data.pictures if part)
    splits: dict[Path, list[str]] = {}
    for part, pictures in data.pictures.items():
        for picture in pictures:
            splits.setdefault(picture, []).extend([usual[part]] if part else [])
    frames = []
    for picture, of_picture in splits.items():
        label = label_path(picture)
        name = path_name(picture, data.root)
        objects = _read_labels(label, data, notes)
        key = path_name(label.with_suffix(""), data.root)
        if key in attributes:
            objects = _with_attributes(objects, attributes[key], key, notes)
        name, parts = path_name(picture, data.root), tuple(dict.fromkeys(of_picture))
        frames.append(SourceFrame(name, picture, objects, parts, normalised=True))
    return frames


def _read_labels(path: Path, data: YoloDataSet, notes: Notes) -> KittiObjects:
    where = path_name(path, data.root)
    if not os.path.lexists(path):  # a link to nowhere is a label that is lost
        notes.add("pictures without label file were taken for pictures without objects", where)
        return make_objects([], [])
    types, boxes = [], []
    for number, line in enumerate(read_text(path, "YOLO label file").splitlines(), 1):
        if words := line.split():
            name, box, was_outline = _read_line(words, data, f"{path}:{number}")
            types.append(name)
            boxes.append(box)
            if was_outline:
                notes.add("outlines became their boxes", f"{where}:{number}")
            elif len(words) > 5:
                notes.add("keypoints were left out", f"{where}:{number}")
    return make_objects(types, boxes)


def _read_line(
    words: Sequence[str], data: YoloDataSet, source: str
) -> tuple[str, list[float], bool]:
    """Returns type, box in shares as left, top, right, bottom, and whether it was an outline."""
    try:
        class_id, shares = float(words[0]), np.array([float(word) for word in words[1:]])
    except ValueError:
        raise ValueError(f"{source}: {' '.join(words)[:80]!r} are no numbers") from None
    if class_id not in data.names:
        raise ValueError(
            f"{source}: class {words[0][:20]}, but there are names for {len(data.names)} classes "
            "from 0 on; is this the right data.yaml?"
        )
    if not (np.abs(shares) <= _LARGEST_SHARE).all():
        raise ValueError(f"{source}: {' '.join(words[1:])[:80]} are no shares of the picture")
    is_outline = len(shares) >= 6 and len(shares) % 2 == 0 and not data.has_keypoints
    if len(shares) == 5 and not data.has_keypoints:
        raise ValueError(f"{source}: six numbers, as detections with their score have; no label")
    if len(shares) < 4 or (len(shares) > 5 and not is_outline and not data.has_keypoints):
        raise ValueError(f"{source}: {len(words)} numbers; expected class, x, y, width, height")
    if is_outline:
        points = shares.reshape(-1, 2)
        box = [*points.min(axis=0), *points.max(axis=0)]
    else:
        x, y, width, height = shares[:4]
        box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    return data.names[int(class_id)], [float(side) for side in box], is_outline


def _read_extra(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    content = read_json(path, "remove it if the labels will do without")
    if not isinstance(content, dict):
        raise ValueError(f"{path} is no table of label files; remove it")
    return content


def _with_attributes(objects: KittiObjects, extra: Any, where: str, notes: Notes) -> KittiObjects:
    """Returns objects with what `yolo_lines` has kept beside them, if there are as many."""
    lines = extra.get("lines") if isinstance(extra, dict) else None
    regions = extra.get("dont_care") if isinstance(extra, dict) else None
    if (
        not _is_list_of(lines, lambda each: isinstance(each, dict))
        or not _is_list_of(regions, lambda each: _is_list_of(each, _is_number) and len(each) == 4)
        or len(lines) != len(objects)
    ):
        notes.add(
            f"labels have changed since {ATTRIBUTES_FILE}, which was not read for them", where
        )
        return objects
    attributes = [read_attributes(each, notes, where) for each in lines]
    return make_objects(
        [*objects.types.tolist(), *[DONT_CARE_TYPE] * len(regions)],
        [*objects.boxes_xyxy.tolist(), *regions],
        [*attributes, *[{}] * len(regions)],
    )


def _is_list_of(value: Any, check: Callable[[Any], bool]) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and all(map(check, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) <= _LARGEST_SHARE


def yolo_lines(
    objects: KittiObjects, size: tuple[int, int], names: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    """Returns the label lines of a picture, and what has no place in them; see `ATTRIBUTES_FILE`.

    DontCare regions are in the second alone: a detector would learn them as a class. Detections
    have their score as the sixth number.

    Args:
        objects: of the picture.
        size: its width and height.
        names: of the classes, by their numbers from 0.
    """
    ids = {name: index for index, name in enumerate(names)}
    shares = objects.boxes_xyxy / (size[0], size[1], size[0], size[1])
    dont_care = np.array([same(name, DONT_CARE_TYPE) for name in objects.types.tolist()], bool)
    lines = []
    for index in np.flatnonzero(~dont_care):
        left, top, right, bottom = shares[index].tolist()
        numbers = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
        numbers += [] if objects.scores is None else [float(objects.scores[index])]
        words = [str(ids[str(objects.types[index])]), *map(repr, numbers)]
        lines.append(" ".join(words) + "\n")
    extra = {
        "lines": known_attributes(objects[~dont_care]),
        "dont_care": shares[dont_care].tolist(),
    }
    return "".join(lines), extra


def yolo_data(names: Sequence[str], folders: Mapping[str, str]) -> str:
    """Returns the text of data.yaml.

    Args:
        names: of the classes, by their numbers from 0.
        folders: of the pictures, by part of the data set.
    """
    content = {**folders, "names": dict(enumerate(names))}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
