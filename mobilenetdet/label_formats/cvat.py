"""CVAT for images 1.1: one XML file of all pictures.

https://docs.cvat.ai/docs/manual/advanced/xml_format/; an export unpacks to annotations.xml and
images/. Boxes are left, top, right, bottom in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.label_formats.frame_names import split_names
from mobilenetdet.label_formats.image_search import find_image_dir, find_pictures
from mobilenetdet.label_formats.source_frame import (
    ImportOptions,
    Notes,
    SourceFrame,
    make_objects,
    path_name,
    read_attributes,
)
from mobilenetdet.label_formats.xml_file import number_in, read_xml

_BOX_SIDES = ("xtl", "ytl", "xbr", "ybr")
# Shapes that have no extent, or none in the picture.
_LEFT_OUT = ("polyline", "points", "cuboid", "skeleton", "tag")


def read_cvat(source: Path, options: ImportOptions, notes: Notes) -> list[SourceFrame]:
    """Reads an export of the format "CVAT for images 1.1".

    Polygons, masks and ellipses become their boxes, turned boxes the upright ones around them.
    KITTI's other columns are read from attributes of these names (`truncated`, `alpha`).

    Args:
        source: annotations.xml or the folder that holds it.
        options: for the folder of the pictures.
        notes: takes what was changed or left out.

    Raises:
        FileNotFoundError: there is no such file, or its pictures are not found.
        ValueError: the file is damaged, or one for videos; names it.
    """
    path = source / "annotations.xml" if source.is_dir() else source
    root = read_xml(path, "annotations")
    if root.find("track") is not None:
        raise ValueError(
            f"{path} holds tracks, as CVAT for videos has them; export the task in the format "
            "CVAT for images 1.1"
        )
    images = root.findall("image")
    subsets = [each.get("subset") or "" for each in images]
    # CVAT calls the subset of pictures that have none "default".
    usual = split_names(name for name in subsets if name and name.lower() != "default")
    names = [_image_name(each, path) for each in images]
    folder, files = _find_files(path, names, subsets, list(usual), options.image_dir)
    frames = []
    for image, name, subset, file in zip(images, names, subsets, files, strict=True):
        width, height = (
            int(number_in(image.get(side), side, str(path))) for side in ("width", "height")
        )
        frames.append(
            SourceFrame(
                path_name(file, path.parent if file.is_relative_to(path.parent) else folder),
                file,
                _read_objects(image, f"{path.name}, {name}", notes),
                (usual[subset],) if subset in usual else (),
                (width, height),
            )
        )
    return frames


def _find_files(
    path: Path, names: list[str], subsets: list[str], usual: list[str], asked: Path | None
) -> tuple[Path, list[Path]]:
    """Returns the folder of the pictures and their files.

    Where a project has subsets, the pictures of each are in a folder of its name, or all in one.
    """
    pairs = zip(subsets, names, strict=True)
    below = [f"{subset}/{name}" if subset else name for subset, name in pairs]
    try:
        folder = find_image_dir(below, path, [], asked)
        found = find_pictures(folder, below, asked=asked is not None)
    except FileNotFoundError:
        folder = find_image_dir(names, path, usual, asked)
        found = [folder] * len(names)
    flat = find_pictures(folder, names, asked=asked is not None)
    both = zip(found, flat, strict=True)
    return folder, [first if first.is_file() else second for first, second in both]


def _image_name(image: Element, path: Path) -> str:
    name = image.get("name")
    if not name:
        raise ValueError(f"{path}: image {image.get('id')} has no name; export the task again")
    return name


def _read_objects(image: Element, where: str, notes: Notes) -> KittiObjects:
    rows = []
    for shape in image:
        if shape.tag in _LEFT_OUT:
            notes.add(f"shapes without box ({shape.tag}) were left out", where)
            continue
        if shape.tag not in _BOXES:
            notes.add(f"elements that are not known ({shape.tag[:40]}) were left out", where)
            continue
        name = shape.get("label", "").strip()
        if not name:
            raise ValueError(f"{where}: a {shape.tag} without label; export the task again")
        box = _BOXES[shape.tag](shape, where)
        if shape.tag != "box":
            notes.add(f"shapes ({shape.tag}) became their boxes", where)
        elif _angle(shape, where):
            notes.add("turned boxes became the upright ones around them", where)
        raw = {each.get("name", ""): each.text or "" for each in shape.iterfind("attribute")}
        # What CVAT itself knows is a flag.
        flag = {"1": "true", "0": "false"}.get(shape.get("occluded", ""))
        raw = ({"occluded": flag} if flag else {}) | raw
        rows.append((name, box, read_attributes(raw, notes, where)))
    return make_objects([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])


def _angle(shape: Element, where: str) -> float:
    return number_in(shape.get("rotation", "0"), "rotation", where) % 360


def _around(points: np.ndarray) -> list[float]:
    """Returns the box around points [N, 2]."""
    return [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]


def _box(shape: Element, where: str) -> list[float]:
    sides = [number_in(shape.get(side), side, where) for side in _BOX_SIDES]
    angle = np.deg2rad(_angle(shape, where))
    if not angle:
        return sides
    corners = np.array(sides)[[[0, 1], [2, 1], [2, 3], [0, 3]]]
    centre = corners.mean(axis=0)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return _around((corners - centre) @ turn + centre)


def _polygon(shape: Element, where: str) -> list[float]:
    pairs = [pair.split(",") for pair in shape.get("points", "").split(";") if pair.strip()]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"{where}: points of a polygon are {shape.get('points', '')[:60]!r}")
    return _around(np.array([[number_in(word, "a point", where) for word in p] for p in pairs]))


def _ellipse(shape: Element, where: str) -> list[float]:
    x, y, rx, ry = (number_in(shape.get(key), key, where) for key in ("cx", "cy", "rx", "ry"))
    angle = np.deg2rad(_angle(shape, where))
    half_width = np.hypot(rx * np.cos(angle), ry * np.sin(angle))
    half_height = np.hypot(rx * np.sin(angle), ry * np.cos(angle))
    return [x - half_width, y - half_height, x + half_width, y + half_height]


def _mask(shape: Element, where: str) -> list[float]:
    left, top, width, height = (
        number_in(shape.get(key), key, where) for key in ("left", "top", "width", "height")
    )
    return [left, top, left + width, top + height]


# How the box of a shape is found.
_BOXES: dict[str, Callable[[Element, str], list[float]]] = {
    "box": _box,
    "polygon": _polygon,
    "ellipse": _ellipse,
    "mask": _mask,
}
