"""Label Studio: tasks with predictions, and the labelling interface that they are for.

Boxes are shares of the picture in percent
(https://labelstud.io/guide/predictions, https://labelstud.io/tags/rectanglelabels).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from mobilenetdet.annotation.predicted_frames import PredictedFrame, class_names
from mobilenetdet.files.text import write_json
from mobilenetdet.label_formats.xml_file import xml_text

# What Label Studio serves files of its own machine under.
LOCAL_FILES = "/data/local-files/?d="
_CONTROL, _IMAGE = "label", "image"


def write_label_studio(
    frames: list[PredictedFrame],
    output_path: Path,
    *,
    image_prefix: str = LOCAL_FILES,
    model_version: str = "mobilenetdet",
) -> None:
    """Writes tasks to be imported, with what was found as predictions.

    Args:
        frames: the pictures.
        output_path: the JSON file.
        image_prefix: what stands before the name of a picture: where Label Studio finds it.
        model_version: name of the predictions in Label Studio.
    """
    tasks = [
        {
            "data": {_IMAGE: image_prefix + quote(os.fsencode(frame.name))},
            "predictions": [_prediction(frame, model_version)],
        }
        for frame in frames
    ]
    write_json(output_path, tasks, indent=1)


def labelling_interface(frames: list[PredictedFrame], classes: Sequence[str] = ()) -> str:
    """Returns the XML of a labelling interface for these predictions.

    Args:
        frames: the pictures.
        classes: to be offered; by default those that were found.
    """
    labels = "".join(
        f"    <Label value={quoteattr(xml_text(name, 'the class'))}/>\n"
        for name in classes or class_names(frames)
    )
    return (
        f'<View>\n  <Image name="{_IMAGE}" value="${_IMAGE}"/>\n'
        f'  <RectangleLabels name="{_CONTROL}" toName="{_IMAGE}">\n{labels}'
        "  </RectangleLabels>\n</View>\n"
    )


def _prediction(frame: PredictedFrame, model_version: str) -> dict[str, Any]:
    scores = [row[1] for row in frame.detections]
    return {
        "model_version": model_version,
        # Pictures with unsure boxes can be labelled first.
        "score": min(scores, default=0.0),
        "result": [_region(frame, place) for place in range(len(frame.detections))],
    }


def _region(frame: PredictedFrame, place: int) -> dict[str, Any]:
    name, score, left, top, right, bottom = frame.detections[place]
    x_percent, y_percent = 100 / frame.width, 100 / frame.height
    return {
        "id": f"{place:04d}",
        "type": "rectanglelabels",
        "from_name": _CONTROL,
        "to_name": _IMAGE,
        "original_width": frame.width,
        "original_height": frame.height,
        "image_rotation": 0,
        "score": score,
        "value": {
            "x": left * x_percent,
            "y": top * y_percent,
            "width": (right - left) * x_percent,
            "height": (bottom - top) * y_percent,
            "rotation": 0,
            "rectanglelabels": [name],
        },
    }
