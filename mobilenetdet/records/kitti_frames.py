"""The frames of a KITTI folder: their files, found and checked before anything is written."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mobilenetdet.kitti.format_hints import known_id_hint
from mobilenetdet.kitti.layout import KittiLayout, image_names
from mobilenetdet.records.encoded_image import UPRIGHT, image_header

# What helps where images have an EXIF orientation.
ASK_ORIENTATION = (
    "say what their labels are meant for: --exif_orientation obey for the pictures as viewers show "
    "them, ignore for the pixels as they are stored"
)
_MAX_LISTED_FRAMES = 20
_MAX_NAMED_IMAGES = 3
# Of a file, in which its EXIF data begin if it has any.
_HEADER_BYTES = 4096


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


class FoundFrames(NamedTuple):
    """The frames of a split that can be converted.

    Attributes:
        sources: their files, in the order of the list.
        num_skipped: frames that were left out.
    """

    sources: list[FrameSource]
    num_skipped: int


def find_frames(
    layout: KittiLayout,
    split: str,
    *,
    skip_missing: bool = False,
    missing_labels_are_empty: bool = False,
) -> FoundFrames:
    """Finds the files of the frames of a split.

    Args:
        layout: the KITTI folder.
        split: name of the list of frames, `train` for ImageSets/train.txt.
        skip_missing: leaves out frames without image or label.
        missing_labels_are_empty: keeps frames with an image and no label: nothing is in them.

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
    return FoundFrames(_stat_frames(layout, report.complete), report.num_incomplete)


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
            f"{', '.join(turned[:_MAX_NAMED_IMAGES])}{more}; {ASK_ORIENTATION}"
        )


def _stat_frames(layout: KittiLayout, frame_ids: Sequence[str]) -> list[FrameSource]:
    # One pass over a folder takes a fifth of the time of one look-up per frame.
    images, labels = _entries(layout.image_dir), _entries(layout.label_dir)
    sources = []
    for frame_id in frame_ids:
        image = next(images[name] for name in image_names(frame_id) if name in images)
        image_state, label = image.stat(), labels.get(f"{frame_id}.txt")
        if not stat.S_ISREG(image_state.st_mode):  # a device would never end
            raise ValueError(f"{image.path} is no regular file; replace it by the image")
        label_state = _size_and_time(label.stat()) if label else (0, 0)
        state = (*_size_and_time(image_state), *label_state)
        sources.append(FrameSource(frame_id, image.path, label.path if label else "", state))
    return sources


def _entries(folder: Path) -> dict[str, os.DirEntry[str]]:
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry for entry in entries}


def _size_and_time(state: os.stat_result) -> tuple[int, int]:
    return state.st_size, state.st_mtime_ns
