"""KITTI folders to TFRecord shards."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2

from mobilenetdet.kitti.labels import read_objects
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.records.detection_record import RecordFrame, frame_features
from mobilenetdet.records.encoded_image import decode_image, find_damage, image_header
from mobilenetdet.records.shard_writer import (
    EncodedRecord,
    Progress,
    ShardOptions,
    SplitRecords,
    write_shards,
)
from mobilenetdet.records.shards import Manifest
from mobilenetdet.records.tfrecord import encode_example

_MAX_LISTED_FRAMES = 20


@dataclass(frozen=True)
class ConversionOptions(ShardOptions):
    """How records are written; the defaults keep every byte of the images.

    Attributes:
        jpeg_quality: 1 to 100 re-encodes every image as JPEG; None copies the files' bytes.
        sha256: adds image/key/sha256, which doubles the time.
        skip_missing: leaves out frames without image or label instead of refusing them.
    """

    jpeg_quality: int | None = None
    sha256: bool = False
    skip_missing: bool = False

    def __post_init__(self) -> None:
        """Checks the ranges."""
        super().__post_init__()
        self._check("jpeg_quality", 100)

    @property
    def record_options(self) -> dict[str, int | bool | None]:
        """The options that change the records themselves."""
        return {"jpeg_quality": self.jpeg_quality, "sha256": self.sha256}


def convert_split(
    layout: KittiLayout,
    split: str,
    output_dir: str | os.PathLike[str],
    options: ConversionOptions | None = None,
    *,
    progress: Progress | None = None,
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
        FileNotFoundError: no list of frames, or frames without image or label; names the first 20.
        ValueError: a damaged image or label file.
    """
    options = options or ConversionOptions()
    sources, num_skipped = find_sources(layout, split, skip_missing=options.skip_missing)

    def encode(source: FrameSource) -> EncodedRecord:
        frame = read_source(source, options.jpeg_quality)
        parts = encode_example(frame_features(frame, sha256=options.sha256))
        return EncodedRecord(source.frame_id, parts, len(frame.objects))

    records = SplitRecords(split, sources, encode, options.record_options, num_skipped)
    return write_shards(records, Path(output_dir), options, progress or Progress())


@dataclass(frozen=True)
class FrameSource:
    """The files of one frame, with their sizes and times to detect changes.

    Attributes:
        frame_id: KITTI's number of the frame.
        image_path: PNG or JPEG file.
        label_path: label file.
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
    layout: KittiLayout, split: str, *, skip_missing: bool = False
) -> tuple[list[FrameSource], int]:
    """Finds the files of the frames of a split.

    Args:
        layout: the KITTI folder.
        split: name of the list of frames, `train` for ImageSets/train.txt.
        skip_missing: leaves out frames without image or label.

    Returns:
        The frames in the order of the list, and how many were left out.

    Raises:
        FileNotFoundError: no list, or frames without image or label; names the first 20.
        ValueError: no frame is left.
    """
    frame_ids = layout.read_image_set(split)
    report = layout.check_frames(frame_ids)
    if report.num_incomplete and not skip_missing:
        lines = "\n".join(f"  {line}" for line in report.lines(_MAX_LISTED_FRAMES))
        raise FileNotFoundError(
            f"{report.num_incomplete} of the {len(frame_ids)} frames of {split} "
            f"({layout.image_set_path(split)}) are incomplete in {layout.image_dir.parent}:\n"
            f"{lines}\nunpack them there, or leave them out with --skip_missing"
        )
    if not report.complete:
        raise ValueError(f"{layout.image_set_path(split)} lists no frame with image and label")
    return _stat_frames(layout, report.complete), report.num_incomplete


def find_damaged_images(
    sources: Sequence[FrameSource], num_workers: int | None = None
) -> list[tuple[str, str]]:
    """Decodes every image, which conversion does not.

    Args:
        sources: the files of the frames.
        num_workers: threads; None takes one per core.

    Returns:
        (path, what is wrong) of each damaged image.
    """

    def check(source: FrameSource) -> tuple[str, str]:
        encoded = Path(source.image_path).read_bytes()
        return source.image_path, find_damage(encoded, source.image_path)

    with ThreadPoolExecutor(num_workers or os.cpu_count()) as executor:
        return [(path, damage) for path, damage in executor.map(check, sources) if damage]


def read_source(source: FrameSource, jpeg_quality: int | None = None) -> RecordFrame:
    """Reads image and label of a frame; the image's size comes from its header.

    Args:
        source: the files.
        jpeg_quality: re-encodes the image as JPEG; None keeps its bytes and decodes nothing.

    Raises:
        ValueError: image or label are damaged; names the file.
    """
    with open(source.image_path, "rb", buffering=0) as file:
        encoded = file.read()
    header = image_header(encoded, source.image_path)
    if header.sideways:
        raise ValueError(
            f"{source.image_path}: turned by its EXIF orientation, which decoders obey or not, so "
            "its boxes would be off; save it upright, without the orientation"
        )
    image_format = header.format
    if jpeg_quality is not None:
        image_format = "jpeg"
        encoded = _encode_jpeg(encoded, jpeg_quality, source.image_path)
    objects = read_objects(source.label_path, with_scores=False)
    return RecordFrame(source.frame_id, encoded, image_format, header.height, header.width, objects)


def _stat_frames(layout: KittiLayout, frame_ids: Sequence[str]) -> list[FrameSource]:
    images, labels = _stat_folder(layout.image_dir), _stat_folder(layout.label_dir)
    sources = []
    for frame_id in frame_ids:
        image_path, image = images.get(f"{frame_id}.png") or images[f"{frame_id}.jpg"]
        label_path, label = labels[f"{frame_id}.txt"]
        state = (image.st_size, image.st_mtime_ns, label.st_size, label.st_mtime_ns)
        sources.append(FrameSource(frame_id, image_path, label_path, state))
    return sources


def _stat_folder(folder: Path) -> dict[str, tuple[str, os.stat_result]]:
    # One pass over the folder takes a fifth of the time of one look-up per frame.
    with os.scandir(folder) as entries:
        return {entry.name: (entry.path, entry.stat()) for entry in entries}


def _encode_jpeg(encoded: bytes, quality: int, source: str) -> bytes:
    image_bgr = cv2.cvtColor(decode_image(encoded, source), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
