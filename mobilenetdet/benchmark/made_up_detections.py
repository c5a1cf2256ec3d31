"""Detections of no detector, to time the evaluation with."""

from __future__ import annotations

import numpy as np

from mobilenetdet.config.classes import EVALUATED_CLASSES
from mobilenetdet.kitti.labels import KittiObjects

_WIDTH, _HEIGHT = 1242.0, 375.0
# Sides of made-up boxes and how far those near an object are off it, pixels.
_SIDES, _JITTER = (20.0, 200.0), 5.0


def make_detections(
    labels: KittiObjects, num_detections: int, rng: np.random.Generator
) -> KittiObjects:
    """Makes up detections of a frame: some near its objects, the rest anywhere.

    Args:
        labels: the objects of the frame.
        num_detections: how many.
        rng: decides about places, classes and scores.
    """
    near = labels.boxes_xyxy[:num_detections]
    near = near + rng.normal(0, _JITTER, near.shape)
    near = np.hstack([np.minimum(near[:, :2], near[:, 2:]), np.maximum(near[:, :2], near[:, 2:])])
    names = labels.types[:num_detections].tolist()
    names = [name if name in EVALUATED_CLASSES else EVALUATED_CLASSES[0] for name in names]
    count = num_detections - len(near)
    corners = rng.uniform((0, 0), (_WIDTH - _SIDES[0], _HEIGHT - _SIDES[0]), (count, 2))
    far = np.hstack([corners, corners + rng.uniform(*_SIDES, (count, 2))])
    names += rng.choice(EVALUATED_CLASSES, count).tolist()
    boxes = np.vstack([near, far]).clip(0, (_WIDTH, _HEIGHT, _WIDTH, _HEIGHT)).round(2)
    return KittiObjects.from_detections(names, boxes, rng.random(num_detections).round(4))
