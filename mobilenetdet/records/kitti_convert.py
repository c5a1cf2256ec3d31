"""KITTI folders to TFRecord shards."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from mobilenetdet.folder_lock import folder_lock
from mobilenetdet.kitti.format_hints import known_id_hint
from mobilenetdet.kitti.labels import KittiObjects, read_objects
from mobilenetdet.kitti.layout import KittiLayout, image_names
from mobilenetdet.records.detection_record import RecordFrame, frame_features
from mobilenetdet.records.encoded_image import UPRIGHT, decode_image, image_header
from mobilenetdet.records.shard_writer import (
    EncodedRecord,
    ShardOptions,
    ShardProgress,
    SplitRecords,
    write_shards,
)
from mobilenetdet.records.shards import Manifest
from mobilenetdet.records.tfrecord import encode_example

_MAX_LISTED_FRAMES = 20
_MAX_NAMED_IMAGES = 3
# Of a file, in which its EXIF data begin if it has any.
_HEADER_BYTES = 4096
# What the labels of images with an EXIF orientation are meant for.
ExifOrientation = Literal["obey", "ignore"]
_ASK_ORIENTATION = (
    "say what their labels are meant for: --exif_orientation obey for the pictures as viewers show "
    "them, ignore for the pixels as they are stored"
)


@dataclass(frozen=True)
class ConversionOptions(ShardOptions):
    """How records are written; the defaults keep every byte of the images.

    Attributes:
        jpeg_quality: 1 to 100 re-encodes every image as JPEG; None copies the files' bytes.
        sha256: adds image/key/sha256, which doubles the time.
        skip_missing: leaves out frames without image or label instead of refusing them.
        missing_labels_are_empty: frames with an image and no label have no object in them.
        exif_orientation: what the labels of turned images are meant for; see `read_source`.
    """

    jpeg_quality: int | None = None
    sha256: bool = False
    skip_missing: bool = False
    missing_labels_are_empty: bool = False
    exif_orientation: ExifOrientation | None = None

    def __post_init__(self) -> None:
        """Checks the ranges."""
        super().__post_init__()
        self._check("jpeg_quality", 100)

    @property
    def record_options(self) -> dict[str, int | bool | str | None]:
        """The options that change the records themselves."""
        options = {"jpeg_quality": self.jpeg_quality, "sha256": self.sha256}
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
    progress: ShardProgress | None = None,
) -> tuple[Manifest, int]:
    """Writes the records of one split, or what is missing of them; see `write_shards`.

    Args:
        layout: the KITTI folder.
        split: name of the list of frames, `train` for ImageSets/train.txt.
        output_dir: folder for the shards; made if it is not there.
        options: how to write them.
        progress: called on the way.

    Returns:
        The manifest, and the number of shards that were kept from an earlier call.

    Raises:
        FileExistsError: another process is writing in the folder, or a file of another is in the
            way.
        FileNotFoundError: no list of frames, or frames without image or label; names the first 20.
        ValueError: a damaged image or label file.
    """
    options = options or ConversionOptions()
    sources, num_skipped = find_sources(
        layout,
        split,
        skip_missing=options.skip_missing,
        missing_labels_are_empty=options.missing_labels_are_empty,
    )
    if options.exif_orientation is None:
        refuse_turned_images(sources)

    def encode(source: FrameSource) -> EncodedRecord:
        frame = read_source(source, options.jpeg_quality, options.exif_orientation)
        parts = encode_example(frame_features(frame, sha256=options.sha256))
        return EncodedRecord(source.frame_id, parts, len(frame.objects))

    dataset = str(layout.root.resolve())
    records = SplitRecords(split, sources, encode, options.record_options, num_skipped, dataset)
    with folder_lock(Path(output_dir)):
        return write_shards(records, Path(output_dir), options, progress or ShardProgress())


@dataclass(frozen=True)
class FrameSource:
    """The files of one frame, with their sizes and times to detect changes.

    Attributes:
        frame_id: KITTI's number of the frame.
        image_path: PNG or JPEG file.
        label_path: label file; empty for a frame that has none and needs none.
        state: size in bytes and time of change in ns of the image, then of the label.
    """

    frame_id: str
    image_path: str
    label_path: str
    state: tuple[int, int, int, int]

    @property
    def num_bytes(self) -> int:
        """Size of the image."""
        return self.state[0]

    @property
    def identity(self) -> tuple[str, str, tuple[int, int, int, int]]:
        """Everything that the record depends on."""
        return self.frame_id, os.path.basename(self.image_path), self.state


def find_sources(
    layout: KittiLayout,
    split: str,
    *,
    skip_missing: bool = False,
    missing_labels_are_empty: bool = False,
) -> tuple[list[FrameSource], int]:
    """Finds the files of the frames of a split.

    Args:
        layout: the KITTI folder.
        split: name of the list of frames, `train` for ImageSets/train.txt.
        skip_missing: leaves out frames without image or label.
        missing_labels_are_empty: keeps frames with an image and no label: nothing is in them.

    Returns:
        The frames in the order of the list, and how many were left out.

    Raises:
        FileNotFoundError: no list, or frames without image or label; names the first 20.
        ValueError: no frame is left.
    """
    frame_ids = layout.read_image_set(split)
    report = layout.check_frames(frame_ids)
    if missing_labels_are_empty:
        report = report.with_empty_labels(frame_ids)
    if report.num_incomplete and not skip_missing:
        lines = "\n".join(f"  {line}" for line in report.lines(_MAX_LISTED_FRAMES))
        there = layout.check_frames()
        hint = known_id_hint(report.missing_both, [*there.complete, *there.missing_labels])
        raise FileNotFoundError(
            f"{report.num_incomplete} of the {len(frame_ids)} frames of {split} "
            f"({layout.image_set_path(split)}) are incomplete in {layout.image_dir.parent}:\n"
            f"{lines}{hint}\nunpack them there, or leave them out with --skip_missing; if nothing "
            "is in the frames without label, write an empty label file for each, or say so with "
            "--missing_labels_are_empty"
        )
    if not report.complete:
        raise ValueError(f"{layout.image_set_path(split)} lists no frame with image and label")
    return _stat_frames(layout, report.complete), report.num_incomplete


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
            f"{source}: turned by its EXIF orientation {orientation}; {_ASK_ORIENTATION}"
        )
    return asked != "ignore"


def refuse_turned_images(sources: Sequence[FrameSource]) -> None:
    """Looks for EXIF orientations, which say that a picture is to be turned before it is shown.

    Raises:
        ValueError: there are some; names the first, and the option that says what they mean.
    """
    turned = []
    for source in sources:
        with open(source.image_path, "rb", buffering=0) as file:
            start = file.read(_HEADER_BYTES)
            # What no camera has touched has none: the header need not be taken apart.
            if b"Exif" not in start and b"eXIf" not in start:
                continue
            encoded = start + file.read()
        orientation = image_header(encoded, source.image_path).orientation
        if orientation != UPRIGHT:
            turned.append(f"{os.path.basename(source.image_path)} ({orientation})")
    if turned:
        more = ", ..." if len(turned) > _MAX_NAMED_IMAGES else ""
        raise ValueError(
            f"{len(turned):,} of {len(sources):,} images are turned by their EXIF orientation: "
            f"{', '.join(turned[:_MAX_NAMED_IMAGES])}{more}; {_ASK_ORIENTATION}"
        )


def _stat_frames(layout: KittiLayout, frame_ids: Sequence[str]) -> list[FrameSource]:
    images, labels = _stat_folder(layout.image_dir), _stat_folder(layout.label_dir)
    sources = []
    for frame_id in frame_ids:
        image_path, image = next(images[name] for name in image_names(frame_id) if name in images)
        label_path, label = labels.get(f"{frame_id}.txt", ("", None))
        if not stat.S_ISREG(image.st_mode):  # a device would never end
            raise ValueError(f"{image_path} is no regular file; replace it by the image")
        label_state = (0, 0) if label is None else (label.st_size, label.st_mtime_ns)
        state = (image.st_size, image.st_mtime_ns, *label_state)
        sources.append(FrameSource(frame_id, image_path, label_path, state))
    return sources


def _stat_folder(folder: Path) -> dict[str, tuple[str, os.stat_result]]:
    # One pass over the folder takes a fifth of the time of one look-up per frame.
    with os.scandir(folder) as entries:
        return {entry.name: (entry.path, entry.stat()) for entry in entries}


def _encode(image_rgb: np.ndarray, jpeg_quality: int | None) -> bytes:
    image_bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    if jpeg_quality is None:
        return cv2.imencode(".png", image_bgr)[1].tobytes()
    return cv2.imencode(".jpg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])[1].tobytes()
