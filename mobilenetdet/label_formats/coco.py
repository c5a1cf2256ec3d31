"""COCO's detection format: one JSON file of images, categories and annotations.

Boxes are x, y, width, height in pixels, of real numbers from the corner of the picture
(https://cocodataset.org/#format-data).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mobilenetdet.config.type_names import DONT_CARE_TYPE, same
from mobilenetdet.files.text import read_json
from mobilenetdet.findings import counted
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.label_formats.frame_names import split_names
from mobilenetdet.label_formats.image_search import find_image_dir, find_pictures
from mobilenetdet.label_formats.source_frame import (
    ImportOptions,
    Notes,
    SourceFrame,
    known_attributes,
    make_objects,
    path_name,
    read_attributes,
)

_REMEDY = "write it again, or name another file"
# Beside these, a folder of COCO's own holds keypoints and captions of the same pictures.
_INSTANCES = "instances_*.json"


def read_coco(source: Path, options: ImportOptions, notes: Notes) -> list[SourceFrame]:
    """Reads a COCO file, or all of a folder.

    Crowds (`iscrowd`) and what is marked `ignore` are DontCare regions. KITTI's other columns are
    read from the `attributes` of an annotation, as `coco_labels` writes them.

    Args:
        source: the file, or a folder with annotations/*.json, */_annotations.coco.json or *.json.
        options: for the folder of the pictures.
        notes: takes what was changed or left out.

    Raises:
        FileNotFoundError: there is no such file, or its pictures are not found.
        ValueError: a file is damaged; names file, entry and value.
    """
    files = _annotation_files(source, notes)
    splits = _splits_of(files)
    root = source if source.is_dir() else source.parent
    return [
        frame
        for path in files
        for frame in _read_file(path, splits.get(path, ()), root, options, notes)
    ]


def _annotation_files(source: Path, notes: Notes) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise FileNotFoundError(f"{source} does not exist; name a COCO file or a folder of such")
    instances = sorted(source.glob(f"annotations/{_INSTANCES}"))
    for pattern in ("annotations/*.json", "*/_annotations.coco.json", "*.json"):
        if found := sorted(source.glob(pattern)):
            for path in found if instances else ():
                if path not in instances:
                    notes.add(f"files beside {_INSTANCES} were not read", path.name)
            return instances or found
    raise FileNotFoundError(
        f"{source} holds neither annotations/*.json nor */_annotations.coco.json nor *.json; "
        "name the COCO file"
    )


def _splits_of(files: Sequence[Path]) -> dict[Path, tuple[str, ...]]:
    """Returns the part of the data set that each file is, unless there is one and says none."""
    names = {
        path: path.parent.name if path.name.startswith("_annotations") else path.stem
        for path in files
    }
    usual = split_names(names.values())
    found: dict[Path, tuple[str, ...]] = {
        path: (usual[name].removeprefix("instances_"),) for path, name in names.items()
    }
    if len(files) == 1 and found[files[0]][0] not in ("train", "val", "test"):
        return {}
    return found


def _read_file(
    path: Path, splits: tuple[str, ...], root: Path, options: ImportOptions, notes: Notes
) -> list[SourceFrame]:
    content = read_json(path, _REMEDY)
    if not isinstance(content, dict):
        what = "is a list, as results with scores are" if isinstance(content, list) else "is empty"
        raise ValueError(f"{path} {what}; a COCO file has images, categories and annotations")
    images = {_get(each, "id", path): each for each in _entries(content, "images", path)}
    categories = {
        _get(each, "id", path): str(_get(each, "name", path))
        for each in _entries(content, "categories", path)
    }
    if len(images) < len(content["images"]) or len(categories) < len(content["categories"]):
        raise ValueError(f"{path}: two images or two categories have one id; give each its own")
    objects = _read_annotations(content, images, categories, path, notes)
    names = {key: str(_get(image, "file_name", path)) for key, image in images.items()}
    folder = find_image_dir(list(names.values()), path, splits, options.image_dir)
    files = find_pictures(folder, list(names.values()), asked=options.image_dir is not None)
    frames = []
    for (key, image), file in zip(images.items(), files, strict=True):
        width, height = image.get("width"), image.get("height")
        size = (width, height) if isinstance(width, int) and isinstance(height, int) else None
        frames.append(
            SourceFrame(
                path_name(file, root if file.is_relative_to(root) else folder),
                file,
                objects[key],
                splits,
                size,
            )
        )
    return frames


def _read_annotations(
    content: dict[str, Any],
    images: Mapping[Any, Any],
    categories: Mapping[Any, str],
    path: Path,
    notes: Notes,
) -> dict[Any, KittiObjects]:
    """Returns the objects of each image by its id."""
    rows: dict[Any, list[tuple[str, list[float], dict[str, float]]]] = {key: [] for key in images}
    for index, each in enumerate(_entries(content, "annotations", path)):
        where = f"{path.name}, annotation {each.get('id', index)}"
        image_id = _get(each, "image_id", path)
        if image_id not in rows:
            raise ValueError(f"{path}: annotation {each.get('id', index)} is of no image: image_id")
        if "bbox" not in each or each["bbox"] == []:
            notes.add("annotations without bbox were left out", where)
            continue
        category = _get(each, "category_id", path)
        if category not in categories:
            raise ValueError(f"{where}: category_id {category!r} is none of the categories")
        rows[image_id].append(_read_annotation(each, categories[category], where, notes))
    return {
        key: make_objects([r[0] for r in found], [r[1] for r in found], [r[2] for r in found])
        for key, found in rows.items()
    }


def _read_annotation(
    annotation: dict[str, Any], name: str, where: str, notes: Notes
) -> tuple[str, list[float], dict[str, float]]:
    try:
        if not isinstance(annotation["bbox"], list):
            raise TypeError
        x, y, width, height = map(float, annotation["bbox"])
    except (TypeError, ValueError, OverflowError):
        text = repr(annotation["bbox"])[:80]
        raise ValueError(f"{where}: bbox is {text}; it must be x, y, width, height") from None
    attributes = annotation.get("attributes") or {}
    attributes = read_attributes(attributes if isinstance(attributes, dict) else {}, notes, where)
    for key, what in (("iscrowd", "crowds"), ("ignore", "boxes to ignore")):
        if annotation.get(key) and not same(name, DONT_CARE_TYPE):
            notes.add(f"{what} ({key}) became {DONT_CARE_TYPE} regions of all classes", where)
            name, attributes = DONT_CARE_TYPE, {}
    return name, [x, y, x + width, y + height], attributes


def _entries(content: dict[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    entries = content.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{path}: {key} is no list of objects; is this a COCO detection file?")
    return entries


def _get(entry: dict[str, Any], key: str, path: Path) -> Any:
    value = entry.get(key)
    if not isinstance(value, int | str):
        text = json.dumps(entry)[:120]
        raise ValueError(f"{path}: {key} is {value!r} in {text}; write a number or a name")
    return value


def coco_labels(
    frames: Sequence[tuple[str, tuple[int, int], KittiObjects]], names: Sequence[str]
) -> dict[str, Any]:
    """Returns labels as a COCO data set; what COCO has no field for is in `attributes`.

    DontCare is a category of its own, and each of its boxes a crowd to ignore.

    Args:
        frames: file name, (width, height) and objects of each picture; its id is its place from 1.
        names: of the categories, 1 to C.
    """
    ids = {name: index for index, name in enumerate(names, 1)}
    annotations: list[dict[str, Any]] = []
    for image_id, (_, _, objects) in enumerate(frames, 1):
        rows = zip(
            objects.types.tolist(), objects.boxes_xyxy, known_attributes(objects), strict=True
        )
        for name, box, attributes in rows:
            dont_care = int(same(name, DONT_CARE_TYPE))
            bbox = to_xywh(box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": ids[name],
                    "bbox": bbox,
                    "area": bbox[2] * bbox[3],
                    "segmentation": [],
                    "iscrowd": dont_care,
                    "ignore": dont_care,
                    "attributes": attributes,
                }
            )
    images = [
        {"id": index, "file_name": name, "width": width, "height": height}
        for index, (name, (width, height), _) in enumerate(frames, 1)
    ]
    categories = [{"id": index, "name": name} for name, index in ids.items()]
    count = f"{counted(len(images), 'frame')} out of KITTI label files by mobilenetdet"
    return {
        "info": {"description": count},
        "images": images,
        "categories": categories,
        "annotations": annotations,
    }


def coco_results(
    frames: Sequence[tuple[int, KittiObjects]], category_ids: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Returns detections as pycocotools' `loadRes` reads them.

    Args:
        frames: id of the image and its detections, with scores.
        category_ids: by type.
    """
    return [
        {
            "image_id": image_id,
            "category_id": category_ids[name],
            "bbox": to_xywh(box),
            "score": float(score),
        }
        for image_id, objects in frames
        for name, box, score in zip(
            objects.types.tolist(), objects.boxes_xyxy, objects.detection_scores, strict=True
        )
    ]


def read_ids(path: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Reads the ids of images by their names without folder and ending, and of categories by name.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no COCO file, or two images have one name.
    """
    content = read_json(path, _REMEDY)
    content = content if isinstance(content, dict) else {}
    images, categories = (_entries(content, key, path) for key in ("images", "categories"))
    names = [PurePosixPath(str(_get(each, "file_name", path))).stem for each in images]
    if len(set(names)) < len(names):
        raise ValueError(f"{path}: two images have one name without folder and ending")
    image_ids = [_get(each, "id", path) for each in images]
    return dict(zip(names, image_ids, strict=True)), {
        str(_get(each, "name", path)): _get(each, "id", path) for each in categories
    }


def to_xywh(box_xyxy: Sequence[float]) -> list[float]:
    """Returns x, y, width, height of a box, without the dust of binary fractions.

    Example: [712.4, 143.0, 810.73, 307.92] gives [712.4, 143.0, 98.33, 164.92].
    """
    left, top, right, bottom = map(float, box_xyxy)
    return [left, top, round(right - left, 9), round(bottom - top, 9)]
