"""What a box of a record is in a batch: an object to learn, ignored, a DontCare region, nothing.

Nothing is deleted that a prediction could land on: neighbours (Van for Car), objects that
are too hard and what a crop has left of an object stay, as IGNORED.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mobilenetdet.boxes.box_status import DONT_CARE, IGNORED, OBJECT, PADDING
from mobilenetdet.config.classes import EvalTask
from mobilenetdet.config.detection import DataConfig
from mobilenetdet.config.type_names import DONT_CARE_TYPE
from mobilenetdet.kitti.labels import KittiObjects


@dataclass(frozen=True)
class Targets:
    """The boxes of one frame in a batch.

    Attributes:
        boxes_xyxy: float32 [N, 4], pixels of the network input, half-open.
        classes: int32 [N], index into `config.data.classes`; -1 for DontCare.
        box_status: int32 [N], OBJECT, IGNORED or DONT_CARE of `boxes.box_status`.
        num_dropped: boxes that had become too small and are not among them.
    """

    boxes_xyxy: np.ndarray
    classes: np.ndarray
    box_status: np.ndarray
    num_dropped: int


def assign_box_status(objects: KittiObjects, config: DataConfig) -> tuple[np.ndarray, np.ndarray]:
    """Returns the class index and the status of each object, by its label alone.

    Args:
        objects: N labels of a frame.
        config: classes, class map and neighbours (names compare in any case), `max_occlusion`,
            `max_truncation`.

    Returns:
        int32 [N] class indices (-1 for DontCare and what is not detected), and int32 [N] status,
        PADDING for objects of classes that are background.

    Example: with classes ("Car",) a Car is (0, OBJECT), a Van (0, IGNORED), a DontCare region
    (-1, DONT_CARE) and a Tram (-1, PADDING).
    """
    known = _box_status_by_type(config.class_task())
    pairs = [known.get(str(name).lower(), (-1, PADDING)) for name in objects.types]
    classes, box_status = np.array(pairs, np.int32).reshape(-1, 2).T
    too_hard = objects.occluded > config.max_occlusion
    too_hard |= objects.truncated > config.max_truncation
    return classes, np.where((box_status == OBJECT) & too_hard, IGNORED, box_status).astype(
        np.int32
    )


def make_targets(
    boxes_xyxy: np.ndarray,
    classes: np.ndarray,
    box_status: np.ndarray,
    *,
    window_xyxy: np.ndarray,
    min_size: float,
    min_visibility: float,
    min_height: float,
) -> Targets:
    """Clips boxes to the drawn image, drops and counts the smallest, ignores the too hard.

    Args:
        boxes_xyxy: [N, 4], pixels of the network input, not clipped.
        classes: int32 [N].
        box_status: int32 [N].
        window_xyxy: [4], where the image lies in the network input.
        min_size: boxes narrower or lower than this after clipping are dropped; those that have no
            area always are.
        min_visibility: objects of which less than this share of the area is left are ignored.
        min_height: objects lower than this are ignored.
    """
    low, high = np.tile(window_xyxy[:2], 2), np.tile(window_xyxy[2:], 2)
    clipped = np.clip(boxes_xyxy, low, high).astype(np.float32)
    sizes = clipped[:, 2:] - clipped[:, :2]  # [N, 2]
    kept = (sizes > 0).all(axis=1) & (sizes >= min_size).all(axis=1)
    full_sizes = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    # Rounding must not make a box that is all there fall below a share of 1.
    visible = sizes.prod(axis=1) >= min_visibility * full_sizes.prod(axis=1) - 1e-3
    learnt = visible & (sizes[:, 1] >= min_height)
    box_status = np.where((box_status == OBJECT) & ~learnt, IGNORED, box_status).astype(np.int32)
    return Targets(clipped[kept], classes[kept], box_status[kept], int((~kept).sum()))


def _box_status_by_type(task: EvalTask) -> dict[str, tuple[int, int]]:
    """Class index and status by type in lower case; a class is an object beside another, too."""
    own = {t: (task.index(name), OBJECT) for t, name in task.class_of_type.items()}
    neighbours: dict[str, tuple[int, int]] = {}
    for index, entry in enumerate(task.classes):
        for name in entry.neighbours:
            neighbours.setdefault(name.lower(), (index, IGNORED))
    return {DONT_CARE_TYPE.lower(): (-1, DONT_CARE)} | neighbours | own
