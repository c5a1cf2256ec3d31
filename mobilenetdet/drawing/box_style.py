"""Boxes with a look and a text, drawn over an image, and the strip that explains them.

Lines and text grow with the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mobilenetdet.config.type_names import DONT_CARE_TYPE
from mobilenetdet.drawing.tags import Colour, Rect, Tag, draw_tags, draw_text, text_size

# One colour per meaning, RGB, told apart by the colour-blind through brightness and line style.
PALETTE: dict[str, Colour] = {
    "hit": (52, 211, 112),
    "found": (255, 255, 255),
    "miss": (255, 66, 62),
    "false_alarm": (255, 168, 28),
    "ignored": (176, 184, 196),
    DONT_CARE_TYPE: (176, 184, 196),
    "strip": (24, 27, 33),
    "strip_text": (226, 230, 236),
}
# Lines are as wide as given on an image of this size, pixels, and grow with the root of its area.
_REFERENCE_AREA, _MIN_SCALE = 1242 * 375, 0.75
THICK, THIN = 2.6, 1.0
_CASING_OPACITY, _HATCH_OPACITY = 0.45, 0.38
_DASH, _GAP, _HATCH_PERIOD, _STRIP_HEIGHT = 7, 5, 9, 24


@dataclass(frozen=True)
class Look:
    """How a box is drawn: colour, line width at the reference size, dashes, hatching."""

    colour: Colour
    width: float
    dashed: bool = False
    hatched: bool = False


@dataclass(frozen=True)
class Mark:
    """One box to draw. `text` may be empty; the strip counts it as one of `group`."""

    box_xyxy: np.ndarray
    look: Look
    text: str
    group: str
    score: float = 0.0


def render(
    image_rgb: np.ndarray, marks: Sequence[Mark], title: str, groups: Sequence[str] = ()
) -> np.ndarray:
    """Draws hatches, then outlines (the last mark on top), then tags, and adds the strip.

    Args:
        image_rgb: uint8 [H, W, 3]; it is not changed.
        marks: the boxes.
        title: stands at the right of the strip.
        groups: order of the groups in the strip; others follow.

    Returns:
        uint8 [H + strip, W, 3].

    Raises:
        ValueError: the image is not uint8 RGB.
    """
    _check_image(image_rgb)
    height, width = image_rgb.shape[:2]
    scale = max(_MIN_SCALE, (height * width / _REFERENCE_AREA) ** 0.5)
    canvas = image_rgb.copy()
    rects = [_pixel_rect(mark.box_xyxy, height, width) for mark in marks]
    for mark, rect in zip(marks, rects, strict=True):
        if mark.look.hatched:
            _hatch(canvas, rect, mark.look.colour, scale)
    # A dark casing keeps a line readable on a bright background of its own colour.
    casing = np.zeros((height, width), bool)
    for mark, rect in zip(marks, rects, strict=True):
        _outline(casing, rect, mark.look, scale, casing=True)
    canvas[casing] = (canvas[casing] * (1 - _CASING_OPACITY)).astype(np.uint8)
    for mark, rect in zip(marks, rects, strict=True):
        _outline(canvas, rect, mark.look, scale)
    tagged = sorted((m.score, i) for i, m in enumerate(marks) if m.text)
    tags = [Tag(marks[i].text, marks[i].look.colour, rects[i]) for _, i in reversed(tagged)]
    draw_tags(canvas, tags, scale)
    return np.concatenate([canvas, _strip(marks, width, scale, title, groups)])


def _check_image(image_rgb: np.ndarray) -> None:
    shape, dtype = image_rgb.shape, image_rgb.dtype
    if dtype != np.uint8 or len(shape) != 3 or shape[2] != 3:
        raise ValueError(f"an image of shape {shape} and {dtype} was given; it must be uint8 RGB")


def _pixel_rect(box_xyxy: np.ndarray, height: int, width: int) -> Rect:
    """Returns the first and last pixel of a box in x and y, inside the image."""
    x1, y1, x2, y2 = (int(round(float(value))) for value in box_xyxy)
    x1, x2 = (min(max(x, 0), width - 1) for x in (x1, x2 - 1))
    y1, y2 = (min(max(y, 0), height - 1) for y in (y1, y2 - 1))
    return x1, y1, max(x1, x2), max(y1, y2)


def _outline(
    canvas: np.ndarray, rect: Rect, look: Look, scale: float, *, casing: bool = False
) -> None:
    """Draws a line centred on the border of a box, or its mask, which is a pixel wider."""
    x1, y1, x2, y2 = rect
    thickness = max(1, round(look.width * scale))
    before, after = thickness // 2, thickness - thickness // 2
    margin, colour = (1, True) if casing else (0, look.colour)

    def fill(left: int, top: int, right: int, bottom: int) -> None:
        left, top = max(left - margin, 0), max(top - margin, 0)
        canvas[top : bottom + margin, left : right + margin] = colour

    for start, stop in _dashes(x1 - before, x2 + after, look.dashed, scale):
        for y in (y1, y2):
            fill(start, y - before, stop, y + after)
    for start, stop in _dashes(y1 - before, y2 + after, look.dashed, scale):
        for x in (x1, x2):
            fill(x - before, start, x + after, stop)


def _dashes(start: int, stop: int, dashed: bool, scale: float) -> list[tuple[int, int]]:
    """Divides a side (half-open) into dashes with one at each corner; a short side has one."""
    dash, gap = _DASH * scale, _GAP * scale
    count = round((stop - start + gap) / (dash + gap))
    if not dashed or count < 2:
        return [(start, stop)]
    period = (stop - start - dash) / (count - 1)
    starts = [start + index * period for index in range(count)]
    return [(round(first), round(first + dash)) for first in starts]


def _hatch(canvas: np.ndarray, rect: Rect, colour: Colour, scale: float) -> None:
    x1, y1, x2, y2 = rect
    rows, columns = np.ogrid[y1 : y2 + 1, x1 : x2 + 1]
    period = _HATCH_PERIOD * scale
    distance = np.abs((rows + columns) % period - period / 2)  # [h, w]
    opacity = np.clip(scale - distance + 0.5, 0, 1)[..., None] * _HATCH_OPACITY
    region = canvas[y1 : y2 + 1, x1 : x2 + 1]
    region[...] = (region * (1 - opacity) + np.array(colour) * opacity).astype(np.uint8)


def _strip(
    marks: Sequence[Mark], width: int, scale: float, title: str, order: Sequence[str]
) -> np.ndarray:
    """Returns the legend: a sample of each kind of box with its count, and the title."""
    height = round(_STRIP_HEIGHT * scale)
    strip = np.full((height, width, 3), PALETTE["strip"], np.uint8)
    margin, ink = round(9 * scale), PALETTE["strip_text"]
    title_width = text_size(title, scale)[0] if title else 0
    limit = width - 2 * margin - title_width
    groups: dict[str, list[Mark]] = {name: [] for name in order}
    for mark in marks:
        groups.setdefault(mark.group, []).append(mark)
    groups = {name: members for name, members in groups.items() if members}
    x, middle = margin, height // 2
    sample_width, sample_height = round(20 * scale), round(11 * scale)
    for name, members in groups.items():
        text = f"{name} {len(members)}"
        text_width = text_size(text, scale)[0]
        if x + sample_width + text_width + margin > limit:
            break
        top = middle - sample_height // 2
        rect = (x, top, x + sample_width, top + sample_height)
        if members[0].look.hatched:
            _hatch(strip, rect, members[0].look.colour, scale)
        _outline(strip, rect, members[0].look, scale)
        x += sample_width + round(6 * scale)
        draw_text(strip, text, (x, middle), ink, scale)
        x += text_width + 2 * margin
    if title:
        draw_text(strip, title, (width - margin - title_width, middle), ink, scale)
    return strip
