"""Pixels of an image to the letterboxed network input."""

from __future__ import annotations

import cv2
import numpy as np

from mobilenetdet.boxes.letterbox import Letterbox

# Grey around a letterboxed image: the middle of the range, which the network sees as about 0.
BORDER_GREY = 127
# Below this scale bilinear sampling skips source pixels; averaging is slower but does not alias.
_AREA_SCALE = 0.5


def letterbox_image(
    image: np.ndarray, network_size: tuple[int, int], *, out: np.ndarray | None = None
) -> tuple[np.ndarray, Letterbox]:
    """Fits an image into the network input: aspect kept, centred, grey around it.

    Args:
        image: uint8 [H, W, 3].
        network_size: (height, width) of the network input.
        out: uint8 [network height, network width, 3] to draw into, for example a row of a batch.

    Returns:
        uint8 [network height, network width, 3], and the transform that moves boxes along.
    """
    letterbox = Letterbox.fit(image.shape[:2], network_size)
    height, width = letterbox.drawn_size
    top, left = int(letterbox.offset_y), int(letterbox.offset_x)
    canvas = np.empty((*network_size, 3), np.uint8) if out is None else out
    canvas[:top], canvas[top + height :] = BORDER_GREY, BORDER_GREY
    canvas[:, :left], canvas[:, left + width :] = BORDER_GREY, BORDER_GREY
    # cv2.resize maps pixel centres by (i + 0.5) * scale - 0.5: the half-open convention of boxes.
    mode = cv2.INTER_AREA if letterbox.scale < _AREA_SCALE else cv2.INTER_LINEAR
    drawn = canvas[top : top + height, left : left + width]
    cv2.resize(image, (width, height), dst=drawn, interpolation=mode)
    return canvas, letterbox
