"""Records of the TensorFlow Object Detection API, as its own scripts write them.

Keys: image/encoded, image/filename, image/source_id, image/object/bbox/{xmin,xmax,ymin,ymax} in
shares, image/object/class/{text,label}, and image/object/{difficult,truncated,occluded,is_crowd,
group_of} where the script has them (object_detection/dataset_tools/create_*_tf_record.py). Numbers
of classes without names need a label map: item { id: 1 name: 'Car' }.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from google.protobuf.text_encoding import CUnescape

from mobilenetdet.config.type_names import DONT_CARE_TYPE
from mobilenetdet.files.text import read_text
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.label_formats.frame_names import split_names
from mobilenetdet.label_formats.source_frame import (
    OCCLUDED_FLAG,
    TOO_HARD,
    TRUNCATED_FLAG,
    EmbeddedPicture,
    ImportOptions,
    Notes,
    SourceFrame,
    make_objects,
    read_attributes,
)
from mobilenetdet.records.record_names import NUMBER, is_record_file
from mobilenetdet.records.tfrecord import Features, decode_example, read_records

_OBJECT = "image/object"
_SIDES = tuple(f"{_OBJECT}/bbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax"))
# KITTI's columns by the keys of our own records, which are read back with all that they hold.
_COLUMNS = {
    f"{_OBJECT}/alpha": "alpha",
    **{f"{_OBJECT}/3d_bbox/{side}": f"{side}_m" for side in ("height", "width", "length")},
    **{f"{_OBJECT}/3d_bbox/{axis}": f"{axis}_m" for axis in "xyz"},
    f"{_OBJECT}/3d_bbox/rot_y": "rotation_y",
}
# As our own records are read: shares are float32.
_BOX_DECIMALS, _DECIMALS = 3, 4
# Bytes of a file around the payload of a record: length and checksums.
_BEFORE, _BEHIND = 12, 4
_REGIONS = {"is_crowd": "crowds", "group_of": "groups"}
# train.record, train.tfrecord-00000-of-00010, train_003.tfrecord; train-00000-of-00010.
_RECORDS = re.compile(rf"(?P<split>.*?)[._-]?(tf_?)?record(s)?({NUMBER})?", re.I)
_NUMBERED = re.compile(rf"(?P<split>.*?){NUMBER}")
_ONE_OF_MANY = re.compile(r"(?P<set>.+?)[-_]\d+[-_]of[-_](?P<count>\d+)(\..*)?")
# Of the number of a class.
_MAX_DIGITS = 9
# Of a side of a box; one that leads over the border is not meant to be larger.
_LARGEST_SHARE = 10.0
# A text of a label map, and what stands between two of them.
_TEXT = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
_COMMENT = re.compile(rf"({_TEXT})|#.*")
_ITEM = re.compile(rf"\bitem\s*(?::\s*)?\{{((?:[^{{}}\"']|{_TEXT})*)\}}")
# Within an item, such as keypoints, which have ids as well.
_INNER = re.compile(rf"\b(?!item\b)\w+\s*(?::\s*)?\{{(?:[^{{}}\"']|{_TEXT})*\}}")
_FIELD = re.compile(rf"\b(?P<key>id|name|display_name)\s*:\s*(?P<value>{_TEXT}|\d+)")


def read_tf_records(source: Path, options: ImportOptions, notes: Notes) -> list[SourceFrame]:
    """Reads TFRecord files; the pictures are read once more when they are written.

    `difficult` objects get KITTI's occlusion 3, with which they do not count; crowds and groups
    are DontCare.

    Args:
        source: a file, a folder of such, or of folders train, valid, test with such.
        options: for the label map.
        notes: takes what was changed or left out.

    Raises:
        FileNotFoundError: there are no records.
        ValueError: a file is damaged or holds other records; names it.
    """
    stems = find_record_files(source)
    if not stems:
        raise FileNotFoundError(f"{source} holds no TFRecord files (*.record, *.tfrecord*)")
    if source.is_dir():
        _note_absent(stems, notes)
    names = {} if options.label_map is None else read_label_map(options.label_map)
    usual = split_names(filter(None, stems.values()))
    frames = []
    for path in stems:
        parts = (usual[stems[path]],) if stems[path] else ()
        position = 0
        for index, payload in enumerate(read_records(path)):
            where = f"{path.name}, record {index}"
            picture = EmbeddedPicture(path, position + _BEFORE, len(payload), _unpack_picture)
            try:
                features = decode_example(payload)
                frame = _read_frame(features, picture, parts, names, where=where, notes=notes)
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from None
            frames.append(frame)
            position += _BEFORE + len(payload) + _BEHIND
    return frames


def find_record_files(source: Path) -> dict[Path, str]:
    """Returns TFRecord files by their names, and the part of the data set that each is of.

    In a folder of folders (`train/Cars.tfrecord`, as Roboflow writes it) these name the parts.
    """
    if source.is_file():
        return {source: _stem(source.name)}
    files = sorted(filter(is_record_file, source.glob("*")))
    if files:
        return {path: _stem(path.name) for path in files}
    return {path: path.parent.name for path in sorted(filter(is_record_file, source.glob("*/*")))}


def _note_absent(paths: Iterable[Path], notes: Notes) -> None:
    """Notes sets of which fewer files are there than their names say, as after half a copy."""
    matches = ((path.parent, _ONE_OF_MANY.fullmatch(path.name)) for path in paths)
    found = Counter((folder, m["set"], m["count"]) for folder, m in matches if m)
    for (_, name, count), number in found.items():
        if number < int(count):
            what = f"{name}-*-of-{count}: {number:,} of {int(count):,}"
            notes.add("sets of files are not all there", what)


def _unpack_picture(payload: bytes) -> bytes:
    return _strings(decode_example(payload), "image/encoded")[0]


def read_label_map(path: Path) -> dict[int, str]:
    """Reads the names of classes by their numbers.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no label map; names it.
    """
    text = _COMMENT.sub(lambda match: match[1] or "", read_text(path, "label map"))
    names: dict[int, str] = {}
    for item in _ITEM.finditer(_INNER.sub("", text)):
        fields = {m["key"]: _unquoted(m["value"], path) for m in _FIELD.finditer(item[1])}
        # COCO's map has codes for names (/m/01g317), and people's names beside them.
        name = fields.get("display_name") or fields.get("name")
        number = fields.get("id") or ""
        if not name or not number.isdecimal() or len(number) > _MAX_DIGITS:
            words = " ".join(item[1].split())[:80]
            raise ValueError(f"{path}: an item without id or name: {words}")
        if names.setdefault(int(number), name) != name:
            raise ValueError(
                f"{path}: class {number} is {names[int(number)]} and {name}; take one of them out"
            )
    if not names:
        raise ValueError(f"{path} holds no item {{ id: 1 name: 'Car' }}; is this a label map?")
    return names


def _unquoted(value: str, path: Path) -> str:
    """Returns a text as it is meant: protobuf writes letters beyond ASCII as octal numbers."""
    text = value[1:-1] if value[0] in "\"'" else value
    if "\\" not in text:
        return text
    try:
        return CUnescape(text).decode()
    except ValueError:
        raise ValueError(f"{path}: {text!r} is no text of a label map; write \\ as \\\\") from None


def _stem(name: str) -> str:
    """Returns the part of the data set that a file is named after.

    Example: "train.record-00000-of-00010", "train-00000-of-00010" and "train_003.tfrecord" are of
    train.
    """
    match = _RECORDS.fullmatch(name) or _NUMBERED.fullmatch(name)
    return re.sub(r"[-_]\d+([-_]of[-_]\d+)?$", "", match["split"]) if match else ""


def _read_frame(
    features: Features,
    picture: EmbeddedPicture,
    parts: tuple[str, ...],
    names: Mapping[int, str],
    *,
    where: str,
    notes: Notes,
) -> SourceFrame:
    encoded = _strings(features, "image/encoded")
    if len(encoded) != 1 or not encoded[0]:
        raise ValueError("no picture in image/encoded; are these records for detection?")
    found = (_strings(features, f"image/{key}") for key in ("filename", "source_id"))
    name = next((texts[0].decode(errors="replace") for texts in found if texts and texts[0]), "")
    name = name.replace("\\", "/").rpartition("/")[2] or where.replace(", record ", "_")
    boxes = [_numbers(features, key) for key in _SIDES]
    if len({len(side) for side in boxes}) != 1:
        raise ValueError("sides of boxes are of different numbers of objects")
    for key, side in zip(_SIDES, boxes, strict=True):
        pixels = side[(np.abs(side) > _LARGEST_SHARE) & np.isfinite(side)]
        if len(pixels):
            raise ValueError(
                f"{key} is {pixels[0]:g}; it must be a share of width or height, 0 to 1: divide "
                "pixels by them"
            )
    objects = _read_objects(features, np.stack(boxes, axis=1), names, name, notes=notes)
    return SourceFrame(name, picture, objects, parts, normalised=True, decimals=_BOX_DECIMALS)


def _read_objects(
    features: Features, boxes: np.ndarray, names: Mapping[int, str], where: str, *, notes: Notes
) -> KittiObjects:
    types = _types(features, len(boxes), names, where, notes=notes)
    columns: dict[str, np.ndarray] = {}
    for key, column in _COLUMNS.items():
        values = _numbers(features, key)
        if len(values) == len(boxes):
            columns[column] = np.round(values, _DECIMALS)
    # Whole numbers are flags, real ones KITTI's shares; our own records have `occluded` of KITTI.
    is_own = f"{_OBJECT}/alpha" in features
    for key, flag in (("truncated", TRUNCATED_FLAG), ("occluded", OCCLUDED_FLAG)):
        raw = features.get(f"{_OBJECT}/{key}")
        if isinstance(raw, np.ndarray) and len(raw) == len(boxes):
            is_flag = raw.dtype.kind == "i" and not is_own
            values = np.round(raw.astype(np.float64), _DECIMALS)
            columns[key] = np.where(values > 0, flag, 0.0) if is_flag else values
    attributes = [
        read_attributes(
            {key: float(values[index]) for key, values in columns.items()}, notes, where
        )
        for index in range(len(boxes))
    ]
    for index in np.flatnonzero(_flags(features, "difficult", len(boxes))):
        notes.add("difficult objects do not count (occlusion 3)", where)
        attributes[index]["occluded"] = TOO_HARD
    for key, what in _REGIONS.items():
        for index in np.flatnonzero(_flags(features, key, len(boxes))):
            notes.add(f"{what} ({key}) became {DONT_CARE_TYPE} regions of all classes", where)
            types[index], attributes[index] = DONT_CARE_TYPE, {}
    return make_objects(types, boxes, attributes)


def _types(
    features: Features, count: int, names: Mapping[int, str], where: str, *, notes: Notes
) -> list[str]:
    texts = _strings(features, f"{_OBJECT}/class/text")
    labels = _numbers(features, f"{_OBJECT}/class/label").tolist()
    has_texts = len(texts) == count and all(texts)
    if has_texts and not (names and len(labels) == count):
        return [_utf8(text) for text in texts]
    if len(labels) != count:
        raise ValueError(f"{count} boxes, {len(texts)} names and {len(labels)} numbers of classes")
    if not names:
        raise ValueError("classes have numbers and no names; name them with --label_map FILE.pbtxt")
    if unknown := sorted(set(labels) - set(names)):
        raise ValueError(f"class {unknown[0]:g} is not in the label map")
    types = [names[int(label)] for label in labels]
    for text, name in zip(texts, types, strict=True) if has_texts else ():
        if text != name.encode():
            what = "names of the label map were taken, not those in the records"
            notes.add(what, f"{where}: {name}, not {text.decode(errors='replace')}")
    return types


def _utf8(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise ValueError(
            f"the name of a class is {text!r}, which is no UTF-8 text; write it so, or name the "
            "numbers of classes with --label_map FILE.pbtxt"
        ) from None


def _flags(features: Features, key: str, count: int) -> np.ndarray:
    values = _numbers(features, f"{_OBJECT}/{key}")
    return values > 0 if len(values) == count else np.zeros(count, bool)


def _numbers(features: Features, key: str) -> np.ndarray:
    values = features.get(key)
    return values.astype(np.float64) if isinstance(values, np.ndarray) else np.empty(0)


def _strings(features: Features, key: str) -> Sequence[bytes]:
    values = features.get(key)
    return values if isinstance(values, list) else []
