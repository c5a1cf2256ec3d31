"""Videos, frame by frame."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mobilenetdet.files.names import utf8_text
from mobilenetdet.media.container import video_facts
from mobilenetdet.media.silent_opencv import silent_opencv
from mobilenetdet.records.encoded_image import MAX_MEGAPIXELS, check_pixels

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
# FFmpeg prints a line or more for each damaged block; `read_frames` says it once.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# Frames a second where a video does not say, or says what cannot be.
_USUAL_RATE, _HIGHEST_RATE = 25.0, 1000.0


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """A frame of a video.

    Attributes:
        image: uint8 [H, W, 3], RGB.
        time_s: when it is shown, seconds from the beginning.
        rate: frames a second that the video says it has.
        index: of the frame, from 0.
    """

    image: np.ndarray
    time_s: float
    rate: float
    index: int


def is_video(path: Path) -> bool:
    """Returns whether a file is a video, by its suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def frame_rate(capture: cv2.VideoCapture) -> float:
    """Returns the frames a second of an open video; 25 where it says none that can be."""
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if math.isfinite(rate) and 0 < rate <= _HIGHEST_RATE else _USUAL_RATE


def count_frames(path: Path) -> int:
    """Returns how many frames a video says that it has, or 0; not all may be in it."""
    if (name := _name_for_ffmpeg(path)) is None:
        return 0
    capture = _open(name)
    try:
        return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    finally:
        capture.release()


def read_frames(
    path: Path, max_megapixels: float = MAX_MEGAPIXELS, *, source: str = ""
) -> Iterator[VideoFrame]:
    """Yields the frames of a video.

    Args:
        path: of the video.
        max_megapixels: larger frames are refused before one is decoded.
        source: what to call it in errors; by default its path.

    Raises:
        ValueError: the name is no UTF-8, or the frames are too large; or, after the last frame that
            can be decoded, the file has more; or it has none.
    """
    if (name := _name_for_ffmpeg(path)) is None:
        raise ValueError(f"{path}: the name of a video must be UTF-8 text; give it another")
    source = source or str(path)
    capture = _open(name)
    count, time_s = 0, -math.inf
    try:
        expected = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        check_pixels(width, height, source, max_megapixels)
        rate = frame_rate(capture)
        while True:
            with silent_opencv():
                read, frame = capture.read()
            if not read:
                break
            time_s = _time_of(capture, time_s, count, rate)
            yield VideoFrame(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), time_s, rate, count)
            count += 1
    finally:
        capture.release()
    _refuse_incomplete(path, source, count, expected)


def _open(name: str) -> cv2.VideoCapture:
    """Opens a file, which may be no video; each of OpenCV's ways to read one would say so."""
    with silent_opencv():
        return cv2.VideoCapture(name)


def _name_for_ffmpeg(path: Path) -> str | None:
    """Returns the name to open a file by; None where it is no UTF-8.

    OpenCV would end the program without a word at such a name. FFmpeg would take what stands before
    a colon, as in 12:30.mp4, for a protocol: the path is absolute.
    """
    name = os.path.abspath(path)
    return name if utf8_text(name) == name else None


def _refuse_incomplete(path: Path, source: str, count: int, estimated: int) -> None:
    """Refuses a video of which not all frames came.

    Raises:
        ValueError: its end is missing, or it shows more frames than `count`.
    """
    fault, frames = video_facts(path)
    if count == 0:
        remedy = f": {fault}; copy it again" if fault else "; re-encode it as H.264"
        raise ValueError(f"{source}: no frame of this video can be decoded{remedy}")
    if fault:
        of_all = f" of {estimated:,}" if estimated > count else ""
        raise ValueError(
            f"{source}: {count:,}{of_all} frames could be decoded: {fault}; copy it again"
        )
    if frames is not None and count < frames:
        raise ValueError(
            f"{source}: {count:,} of {frames:,} frames could be decoded; the video is damaged, "
            "copy or re-encode it"
        )


def _time_of(capture: cv2.VideoCapture, before: float, index: int, rate: float) -> float:
    """When the frame that was just read is shown; files without times go by their rate."""
    time_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
    if math.isfinite(time_s) and time_s > before and (time_s > 0 or index == 0):
        return time_s
    return 0.0 if index == 0 else before + 1 / rate
