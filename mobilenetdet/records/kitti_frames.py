"""The frames of a KITTI folder: their files, found and checked before anything is written."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from mobilenetdet.kitti.format_hints import known_id_hint
from mobilenetdet.kitti.layout import FrameReport, KittiLayout, image_names
from mobilenetdet.records.encoded_image import UPRIGHT, image_header

# What becomes of images without label file: they are left out, taken for frames in which nothing
# is, or refused, for their labels may as well be lost.
Unlabelled = Literal["skip", "negative", "error"]
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
    unlabelled: Unlabelled = "error",
    skip_missing_images: bool = False,
) -> FoundFrames:
    """Finds the files of the frames of a split.

    Args:
        layout: the KITTI folder.
        split: name of the list of frames, `train` for train.txt.
        unlabelled: what becomes of images without label file.
        skip_missing_images: leaves out frames without image.

    Raises:
        FileNotFoundError: no list, or frames that lack a file and are not left out; names the
            first 20.
        ValueError: no frame is left.
    """
    frame_ids = layout.read_image_set(split)
    report = layout.check_frames(frame_ids)
    if unlabelled == "negative":
        report = report.with_empty_labels(frame_ids)
    refused = FrameReport(
        report.complete,
        report.missing_labels if unlabelled == "error" else [],
        *([], []) if skip_missing_images else (report.missing_images, report.missing_both),
    )
    if refused.num_incomplete:
        raise FileNotFoundError(_describe_incomplete(layout, split, len(frame_ids), refused))
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


def _describe_incomplete(
    layout: KittiLayout, split: str, num_frames: int, report: FrameReport
) -> str:
    """Names the frames of a split that lack a file, and what can be done about them."""
    lines = "\n".join(f"  {line}" for line in report.lines(_MAX_LISTED_FRAMES))
    there = layout.check_frames()
    hint = known_id_hint(report.missing_both, [*there.complete, *there.missing_labels])
    remedies = ["unpack them there"]
    if report.missing_images or report.missing_both:
        remedies.append("leave out those without image with --skip_missing_images")
    if report.missing_labels:
        remedies.append("leave out the images without label with --unlabelled skip")
        remedies.append("if nothing is in these, say so with --unlabelled negative")
    return (
        f"{report.num_incomplete} of the {num_frames} frames of {split} "
        f"({layout.image_set_path(split)}) are incomplete in {layout.image_dir.parent}:\n"
        f"{lines}{hint}\n{'; or '.join(remedies)}"
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
