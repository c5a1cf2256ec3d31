"""The frames of a KITTI folder as they go into records."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from mobilenetdet.kitti.labels import read_objects
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.records.detection_record import RecordFrame
from mobilenetdet.records.encoded_image import ImageHeader, decode_image, image_header

_MAX_LISTED_FRAMES = 20


@dataclass(frozen=True)
class FrameSource:
    """The files of one frame, with what tells whether they have changed.

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
    if jpeg_quality is not None:
        encoded = _encode_jpeg(encoded, header, jpeg_quality, source.image_path)
        header = header._replace(format="jpeg")
    objects = read_objects(source.label_path, with_scores=False)
    return RecordFrame(source.frame_id, encoded, *header, objects)


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


def _encode_jpeg(encoded: bytes, header: ImageHeader, quality: int, source: str) -> bytes:
    image_rgb = decode_image(encoded, source)  # [H, W, 3]
    if image_rgb.shape[:2] != header[1:]:
        raise ValueError(
            f"{source}: {image_rgb.shape[1]}x{image_rgb.shape[0]} pixels decoded, the header says "
            f"{header.width}x{header.height}; is it rotated by its EXIF data?"
        )
    image_bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
