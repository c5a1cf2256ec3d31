"""One classified image as one TFRecord, and the list of classes beside the records.

The keys are those of the Inception tutorial's ImageNet records.

| key | type | content |
|---|---|---|
| image/encoded | bytes | JPEG, as it lies on disk if it is one with 1 or 3 channels |
| image/format, image/colorspace | bytes | JPEG, RGB |
| image/height, image/width, image/channels | int64 | pixels; 3 |
| image/filename | bytes | n01440764_18.JPEG |
| image/class/label | int64 | 1 for the first class; 0 is the tutorial's background |
| image/class/synset | bytes | name of the class folder: n01440764 |
| image/class/text | bytes | readable name of the class: tench, Tinca tinca |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from mobilenetdet.classification.image_folders import ImageSource
from mobilenetdet.files.atomic_write import atomic_write
from mobilenetdet.files.text import read_text
from mobilenetdet.records.encoded_image import decode_image, image_header
from mobilenetdet.records.tfrecord import FeatureValue

if TYPE_CHECKING:
    import tensorflow as tf

# Beside the records: a line a class, in the order of the labels.
LABELS_FILE = "labels.txt"
# The quality of the tutorial: what is re-encoded should not look it.
_JPEG_QUALITY = 100
_JPEG_START, _PNG_START = b"\xff\xd8", b"\x89PNG"


@dataclass(frozen=True)
class ClassImage:
    """An image as it goes into a record.

    Attributes:
        encoded: JPEG with 1 or 3 channels.
        height: pixels.
        width: pixels.
        converted_from: what it was if it was re-encoded, such as "PNG" or "CMYK JPEG".
    """

    encoded: bytes
    height: int
    width: int
    converted_from: str | None = None


def read_class_image(source: ImageSource) -> ClassImage:
    """Reads an image; all that is not a grey or colour JPEG is re-encoded as one.

    Every image is decoded once, so that a damaged one is found here and not in training.

    Raises:
        ValueError: the image is damaged or cut off; names the file.
    """
    encoded, name = source.read(), str(source)
    if not encoded.startswith((_JPEG_START, _PNG_START)):
        return _reencode(encoded, name, "another format")
    header = image_header(encoded, name)  # finds the cut-off ones, which decode in part
    if header.format == "png":
        return _reencode(encoded, name, "PNG")
    if header.mode == "CMYK":
        return _reencode(encoded, name, "CMYK JPEG")
    decode_image(encoded, name)
    return ClassImage(encoded, header.height, header.width)


def class_features(
    image: ClassImage, source: ImageSource, *, label: int, text: str
) -> dict[str, FeatureValue]:
    """Returns the features of an image by key.

    Args:
        image: its pixels.
        source: its file name and class.
        label: 0 for the first class; stored as 1.
        text: readable name of the class.
    """
    return {
        "image/height": image.height,
        "image/width": image.width,
        "image/colorspace": b"RGB",
        "image/channels": 3,
        "image/class/label": label + 1,
        "image/class/synset": source.class_name.encode(),
        "image/class/text": text.encode(),
        "image/format": b"JPEG",
        "image/filename": source.name.encode(),
        "image/encoded": image.encoded,
    }


def parse_class_record(serialized: tf.Tensor, num_classes: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Parses one record in a tf.data pipeline.

    Args:
        serialized: scalar string, one `tf.train.Example`.
        num_classes: labels above it are refused.

    Returns:
        The encoded image, scalar string, and its label, scalar int32, 0 for the first class.
    """
    # Not at the top: the conversion would wait seconds for what it does not use.
    import tensorflow as tf

    features = tf.io.parse_single_example(
        serialized,
        {
            "image/encoded": tf.io.FixedLenFeature([], tf.string),
            "image/class/label": tf.io.FixedLenFeature([], tf.int64),
        },
    )
    label = tf.cast(features["image/class/label"], tf.int32)
    message = (
        "a label of the records is not in 1 to data.num_classes; set --data.num_classes to the "
        "number of their classes"
    )
    with tf.control_dependencies(
        [tf.debugging.Assert((label >= 1) & (label <= num_classes), [message, label])]
    ):
        return features["image/encoded"], label - 1


def numbered_classes(count: int) -> tuple[str, ...]:
    """Returns what classes without names are called: 1, 2 and so on, as the tutorial's labels."""
    return tuple(str(number) for number in range(1, count + 1))


def read_labels(records_dir: Path) -> dict[str, str] | None:
    """Returns the readable name of each class by its folder name, in the order of the labels.

    None where there is no list, as beside the records of the Inception tutorial.

    Raises:
        ValueError: a class stands there twice.
    """
    path = records_dir / LABELS_FILE
    if not path.is_file():
        return None
    labels: dict[str, str] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        name, _, text = line.partition("\t")
        if not name or name in labels:
            raise ValueError(f"{path}:{number}: {line!r} is empty or repeated; convert again")
        labels[name] = text or name
    return labels


def write_labels(records_dir: Path, labels: Mapping[str, str]) -> None:
    """Writes labels.txt beside the records."""
    with atomic_write(records_dir / LABELS_FILE) as temporary:
        lines = [f"{name}\t{text}\n" for name, text in labels.items()]
        temporary.write_text("".join(lines), encoding="utf-8")


def name_classes(names: Sequence[str], words: Path | None) -> dict[str, str]:
    """Returns the readable name of each class.

    Args:
        names: of the classes.
        words: text file with a line a class: its name, a space or tab, its readable name, as
            imagenet_metadata.txt and LOC_synset_mapping.txt have it; None leaves the names.

    Raises:
        ValueError: the file lacks a class.
    """
    if words is None:
        return {name: name for name in names}
    lines = [line.split(maxsplit=1) for line in read_text(words).splitlines()]
    known = {parts[0]: parts[1].strip() for parts in lines if len(parts) == 2}
    missing = [name for name in names if name not in known]
    if missing:
        raise ValueError(f"{words} lacks {len(missing)} classes, the first is {missing[0]}")
    return {name: known[name] for name in names}


def _reencode(encoded: bytes, source: str, kind: str) -> ClassImage:
    image_bgr = cv2.cvtColor(decode_image(encoded, source), cv2.COLOR_RGB2BGR)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    jpeg = cv2.imencode(".jpg", image_bgr, quality)[1].tobytes()
    height, width = image_bgr.shape[:2]
    return ClassImage(jpeg, height, width, converted_from=kind)
