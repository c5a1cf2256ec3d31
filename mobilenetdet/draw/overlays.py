"""Overlays: objects and detections drawn over an image, and a strip that explains them.

Ground truth is dashed and thin, detections are solid. With outcomes the colour says what became
of a box (hit, missed, false alarm, ignored), without them it says the class. What does not count
is hatched. Lines and text grow with the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mobilenetdet.draw.tags import Colour, Rect, Tag, draw_tags, draw_text, text_size
from mobilenetdet.kitti.labels import DONT_CARE, KittiObjects

# One colour per meaning, RGB, told apart by the colour-blind through brightness and line style.
PALETTE: dict[str, Colour] = {
    "hit": (52, 211, 112),
    "found": (255, 255, 255),
    "miss": (255, 66, 62),
    "false_alarm": (255, 168, 28),
    "ignored": (176, 184, 196),
    "Car": (72, 176, 255),
    "Pedestrian": (255, 112, 190),
    "Cyclist": (252, 214, 60),
    "Van": (64, 224, 208),
    "Truck": (150, 140, 255),
    "Person_sitting": (255, 150, 120),
    "Tram": (200, 120, 255),
    "Misc": (170, 220, 120),
    DONT_CARE: (176, 184, 196),
    "strip": (24, 27, 33),
    "strip_text": (226, 230, 236),
}
_CLASS_COLOURS = {name.lower(): colour for name, colour in PALETTE.items()}
_OTHER_CLASS = (240, 240, 240)
# Outcomes of labels and detections with what the strip calls them, in its order.
_DETECTION_OUTCOMES = {"hit": "hit", "false_alarm": "false alarm", "ignored": "ignored detection"}
_LABEL_OUTCOMES = {"miss": "missed", "hit": "found", "ignored": "ignored"}
_GROUPS = (*_DETECTION_OUTCOMES.values(), *_LABEL_OUTCOMES.values())
# Lines are as wide as given on an image of this size, pixels, and grow with the root of its area.
_REFERENCE_AREA, _MIN_SCALE = 1242 * 375, 0.75
_THICK, _THIN = 2.6, 1.0
_CASING_OPACITY, _HATCH_OPACITY = 0.45, 0.38
_DASH, _GAP, _HATCH_PERIOD, _STRIP_HEIGHT = 7, 5, 9, 24


@dataclass(frozen=True)
class _Look:
    """How a box is drawn: colour, line width at the reference size, dashes, hatching."""

    colour: Colour
    width: float
    dashed: bool = False
    hatched: bool = False


@dataclass(frozen=True)
class _Mark:
    """One box to draw. `text` may be empty; the strip counts it as one of `group`."""

    box_xyxy: np.ndarray
    look: _Look
    text: str
    group: str
    score: float = 0.0


def draw_labels(image_rgb: np.ndarray, labels: KittiObjects, *, title: str = "") -> np.ndarray:
    """Draws labelled objects in the colours of their classes, DontCare hatched.

    Args:
        image_rgb: uint8 [H, W, 3]; it is not changed.
        labels: the objects, pixels of this image.
        title: stands at the right of the strip below the image.

    Returns:
        uint8 [H + strip, W, 3].
    """
    marks = [_class_mark(labels, index, dashed=False) for index in range(len(labels))]
    return _render(image_rgb, marks, title)


def draw_detections(
    image_rgb: np.ndarray,
    detections: KittiObjects,
    *,
    ground_truth: KittiObjects | None = None,
    title: str = "",
) -> np.ndarray:
    """Draws detections in the colours of their classes, over dashed ground truth if there is any.

    Args:
        image_rgb: uint8 [H, W, 3]; it is not changed.
        detections: pixels of this image; those to be seen, so choose by score before.
        ground_truth: labelled objects.
        title: stands at the right of the strip below the image.

    Returns:
        uint8 [H + strip, W, 3].
    """
    truth = KittiObjects.empty() if ground_truth is None else ground_truth
    marks = [_class_mark(truth, index, dashed=True) for index in range(len(truth))]
    marks += [_class_mark(detections, index, dashed=False) for index in range(len(detections))]
    return _render(image_rgb, marks, title)


def draw_comparison(
    image_rgb: np.ndarray,
    ground_truth: KittiObjects,
    detections: KittiObjects,
    *,
    label_outcomes: Sequence[str] | np.ndarray,
    detection_outcomes: Sequence[str] | np.ndarray,
    title: str = "",
) -> np.ndarray:
    """Draws what became of every object and every detection.

    Args:
        image_rgb: uint8 [H, W, 3]; it is not changed.
        ground_truth: the N labelled objects, pixels of this image.
        detections: the M detections.
        label_outcomes: [N] "hit", "miss" or "ignored"; see `average_precision.match_frame`.
        detection_outcomes: [M] "hit", "false_alarm" or "ignored".
        title: stands at the right of the strip below the image.

    Returns:
        uint8 [H + strip, W, 3].

    Raises:
        ValueError: an outcome is unknown, or there is not one for each object and detection.
    """
    _check_outcomes(label_outcomes, len(ground_truth), _LABEL_OUTCOMES, "label")
    _check_outcomes(detection_outcomes, len(detections), _DETECTION_OUTCOMES, "detection")
    marks = [
        _label_mark(ground_truth, index, outcome=str(outcome))
        for index, outcome in enumerate(label_outcomes)
    ]
    for index, outcome in enumerate(map(str, detection_outcomes)):
        look = _Look(PALETTE[outcome], _THIN if outcome == "ignored" else _THICK)
        text, score = _describe(detections, index)
        box, group = detections.boxes_xyxy[index], _DETECTION_OUTCOMES[outcome]
        marks.append(_Mark(box, look, text, group, score))
    return _render(image_rgb, marks, title)


def _label_mark(labels: KittiObjects, index: int, *, outcome: str) -> _Mark:
    missed, ignored = outcome == "miss", outcome == "ignored"
    colour = PALETTE["found" if outcome == "hit" else outcome]
    look = _Look(colour, _THICK if missed else _THIN, dashed=True, hatched=ignored)
    # A hit is named by its detection, and what does not count stays in the background.
    text = str(labels.types[index]) if missed else ""
    return _Mark(labels.boxes_xyxy[index], look, text, _LABEL_OUTCOMES[outcome])


def _class_mark(objects: KittiObjects, index: int, *, dashed: bool) -> _Mark:
    name = str(objects.types[index])
    colour = _CLASS_COLOURS.get(name.lower(), _OTHER_CLASS)
    ignored = name.lower() == DONT_CARE.lower()
    text, score = _describe(objects, index)
    look = _Look(colour, _THIN if dashed or ignored else _THICK, dashed or ignored, ignored)
    group = f"{name} (label)" if dashed and not ignored else name
    return _Mark(objects.boxes_xyxy[index], look, "" if dashed or ignored else text, group, score)


def _describe(objects: KittiObjects, index: int) -> tuple[str, float]:
    """Returns the text of a tag, and the score that decides who gets the best place."""
    name = str(objects.types[index])
    score = 0.0 if objects.scores is None else float(objects.scores[index])
    return (name if objects.scores is None else f"{name} {score:.2f}"), score


def _check_outcomes(
    outcomes: Sequence[str] | np.ndarray, count: int, known: dict[str, str], what: str
) -> None:
    if len(outcomes) != count:
        raise ValueError(f"{len(outcomes)} {what} outcomes for {count} boxes")
    for outcome in outcomes:
        if outcome not in known:
            raise ValueError(f"{what} outcome {str(outcome)!r}; it must be one of {list(known)}")


def _render(image_rgb: np.ndarray, marks: Sequence[_Mark], title: str) -> np.ndarray:
    """Draws hatches, then outlines (detections last), then tags, and adds the strip."""
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
    return np.concatenate([canvas, _strip(marks, width, scale, title)])


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
    canvas: np.ndarray, rect: Rect, look: _Look, scale: float, *, casing: bool = False
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


def _strip(marks: Sequence[_Mark], width: int, scale: float, title: str) -> np.ndarray:
    """Returns the legend: a sample of each kind of box with its count, and the title."""
    height = round(_STRIP_HEIGHT * scale)
    strip = np.full((height, width, 3), PALETTE["strip"], np.uint8)
    margin, ink = round(9 * scale), PALETTE["strip_text"]
    title_width = text_size(title, scale)[0] if title else 0
    limit = width - 2 * margin - title_width
    groups: dict[str, list[_Mark]] = {name: [] for name in _GROUPS}
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
