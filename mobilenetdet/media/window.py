"""A window that shows pictures as they come."""

from __future__ import annotations

import os
import sys

import cv2
import numpy as np

_TITLE = "mobilenetdet (q ends)"
_KEYS_THAT_END = frozenset({ord("q"), ord("Q"), 27})
# Larger pictures are shown smaller, pixels.
_MAX_WIDTH, _MAX_HEIGHT = 1600, 900


def refuse_no_display() -> None:
    """Checks that a window can be opened; call it before long work.

    Raises:
        ValueError: OpenCV was built without windows, or there is no display.
    """
    if not _has_windows():
        raise ValueError(
            "--show needs an OpenCV with windows, and opencv-python-headless has none; pip "
            "uninstall opencv-python-headless, then pip install opencv-python"
        )
    linux = sys.platform.startswith("linux")
    if linux and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise ValueError(
            "--show finds no display (DISPLAY is not set); leave it out, and watch what is written "
            "to --output_dir"
        )


def show(image: np.ndarray) -> bool:
    """Shows uint8 [H, W, 3] RGB; returns whether to go on: q, Esc or closing the window end it."""
    height, width = image.shape[:2]
    factor = min(1.0, _MAX_WIDTH / width, _MAX_HEIGHT / height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    cv2.imshow(_TITLE, cv2.cvtColor(cv2.resize(image, size), cv2.COLOR_RGB2BGR))
    key = cv2.waitKey(1) & 0xFF
    return key not in _KEYS_THAT_END and cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) >= 1


def close() -> None:
    """Closes the window."""
    cv2.destroyAllWindows()


def _has_windows() -> bool:
    lines = cv2.getBuildInformation().splitlines()
    line = next((line for line in lines if line.strip().startswith("GUI:")), "")
    return bool(line) and "NONE" not in line
