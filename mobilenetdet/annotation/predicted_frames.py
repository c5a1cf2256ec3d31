"""The pictures and detections that `mobilenetdet predict --format json` has written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from mobilenetdet.config.type_names import NAME_RULE, is_type_name
from mobilenetdet.files.text import read_json
from mobilenetdet.findings import count_named

PREDICTIONS_FILE = "detections.json"
# Sides of pictures, pixels.
_LARGEST = 10**9
_REMEDY = "write it with mobilenetdet predict --format json"


@dataclass(frozen=True)
class PredictedFrame:
    """One picture and what was found in it.

    Attributes:
        source: path of the picture as it was given to `predict`.
        name: how it is called where it is labelled: its path below the folder that all share.
        width: pixels.
        height: pixels.
        detections: (class, score, left, top, right, bottom in pixels, inside the picture) each.
        classes: of all that was found, those of lower scores as well.
    """

    source: str
    name: str
    width: int
    height: int
    detections: tuple[tuple[str, float, float, float, float, float], ...]
    classes: tuple[str, ...] = ()


def read_predicted(place: Path, *, min_score: float = 0.0) -> list[PredictedFrame]:
    """Reads predictions.

    Args:
        place: the folder of the predictions, or its detections.json.
        min_score: detections below it are left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, holds no picture, or frames of a video, which are no
            picture files that could be labelled.
    """
    path = place / PREDICTIONS_FILE if place.is_dir() else place
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; {_REMEDY}")
    entries = read_json(path, _REMEDY)
    try:
        sources = [entry["source"] for entry in entries]
        names = _short_names(sources)
        frames = [
            _frame(entry, name, min_score) for entry, name in zip(entries, names, strict=True)
        ]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path} does not hold predictions ({error!r}); {_REMEDY}") from None
    if not frames:
        raise ValueError(f"{path} holds no picture; {_REMEDY}")
    if repeated := sorted(source for source, count in Counter(sources).items() if count > 1):
        what = "files hold several pictures; take the frames out of a video and predict in those"
        raise ValueError(f"{path}: {count_named(repeated, len(set(sources)), what)}")
    return frames


def class_names(frames: list[PredictedFrame]) -> list[str]:
    """Returns the classes that were found, sorted."""
    return sorted({name for frame in frames for name in frame.classes})


def _short_names(sources: list[str]) -> list[str]:
    paths = [os.path.abspath(source) for source in sources]
    folder = os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else ""
    return [Path(os.path.relpath(path, folder)).as_posix() for path in paths]


def _frame(entry: Mapping[str, Any], name: str, min_score: float) -> PredictedFrame:
    width, height = int(entry["width"]), int(entry["height"])
    if not (1 <= width <= _LARGEST and 1 <= height <= _LARGEST):
        raise ValueError(f"a picture of {width}x{height} pixels")
    rows = []
    for each in entry["detections"]:
        kind, score = each["class"], float(each["score"])
        if not isinstance(kind, str) or not is_type_name(kind):
            raise ValueError(f"the class {str(kind)[:100]!r} is no name; {NAME_RULE}")
        box = [float(side) for side in each["box_xyxy"]]
        if len(box) != 4 or isinstance(each["box_xyxy"], str) or not all(map(isfinite, box)):
            raise ValueError(f"a box of {str(each['box_xyxy'])[:80]}")
        if not isfinite(score):
            raise ValueError(f"a score of {score}")
        left, top, right, bottom = box
        left, right = max(0.0, left), min(float(width), right)
        top, bottom = max(0.0, top), min(float(height), bottom)
        if score >= min_score and right > left and bottom > top:
            rows.append((kind, score, left, top, right, bottom))
    classes = tuple(dict.fromkeys(each["class"] for each in entry["detections"]))
    return PredictedFrame(str(entry["source"]), name, width, height, tuple(rows), classes)
