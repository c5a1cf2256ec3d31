"""Videos, frame by frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from mobilenetdet.file_names import utf8_text
from mobilenetdet.records.encoded_image import MAX_MEGAPIXELS, check_pixels

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
# FFmpeg prints a line or more for each damaged block; `read_frames` says it once.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# Files of these kinds do not say how many frames they have; it is estimated from their length.
_ESTIMATED = (".mkv", ".webm", ".mpg", ".mpeg")
_TOLERANCE = 0.02


def is_video(path: Path) -> bool:
    """Returns whether a file is a video, by its suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def read_frames(path: Path, max_megapixels: float = MAX_MEGAPIXELS) -> Iterator[np.ndarray]:
    """Yields the frames of a video, RGB uint8 [H, W, 3].

    Args:
        path: of the video.
        max_megapixels: larger frames are refused before one is decoded.

    Raises:
        ValueError: the name is no UTF-8, or the frames are too large; or, after the last frame that
            can be decoded, the file has more; or it has none.
    """
    if utf8_text(path) != str(path):  # OpenCV would end the program without a word
        raise ValueError(f"{path}: the name of a video must be UTF-8 text; give it another")
    capture = cv2.VideoCapture(str(path))
    count = 0
    try:
        expected = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        sides = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        check_pixels(*(int(capture.get(side)) for side in sides), str(path), max_megapixels)
        while True:
            read, frame = capture.read()
            if not read:
                break
            count += 1
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()
    if count == 0:
        raise ValueError(f"{path}: no frame of this video can be decoded; re-encode it as H.264")
    tolerance = max(1, _TOLERANCE * expected) if path.suffix.lower() in _ESTIMATED else 0
    if expected - count > tolerance:
        raise ValueError(
            f"{path}: {count:,} of {expected:,} frames could be decoded; the video is damaged or "
            "cut off, copy or re-encode it"
        )
