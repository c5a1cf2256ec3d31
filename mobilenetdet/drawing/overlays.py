"""Overlays: objects and detections drawn over an image, and a strip that explains them.

Ground truth is dashed and thin, detections are solid. With outcomes the colour says what became
of a box (hit, missed, false alarm, ignored), without them it says the class. What does not count
is hatched. Lines and text grow with the image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mobilenetdet.config.classes import EVALUATED_CLASSES
from mobilenetdet.config.type_names import DONT_CARE_TYPE, same
from mobilenetdet.detections import Detections
from mobilenetdet.drawing.box_style import PALETTE, THICK, THIN, Look, Mark, render
from mobilenetdet.drawing.class_colours import overlay_colours
from mobilenetdet.drawing.tags import Colour
from mobilenetdet.kitti.labels import KittiObjects

_UNKNOWN_TYPE = (240, 240, 240)
# Outcomes of labels and detections with what the strip calls them, in its order.
_DETECTION_OUTCOMES = {"hit": "hit", "false_alarm": "false alarm", "ignored": "ignored detection"}
_LABEL_OUTCOMES = {"miss": "missed", "hit": "found", "ignored": "ignored"}
_GROUPS = (*_DETECTION_OUTCOMES.values(), *_LABEL_OUTCOMES.values())


def draw_labels(
    image_rgb: np.ndarray,
    labels: KittiObjects,
    *,
    classes: Sequence[str] = EVALUATED_CLASSES,
    title: str = "",
) -> np.ndarray:
    """Draws labelled objects in the colours of their classes, DontCare hatched.

    Args:
        image_rgb: uint8 [H, W, 3]; it is not changed.
        labels: the objects, pixels of this image.
        classes: names in the order of the task; their places decide about the colours.
        title: stands at the right of the strip below the image.

    Returns:
        uint8 [H + strip, W, 3].
    """
    return render(image_rgb, _class_marks(labels, classes), title, _GROUPS)


def draw_detections(
    image_rgb: np.ndarray,
    detections: Detections,
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
    marks = _class_marks(truth, detections.classes, dashed=True)
    marks += _class_marks(detections.to_kitti(), detections.classes)
    return render(image_rgb, marks, title, _GROUPS)


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
        look = Look(PALETTE[outcome], THIN if outcome == "ignored" else THICK)
        text, score = _describe(detections, index)
        box, group = detections.boxes_xyxy[index], _DETECTION_OUTCOMES[outcome]
        marks.append(Mark(box, look, text, group, score))
    return render(image_rgb, marks, title, _GROUPS)


def _label_mark(labels: KittiObjects, index: int, *, outcome: str) -> Mark:
    missed, ignored = outcome == "miss", outcome == "ignored"
    colour = PALETTE["found" if outcome == "hit" else outcome]
    look = Look(colour, THICK if missed else THIN, dashed=True, hatched=ignored)
    # A hit is named by its detection, and what does not count stays in the background.
    text = str(labels.types[index]) if missed else ""
    return Mark(labels.boxes_xyxy[index], look, text, _LABEL_OUTCOMES[outcome])


def _class_marks(
    objects: KittiObjects, classes: Sequence[str], *, dashed: bool = False
) -> list[Mark]:
    colours = {name.lower(): colour for name, colour in overlay_colours(classes).items()}
    colours[DONT_CARE_TYPE.lower()] = PALETTE[DONT_CARE_TYPE]
    return [
        _class_mark(objects, row, colours.get(str(name).lower(), _UNKNOWN_TYPE), dashed=dashed)
        for row, name in enumerate(objects.types)
    ]


def _class_mark(objects: KittiObjects, index: int, colour: Colour, *, dashed: bool) -> Mark:
    name = str(objects.types[index])
    ignored = same(name, DONT_CARE_TYPE)
    text, score = _describe(objects, index)
    look = Look(colour, THIN if dashed or ignored else THICK, dashed or ignored, ignored)
    group = f"{name} (label)" if dashed and not ignored else name
    return Mark(objects.boxes_xyxy[index], look, "" if dashed or ignored else text, group, score)


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
