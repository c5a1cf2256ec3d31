"""Text on images: lines of text, and the tags of boxes, which keep off each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

# Red, green, blue; and x1, y1, x2, y2 in pixels.
Colour = tuple[int, int, int]
Rect = tuple[int, int, int, int]

_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_DUPLEX, 0.4
_PAD_X, _PAD_Y = 3, 2
_TAG_OPACITY = 0.88
# Costs of a covered pixel of another tag and of a box, and of moving a tag by its own area.
_COVERED_TAG, _COVERED_BOX, _MOVED = 1.0, 0.05, 0.1


@dataclass(frozen=True)
class Tag:
    """Text on the colour of its box; `rect` is the box: first and last pixel in x and y."""

    text: str
    colour: Colour
    rect: Rect


def text_size(text: str, scale: float) -> tuple[int, int]:
    """Returns width and height of a line of capitals and digits, pixels."""
    (width, _), _ = cv2.getTextSize(text, _FONT, _FONT_SCALE * scale, 1)
    # The height of a capital is taken for all, so that the tags of one image are equally high.
    (_, height), _ = cv2.getTextSize("H", _FONT, _FONT_SCALE * scale, 1)
    return width, height


def draw_text(
    canvas: np.ndarray, text: str, left_middle: tuple[int, int], colour: Colour, scale: float
) -> None:
    """Draws a line of text in place, its left end and half its height at a point (x, y)."""
    x, y = left_middle
    baseline = y + text_size(text, scale)[1] // 2
    cv2.putText(canvas, text, (x, baseline), _FONT, _FONT_SCALE * scale, colour, 1, cv2.LINE_AA)


def ink_on(colour: Colour) -> Colour:
    """Returns black or white, whichever reads better on a colour (ITU-R BT.601 luma)."""
    red, green, blue = colour
    return (16, 18, 22) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)


def draw_tags(canvas: np.ndarray, tags: Sequence[Tag], scale: float) -> None:
    """Draws tags in place, each beside its box where it covers the least of tags and boxes."""
    boxes = [(x1, y1, x2 + 1, y2 + 1) for x1, y1, x2, y2 in (tag.rect for tag in tags)]
    taken: list[Rect] = []
    for tag in tags:
        width, height = text_size(tag.text, scale)
        pad_x, pad_y = round(_PAD_X * scale), round(_PAD_Y * scale)
        size = (width + 2 * pad_x, height + 2 * pad_y + 1)
        places = _places(tag.rect, size, canvas.shape[:2])
        rect, _ = min(
            ((place, moved + _cost(place, taken, boxes)) for place, moved in places),
            key=lambda candidate: candidate[1],
        )
        taken.append(rect)
        x1, y1, x2, y2 = rect
        region = canvas[y1:y2, x1:x2]
        mixed = region * (1 - _TAG_OPACITY) + np.array(tag.colour) * _TAG_OPACITY
        region[...] = mixed.astype(np.uint8)
        draw_text(canvas, tag.text, (x1 + pad_x, (y1 + y2) // 2), ink_on(tag.colour), scale)


def _places(
    box: Rect, size: tuple[int, int], image_size: tuple[int, int]
) -> Iterator[tuple[Rect, float]]:
    """Yields where a tag may go, the best first, and what moving it into the image costs.

    The rectangles are half-open and inside the image as far as the tag fits.
    """
    width, height = size
    x1, y1, x2, y2 = box
    for x, y in (
        (x1, y1 - height),
        (x2 + 1 - width, y1 - height),
        (x1, y2 + 1),
        (x2 + 1 - width, y2 + 1),
        (x1, y1),
        (x2 + 1, y1),
        (x1 - width, y1),
        (x2 + 1, y2 + 1 - height),
        (x1 - width, y2 + 1 - height),
    ):
        left = min(max(x, 0), max(image_size[1] - width, 0))
        top = min(max(y, 0), max(image_size[0] - height, 0))
        moved = _MOVED * (abs(left - x) * height + abs(top - y) * width)
        yield (left, top, left + width, top + height), moved


def _cost(place: Rect, taken: Sequence[Rect], boxes: Sequence[Rect]) -> float:
    tags_covered = sum(_overlap(place, other) for other in taken)
    return _COVERED_TAG * tags_covered + _COVERED_BOX * sum(
        _overlap(place, other) for other in boxes
    )


def _overlap(first: Rect, second: Rect) -> int:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(width, 0) * max(height, 0)
