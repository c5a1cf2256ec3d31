"""Which anchors learn which object, drawn over the image."""

from __future__ import annotations

import numpy as np

from mobilenetdet.config.type_names import DONT_CARE_TYPE, same
from mobilenetdet.drawing.box_style import PALETTE, THICK, THIN, Look, Mark, render
from mobilenetdet.drawing.tags import Colour
from mobilenetdet.kitti.labels import KittiObjects

# Neighbours in an image should not look alike; with more objects the colours begin again.
_COLOURS: tuple[Colour, ...] = (
    (72, 176, 255),
    (252, 214, 60),
    (255, 112, 190),
    (52, 211, 112),
    (255, 168, 28),
    (150, 140, 255),
    (64, 224, 208),
    (255, 66, 62),
)


def draw_matches(
    image_rgb: np.ndarray,
    objects: KittiObjects,
    anchors_xyxy: np.ndarray,
    owners: np.ndarray,
    *,
    title: str = "",
) -> np.ndarray:
    """Draws objects with thick lines and the anchors that learn them with thin ones of that colour.

    Args:
        image_rgb: uint8 [H, W, 3]; it is not changed.
        objects: the N objects, pixels of this image; DontCare regions are hatched.
        anchors_xyxy: [P, 4], the anchors that learn an object, in the same pixels.
        owners: int [P], the row of the object that each of them learns.
        title: stands at the right of the strip below the image.

    Returns:
        uint8 [H + strip, W, 3]. The tag of an object says how many anchors learn it.

    Raises:
        ValueError: there is not one owner for each anchor.
    """
    if len(owners) != len(anchors_xyxy):
        raise ValueError(f"{len(owners)} owners for {len(anchors_xyxy)} anchors")
    marks = [
        Mark(box, Look(_COLOURS[int(row) % len(_COLOURS)], THIN), "", "anchors")
        for box, row in zip(anchors_xyxy, owners, strict=True)
    ]
    for row, (name, box) in enumerate(zip(objects.types, objects.boxes_xyxy, strict=True)):
        if same(str(name), DONT_CARE_TYPE):
            look = Look(PALETTE[DONT_CARE_TYPE], THIN, dashed=True, hatched=True)
            marks.append(Mark(box, look, "", "not learnt"))
        else:
            text = f"{name}: {int((np.asarray(owners) == row).sum())}"
            marks.append(Mark(box, Look(_COLOURS[row % len(_COLOURS)], THICK), text, "objects"))
    return render(image_rgb, marks, title, ("objects", "anchors", "not learnt"))
