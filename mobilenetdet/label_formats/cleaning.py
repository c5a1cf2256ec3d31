"""Objects as they were read, made fit for KITTI's label files: types, pixels, borders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from mobilenetdet.config.type_names import (
    DONT_CARE_TYPE,
    NAME_RULE,
    is_reserved,
    is_type_name,
    nearest,
    same,
)
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.label_formats.source_frame import Notes, SourceFrame
from mobilenetdet.system.terminal_text import one_line

# Pixels, beyond which sums are no longer what they should be.
_LARGEST = 1e15

# Pixels: shares of six digits lead as far over the border of a picture without meaning it.
_UNSEEN = 0.01


def type_map(types: Iterable[str], class_map: Mapping[str, str], notes: Notes) -> dict[str, str]:
    """Returns the type that is written for each type of a source, always one word.

    Args:
        types: of the source.
        class_map: type to write, by type of the source in any case, with blanks or `_`.
        notes: takes names of several words, and names in the map that no object has.

    Raises:
        ValueError: a name or a target of the map is no word that KITTI's lines can hold.
    """
    types = sorted(set(types))
    wanted = {_word(name).lower(): target for name, target in class_map.items()}
    known = {_word(name).lower() for name in types}
    for name, target in class_map.items():
        if _word(name).lower() not in known:
            notes.add("names in class_map are of no object", f"{name}{nearest(name, types)}")
        if not target or _word(target) != target:
            raise ValueError(
                f"class_map maps {name} to {target!r}; it must be one word without / and comma"
            )
    result = {}
    for name in types:
        written = wanted.get(_word(name).lower(), _word(name))
        if not written or not is_type_name(written) or not _is_utf8(written):
            raise ValueError(f"{written[:100]!r} is no name of a class; {NAME_RULE}")
        if written == _word(name) != name:
            notes.add("names of classes were joined to one word", f"{name!r} is {written}")
        if is_reserved(written):
            notes.add("types that no class can be called, rename them with class_map", written)
        # Commands compare types in any case, and DontCare is looked for as KITTI spells it.
        result[name] = DONT_CARE_TYPE if same(written, DONT_CARE_TYPE) else written
    return result


def clean_objects(
    frame: SourceFrame, size: tuple[int, int], types: Mapping[str, str], notes: Notes
) -> KittiObjects:
    """Returns the objects of a frame with mapped types and boxes in pixels inside the picture.

    Args:
        frame: as it was read.
        size: width and height of its picture.
        types: type to write, by type of the source.
        notes: takes boxes that were clipped, and those left out since nothing is left of them.

    Raises:
        ValueError: a coordinate is not finite; names the frame.
    """
    objects = frame.objects
    width, height = size
    scale = (width, height, width, height) if frame.normalised else (1, 1, 1, 1)
    is_number = (np.abs(objects.boxes_xyxy) <= _LARGEST).all(axis=1)
    if not is_number.all():
        first = int(np.argmin(is_number))
        raise ValueError(
            f"{one_line(frame.name)}: the box of object {first + 1} is "
            f"{' '.join(f'{side:g}' for side in objects.boxes_xyxy[first])}; it needs numbers"
        )
    boxes = np.round(objects.boxes_xyxy * scale, frame.decimals)
    has_area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    clipped = np.clip(boxes, 0, (width, height, width, height))
    inside = (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    cut = (np.abs(clipped - boxes) > _UNSEEN).any(axis=1)
    for index in np.flatnonzero(~has_area | cut):
        box = " ".join(f"{side:g}" for side in boxes[index])
        named = f"{frame.name} {objects.types[index]} {box}"
        if not has_area[index]:
            notes.add("boxes without area were left out", named)
        elif not inside[index]:
            notes.add("boxes outside of their picture were left out", named)
        else:
            notes.add("boxes were clipped at the border of their picture", named)
    names = np.array([types[str(name)] for name in objects.types], dtype=str)
    return replace(objects, types=names, boxes_xyxy=clipped)[has_area & inside]


def _is_utf8(name: str) -> bool:
    """Whether a file can hold it: JSON can spell halves of characters."""
    return not any("\ud800" <= mark <= "\udfff" for mark in name)


def _word(name: str) -> str:
    """Returns a name as one word that may be a class of a training."""
    return "_".join(re.split(r"[\s/,]+", name.strip()))
