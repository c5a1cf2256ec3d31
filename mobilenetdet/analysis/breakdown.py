"""AP of parts of the objects: by height, occlusion, truncation and distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mobilenetdet.config.classes import KITTI_TASK, Difficulty, EvalTask
from mobilenetdet.config.type_names import check_choice
from mobilenetdet.kitti.assignment import PackedFrames, pack_frames
from mobilenetdet.kitti.average_precision import selection_curve
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.kitti.protocol import Selection

# Every labelled object of the class may count: the parts replace the difficulties.
_ANY = Difficulty("any", min_height=0, max_occlusion=3, max_truncation=1.0)


@dataclass(frozen=True)
class Part:
    """Objects with one property inside a range.

    Attributes:
        name: such as "25-40 px".
        low: smallest value that belongs to it.
        high: smallest value above it.
    """

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class PartAp:
    """What a detector makes of one part.

    Attributes:
        part: which.
        num_objects: objects of the class in it.
        r40: AP in percent; at most 2.5 (num_objects - 1) for fewer than 41 objects.
        recall: share of the objects that some detection covers, 0 to 1.
    """

    part: Part
    num_objects: int
    r40: float
    recall: float


def _parts(unit: str, *edges: float) -> tuple[Part, ...]:
    inner = [
        Part(f"{low:g}-{high:g} {unit}", low, high)
        for low, high in zip(edges, edges[1:], strict=False)
    ]
    return (*inner, Part(f"{edges[-1]:g} {unit} and more", edges[-1], np.inf))


PROPERTIES: dict[str, tuple[Part, ...]] = {
    "height": _parts("px", 15, 25, 40, 60, 100, 160),
    "occlusion": (Part("visible", 0, 1), Part("partly", 1, 2), Part("largely", 2, 3)),
    "truncation": (Part("whole", 0, 0.01), Part("to 0.3", 0.01, 0.3), Part("to 1", 0.3, 1.01)),
    "distance": _parts("m", 0, 10, 20, 30, 45, 60),
}


def ap_by(
    labels: Sequence[KittiObjects],
    detections: Sequence[KittiObjects],
    property_name: str,
    *,
    task: EvalTask = KITTI_TASK,
) -> dict[str, list[PartAp]]:
    """Return R40 and recall of each class for each part of the objects.

    Objects of other parts are ignored as too hard ones are: they absorb a detection. By height,
    detections of another height that cover no object of the part are ignored, too. A detector
    knows no occlusion, truncation or distance, so there every false alarm counts in every part.

    Args:
        labels: the labels of each frame, DontCare included.
        detections: the detections of the same frames, with scores.
        property_name: one of `PROPERTIES`.
        task: the classes and how each is scored.

    Raises:
        ValueError: an unknown property.
    """
    check_choice("property", property_name, tuple(PROPERTIES))
    packed = pack_frames(labels, detections, task=task)
    values = _values(labels, packed, property_name)
    det_heights = np.abs(packed.det_boxes[3] - packed.det_boxes[1])
    found: dict[str, list[PartAp]] = {}
    for code, name in enumerate(task.names):
        selection = Selection.of(packed, class_name=name, difficulty=_ANY, protocol="pre2017")
        own = packed.gt_types == code
        found[name] = [
            _part_ap(
                selection,
                part,
                counts=own & (values >= part.low) & (values < part.high),
                outside=(det_heights < part.low) | (det_heights >= part.high)
                if property_name == "height"
                else np.zeros(len(det_heights), bool),
            )
            for part in PROPERTIES[property_name]
        ]
    return found


def _part_ap(
    selection: Selection, part: Part, *, counts: np.ndarray, outside: np.ndarray
) -> PartAp:
    # A detection of another height that covers an object of the part is a hit all the same.
    covers = np.zeros(len(selection.det_counts), bool)
    covers[selection.dets[counts[selection.gts]]] = True
    chosen = replace(
        selection, gt_counts=counts, det_counts=selection.det_counts & (covers | ~outside)
    )
    curve = selection_curve(chosen)
    recall = float(curve.recalls.max(initial=0.0))
    return PartAp(part, curve.num_objects, curve.r40, recall)


def _values(labels: Sequence[KittiObjects], packed: PackedFrames, property_name: str) -> np.ndarray:
    """The property of every object [N]; NaN, which is in no part, where it is not known."""
    if property_name == "height":
        return packed.gt_boxes[3] - packed.gt_boxes[1]
    if property_name == "occlusion":
        values, unknown = packed.gt_occluded, packed.gt_occluded < 0
    elif property_name == "truncation":
        values, unknown = packed.gt_truncated, packed.gt_truncated < 0
    else:
        locations = np.concatenate([np.empty((0, 3)), *(frame.locations_xyz for frame in labels)])
        values, unknown = locations[:, 2], locations[:, 2] <= -1000
    return np.where(unknown, np.nan, values)
