"""OpenCV without its own lines on standard error."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import cv2

_lock = threading.Lock()
_num_inside, _usual_level = 0, 0


@contextlib.contextmanager
def silent_opencv() -> Iterator[None]:
    """Keeps OpenCV from printing what a message or a count says, such as that a file is no video.

    The level of its log is one for all threads: the last to leave brings back what it was.
    """
    global _num_inside, _usual_level
    logging = cv2.utils.logging
    with _lock:
        if not _num_inside:
            _usual_level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
        _num_inside += 1
    try:
        yield
    finally:
        with _lock:
            _num_inside -= 1
            if not _num_inside:
                logging.setLogLevel(_usual_level)
