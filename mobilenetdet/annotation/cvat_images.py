"""CVAT for images 1.1: one XML file, uploaded to a task that has the pictures.

https://docs.cvat.ai/docs/manual/advanced/xml_format/; boxes are left, top, right, bottom in pixels.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from mobilenetdet.annotation.predicted_frames import PredictedFrame
from mobilenetdet.files.atomic_write import atomic_write
from mobilenetdet.label_formats.xml_file import xml_text

_DECIMALS = 2


def write_cvat(frames: list[PredictedFrame], output_path: Path) -> None:
    """Writes what was found as annotations with the source "auto".

    CVAT finds the pictures by their names, and takes labels that its task knows; the format has no
    place for scores.

    Args:
        frames: the pictures.
        output_path: the XML file.
    """
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    for number, frame in enumerate(frames):
        size = {"width": str(frame.width), "height": str(frame.height)}
        about = {"id": str(number), "name": xml_text(frame.name, "the picture"), **size}
        image = ElementTree.SubElement(root, "image", about)
        for name, _, *box in frame.detections:
            sides = zip(("xtl", "ytl", "xbr", "ybr"), box, strict=True)
            places = {side: f"{value:.{_DECIMALS}f}" for side, value in sides}
            about = {
                "label": xml_text(name, "the class"),
                "source": "auto",
                "occluded": "0",
                "z_order": "0",
            }
            ElementTree.SubElement(image, "box", {**about, **places})
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    with atomic_write(output_path) as temporary:
        temporary.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n', encoding="utf-8")
