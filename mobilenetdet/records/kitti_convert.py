"""KITTI folders to TFRecord shards."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mobilenetdet.files.folder_lock import folder_lock
from mobilenetdet.kitti.labels import KittiObjects, read_objects
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.records.detection_record import RecordFrame, frame_features
from mobilenetdet.records.encoded_image import UPRIGHT, decode_image, image_header
from mobilenetdet.records.kitti_frames import (
    ASK_ORIENTATION,
    FoundFrames,
    FrameSource,
    Unlabelled,
    find_frames,
    refuse_turned_images,
)
from mobilenetdet.records.manifest import Manifest
from mobilenetdet.records.shard_writer import (
    EncodedRecord,
    ShardOptions,
    ShardProgress,
    SplitRecords,
    write_shards,
)
from mobilenetdet.records.tfrecord import encode_example

# What the labels of images with an EXIF orientation are meant for.
ExifOrientation = Literal["obey", "ignore"]


@dataclass(frozen=True)
class ConversionOptions(ShardOptions):
    """How records are written; the defaults keep every byte of the images.

    Attributes:
        jpeg_quality: 1 to 100 re-encodes every image as JPEG; None copies the files' bytes.
        sha256: adds image/key/sha256, which doubles the time.
        unlabelled: whether images without label file are left out, taken for frames in which
            nothing is, or refused.
        skip_missing_images: leaves out frames without image instead of refusing them.
        exif_orientation: what the labels of turned images are meant for; see `read_source`.
    """

    jpeg_quality: int | None = None
    sha256: bool = False
    unlabelled: Unlabelled = "error"
    skip_missing_images: bool = False
    exif_orientation: ExifOrientation | None = None

    def __post_init__(self) -> None:
        """Checks the ranges."""
        super().__post_init__()
        self._check("jpeg_quality", 100)

    @property
    def record_options(self) -> dict[str, int | bool | str | None]:
        """The options that change the records themselves."""
        options: dict[str, int | bool | str | None] = {}
        options |= {"jpeg_quality": self.jpeg_quality, "sha256": self.sha256}
        # Left out where it says nothing, so that earlier records are still known as complete.
        if self.exif_orientation is not None:
            options["exif_orientation"] = self.exif_orientation
        return options


def convert_split(
    layout: KittiLayout,
    split: str,
    output_dir: str | os.PathLike[str],
    options: ConversionOptions | None = None,
    *,
    found: FoundFrames | None = None,
    progress: ShardProgress | None = None,
    on_objects: Callable[[str, KittiObjects], None] | None = None,
) -> tuple[Manifest, int]:
    """Writes the records of one split, or what is missing of them; see `write_shards`.

    Args:
        layout: the KITTI folder.
        split: name of the list of frames, `train` for train.txt.
        output_dir: folder for the shards; made if it is not there.
        options: how to write them.
        found: what `find_frames` has found of the split, if it was called before.
        progress: called on the way.
        on_objects: called with the id and the objects of each frame that is written, from threads.

    Returns:
        The manifest, and the number of shards that were kept from an earlier call.

    Raises:
        FileExistsError: another process is writing in the folder, or a file of another is in the
            way.
        FileNotFoundError: no list of frames, or frames without image or label; names the first 20.
        ValueError: a damaged image or label file.
    """
    options = options or ConversionOptions()
    sources, num_skipped = found or find_frames(
        layout,
        split,
        unlabelled=options.unlabelled,
        skip_missing_images=options.skip_missing_images,
    )
    if options.exif_orientation is None:
        refuse_turned_images(sources)

    def encode(source: FrameSource) -> EncodedRecord:
        """Makes the record of a frame, and hands on its objects."""
        frame = read_source(source, options.jpeg_quality, options.exif_orientation)
        if on_objects is not None:
            on_objects(frame.frame_id, frame.objects)
        parts = encode_example(frame_features(frame, sha256=options.sha256))
        return EncodedRecord(source.frame_id, parts, len(frame.objects))

    dataset = str(layout.root.resolve())
    records = SplitRecords(split, sources, encode, options.record_options, num_skipped, dataset)
    with folder_lock(Path(output_dir)):
        return write_shards(records, Path(output_dir), options, progress or ShardProgress())


def read_source(
    source: FrameSource,
    jpeg_quality: int | None = None,
    exif_orientation: ExifOrientation | None = None,
) -> RecordFrame:
    """Reads image and label of a frame; the image's size comes from its header.

    Args:
        source: the files.
        jpeg_quality: re-encodes the image as JPEG; None keeps its bytes and decodes nothing, unless
            the image is turned: that one is written upright, as PNG, so that no decoder turns it.
        exif_orientation: whether the labels are meant for the picture as its EXIF orientation turns
            it (obey), or for the pixels as they are stored (ignore).

    Raises:
        ValueError: image or label are damaged; names the file.
    """
    with open(source.image_path, "rb", buffering=0) as file:
        encoded = file.read()
    header = image_header(encoded, source.image_path)
    image_format, height, width = header[:3]
    if header.orientation != UPRIGHT or jpeg_quality is not None:
        obey = _obeys_orientation(header.orientation, exif_orientation, source.image_path)
        image = decode_image(encoded, source.image_path, obey_orientation=obey)
        height, width = image.shape[:2]
        image_format = "png" if jpeg_quality is None else "jpeg"
        encoded = _encode(image, jpeg_quality)
    if source.label_path:
        objects = read_objects(source.label_path, with_scores=False)
    else:
        objects = KittiObjects.empty()
    return RecordFrame(source.frame_id, encoded, image_format, height, width, objects)


def _obeys_orientation(orientation: int, asked: ExifOrientation | None, source: str) -> bool:
    """Whether the labels of an image are meant for its pixels as its EXIF orientation turns them.

    Raises:
        ValueError: it is turned, and nobody has said.
    """
    if orientation != UPRIGHT and asked is None:
        raise ValueError(
            f"{source}: turned by its EXIF orientation {orientation}; {ASK_ORIENTATION}"
        )
    return asked != "ignore"


def _encode(image_rgb: np.ndarray, jpeg_quality: int | None) -> bytes:
    import cv2  # not at the top, as in `decode_image`

    image_bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    if jpeg_quality is None:
        return cv2.imencode(".png", image_bgr)[1].tobytes()
    return cv2.imencode(".jpg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])[1].tobytes()
