"""One frame as one TFRecord: the keys, writing and reading.

Keys and types are those of the TensorFlow Object Detection API and of its KITTI converter, with
`occluded` added. N objects stand in the order of the label file, DontCare included.

| key | type | content |
|---|---|---|
| image/encoded | bytes | PNG or JPEG as it lies on disk, or re-encoded as JPEG |
| image/format | bytes | png or jpeg |
| image/height, image/width | int64 | pixels, from the image's header |
| image/filename | bytes | 000000.png |
| image/source_id | bytes | frame id: 000000 |
| image/key/sha256 | bytes | hash of image/encoded in hex; only where it was asked for |
| image/object/bbox/{xmin,ymin,xmax,ymax} | float [N] | divided by width and height, never clipped |
| image/object/class/text | bytes [N] | type as the label file spells it |
| image/object/class/label | int64 [N] | `class_ids`, whatever the case of the type |
| image/object/truncated | float [N] | 0 to 1, -1 unknown |
| image/object/occluded | int64 [N] | 0 to 3, -1 unknown |
| image/object/alpha | float [N] | radians, -10 unknown |
| image/object/3d_bbox/{height,width,length} | float [N] | metres, -1 unknown |
| image/object/3d_bbox/{x,y,z} | float [N] | metres in camera coordinates, -1000 unknown |
| image/object/3d_bbox/rot_y | float [N] | radians, -10 unknown |

A type is known by its name, whatever it is: nothing here or later reads its number, which is there
for other programs. KITTI's types have fixed numbers, any other has one that is made of its name.

Real numbers are float32, as the API has it. That keeps a coordinate of a frame up to 8,000 pixels
wide to within 0.0005 pixels, so `decode_record` rounds to three decimals and returns KITTI's two
as they were.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from mobilenetdet.config.type_names import KITTI_TYPES, MAX_NAME, NAME_RULE, is_type_name
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.kitti.layout import check_frame_id
from mobilenetdet.kitti.value_checks import check_boxes
from mobilenetdet.records.tfrecord import (
    FeatureValue,
    decode_example,
    numbers_of,
    only_one,
    read_records,
    texts_of,
)

# Ids of image/object/class/label: 1 to 9 in this order. 0 stays free: it is the API's background.
CLASS_IDS = {name: class_id for class_id, name in enumerate(KITTI_TYPES, 1)}
_ID_OF = {name.lower(): class_id for name, class_id in CLASS_IDS.items()}
# Ids of other types: from the first on, as many as an int32 leaves room for.
_FIRST_OTHER_ID, _NUM_OTHER_IDS = 10, 2**30
_SUFFIXES = {"png": ".png", "jpeg": ".jpg"}
# Formats of images have no longer sides.
_MAX_SIDE = 2**31 - 1
_BOX_KEYS = tuple(f"image/object/bbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax"))
_DIMENSION_KEYS = tuple(f"image/object/3d_bbox/{name}" for name in ("height", "width", "length"))
_LOCATION_KEYS = tuple(f"image/object/3d_bbox/{axis}" for axis in "xyz")
_TRUNCATED, _OCCLUDED = "image/object/truncated", "image/object/occluded"
_ALPHA, _ROTATION = "image/object/alpha", "image/object/3d_bbox/rot_y"
# The real columns in the order in which `_real_columns` stacks them.
_REAL_KEYS = (*_BOX_KEYS, _TRUNCATED, _ALPHA, *_DIMENSION_KEYS, *_LOCATION_KEYS, _ROTATION)
_TEXT, _LABEL = "image/object/class/text", "image/object/class/label"
_BOX_DECIMALS, _OTHER_DECIMALS = 3, 4


@dataclass(frozen=True, eq=False)
class RecordFrame:
    """One frame as its record holds it.

    Attributes:
        frame_id: KITTI's number of the frame, `000000`.
        encoded: the image file's bytes.
        format: png or jpeg.
        height: of the image, pixels.
        width: of the image, pixels.
        objects: the N objects of the label file in its order, DontCare included.
    """

    frame_id: str
    encoded: bytes
    format: str
    height: int
    width: int
    objects: KittiObjects


def frame_features(frame: RecordFrame, *, sha256: bool = False) -> dict[str, FeatureValue]:
    """Returns the features of a frame by key; the image is not copied.

    Args:
        frame: the frame.
        sha256: adds `image/key/sha256`. It costs more than all else that is done to a frame.

    Raises:
        ValueError: the format is neither png nor jpeg.
    """
    if frame.format not in _SUFFIXES:
        raise ValueError(f"frame {frame.frame_id}: format {frame.format!r}, expected png or jpeg")
    objects = frame.objects
    frame_id = frame.frame_id.encode()
    features: dict[str, FeatureValue] = {
        "image/height": frame.height,
        "image/width": frame.width,
        "image/filename": frame_id + _SUFFIXES[frame.format].encode(),
        "image/source_id": frame_id,
        "image/format": frame.format.encode(),
        _TEXT: [str(name).encode() for name in objects.types],
        _LABEL: class_ids(objects.types),
        _OCCLUDED: objects.occluded,
    }
    columns = _real_columns(objects, frame.height, frame.width)
    features.update(zip(_REAL_KEYS, columns, strict=True))
    if sha256:
        features["image/key/sha256"] = hashlib.sha256(frame.encoded).hexdigest().encode()
    features["image/encoded"] = frame.encoded
    return features


def class_ids(types: Iterable[str]) -> np.ndarray:
    """Returns the ids [N] int64 of type names, whatever their case.

    Those of KITTI's types are in `CLASS_IDS`. Any other is 10 or more: 10 + the CRC-32 of the name
    in lower case, modulo 2**30, so that it is the same in all records.

    Example: `class_ids(["car", "Scooter"])` is [1, 64102549].
    """
    return np.array([_class_id(name.lower()) for name in types], np.int64)


def _class_id(lowered: str) -> int:
    if lowered in _ID_OF:
        return _ID_OF[lowered]
    return _FIRST_OTHER_ID + zlib.crc32(lowered.encode()) % _NUM_OTHER_IDS


def decode_record(payload: bytes) -> RecordFrame:
    """Reads the record of one frame without TensorFlow.

    Raises:
        ValueError: the payload is not an Example, lacks a key, or its frame id would be a path.
    """
    features = decode_example(payload)
    encoded, image_format, frame_id = (
        only_one(texts_of(features, f"image/{key}"), key)
        for key in ("encoded", "format", "source_id")
    )
    height, width = (
        int(only_one(numbers_of(features, f"image/{key}", "i"), key)) for key in ("height", "width")
    )
    if not (0 < height <= _MAX_SIDE and 0 < width <= _MAX_SIDE):
        raise ValueError(f"a record of an image of {width}x{height} pixels; convert the data again")
    if image_format.decode(errors="replace") not in _SUFFIXES:
        raise ValueError(f"a record with an image of format {image_format!r}, not png or jpeg")
    return RecordFrame(
        check_frame_id(frame_id.decode(), "a record"),
        encoded,
        image_format.decode(),
        height,
        width,
        _decode_objects(features, height, width),
    )


def read_frames(paths: Iterable[str | os.PathLike[str]]) -> Iterator[RecordFrame]:
    """Yields the frames of TFRecord files in their order; see `shards.shard_paths`.

    Raises:
        ValueError: a file is damaged or holds other records; names the file.
    """
    for path in paths:
        for payload in read_records(path):
            try:
                yield decode_record(payload)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None


def _real_columns(objects: KittiObjects, height: int, width: int) -> np.ndarray:
    """Returns the real fields [13, N] in the order of `_REAL_KEYS`, boxes normalised."""
    columns = np.empty((len(_REAL_KEYS), len(objects)), np.float32)
    columns[:4] = (objects.boxes_xyxy / (width, height, width, height)).T
    columns[4] = objects.truncated
    columns[5] = objects.alpha
    columns[6:9] = objects.dimensions_hwl.T
    columns[9:12] = objects.locations_xyz.T
    columns[12] = objects.rotation_y
    return columns


def _decode_objects(features: dict, height: int, width: int) -> KittiObjects:
    reals = [numbers_of(features, key, "f") for key in _REAL_KEYS]
    names, occluded = texts_of(features, _TEXT), numbers_of(features, _OCCLUDED, "i")
    if len({*map(len, reals), len(names), len(occluded)}) > 1:
        raise ValueError("a record whose features are not of the same objects; convert again")
    columns = np.stack(reals).astype(np.float64)  # [13, N]
    boxes = columns[:4].T * (width, height, width, height)
    if not np.isfinite(columns).all():
        raise ValueError("a record with a number that is not finite; convert the data again")
    check_boxes(boxes, "a record")
    types = [name.decode() for name in names]
    if unnamed := [name for name in types if not is_type_name(name)]:
        raise ValueError(f"a record with the type {unnamed[0][:MAX_NAME]!r}; {NAME_RULE}")
    columns = np.round(columns, _OTHER_DECIMALS)
    return KittiObjects(
        types=np.array(types, dtype=str),
        truncated=columns[4],
        occluded=occluded,
        alpha=columns[5],
        boxes_xyxy=np.round(boxes, _BOX_DECIMALS),
        dimensions_hwl=columns[6:9].T,
        locations_xyz=columns[9:12].T,
        rotation_y=columns[12],
    )
