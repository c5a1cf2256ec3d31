"""KITTI's label columns from rendered silhouettes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mobilenetdet.config.type_names import DONT_CARE_TYPE
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.synthetic.camera import IMAGE_HEIGHT, IMAGE_WIDTH
from mobilenetdet.synthetic.raster import Silhouette
from mobilenetdet.synthetic.scene import Actor

MIN_HEIGHT = 16.0  # pixels; smaller objects are labelled DontCare
MIN_SIDE = 3.0  # pixels; what the border leaves narrower than this is no label at all
MIN_VISIBLE = 0.12  # visible share of the silhouette under which an object is DontCare
MAX_TRUNCATION = 0.92

# Hidden share of the silhouette up to which KITTI's levels 0 (fully visible), 1 (partly occluded)
# and 2 (largely occluded) reach; what is hidden more is 3.
OCCLUSION_LIMITS = (0.10, 0.45, 0.75)


@dataclass(frozen=True)
class RenderedFrame:
    """A picture with its labels.

    Attributes:
        image_rgb: uint8 [375, 1242, 3].
        objects: [N] labels, DontCare regions last.
        p2: [3, 4] projection that the picture was made with.
        visible_shares: [N] share 0..1 of each object's own silhouette that nothing hides.
    """

    image_rgb: np.ndarray
    objects: KittiObjects
    p2: np.ndarray
    visible_shares: np.ndarray


def occlusion_level(visible_share: float) -> int:
    """Returns KITTI's level 0..3 for the visible share 0..1 of an object's silhouette.

    `occlusion_level(0.7)` is 1: 30 % of it is hidden.
    """
    hidden = 1.0 - visible_share
    return int(np.searchsorted(OCCLUSION_LIMITS, hidden - 1e-9))


def truncation(full_xyxy: np.ndarray, inside_xyxy: np.ndarray) -> float:
    """Returns the share 0..1 of the whole projected box that lies outside of the image.

    `truncation(np.array([-10, 0, 10, 20]), np.array([0, 0, 10, 20]))` is 0.5.
    """
    image = np.array([IMAGE_WIDTH, IMAGE_HEIGHT], dtype=np.float64)
    low, high = np.clip(full_xyxy[:2], 0, image), np.clip(full_xyxy[2:], 0, image)
    whole = np.prod(full_xyxy[2:] - full_xyxy[:2])
    return float(np.clip(1.0 - np.prod(high - low) / whole, 0.0, 1.0)) if whole > 0 else 0.0


def observation_angle(rotation_y: float, location: np.ndarray) -> float:
    """Returns KITTI's alpha in [-pi, pi): rotation_y - atan2(x, z)."""
    angle = rotation_y - np.arctan2(location[0], location[2])
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


class _Row(NamedTuple):
    """A labelled object and its columns."""

    actor: Actor
    truncated: float
    occluded: int
    box_xyxy: np.ndarray
    visible: float


def label_objects(
    actors: Sequence[Actor], silhouettes: Sequence[Silhouette], visible_shares: Sequence[float]
) -> tuple[KittiObjects, np.ndarray]:
    """Labels what the image shows: near objects in order of depth, then the DontCare regions.

    Args:
        actors: objects of the scene.
        silhouettes: what each covers.
        visible_shares: visible share of each silhouette, 0..1.

    Returns:
        The labels, and [N] the visible share of each of them.
    """
    rows, regions = [], []
    for actor, silhouette, visible in zip(actors, silhouettes, visible_shares, strict=True):
        if silhouette.inside_xyxy is None or visible <= 0:
            continue  # outside of the image, or not a pixel of it to be seen
        limits = np.array([IMAGE_WIDTH - 1, IMAGE_HEIGHT - 1] * 2)
        box_xyxy = np.round(np.clip(silhouette.inside_xyxy, 0, limits), 2)
        cut = round(truncation(silhouette.full_xyxy, silhouette.inside_xyxy), 2)
        width, height = box_xyxy[2:] - box_xyxy[:2]
        if min(width, height) < MIN_SIDE and cut > 0:
            continue
        if height < MIN_HEIGHT or visible < MIN_VISIBLE or cut > MAX_TRUNCATION:
            regions.append((box_xyxy, visible))
        else:
            rows.append(_Row(actor, cut, occlusion_level(visible), box_xyxy, visible))
    rows.sort(key=lambda row: row.actor.location[2])
    shares = [row.visible for row in rows] + [visible for _, visible in regions]
    return _to_objects(rows, [box for box, _ in regions]), np.array(shares)


def _to_objects(rows: Sequence[_Row], regions: Sequence[np.ndarray]) -> KittiObjects:
    actors = [row.actor for row in rows]
    known, unknown = len(rows), len(regions)

    def column(values: Sequence[Any], shape: tuple[int, ...], filler: float) -> np.ndarray:
        """Returns a column: the values of the known objects, then the filler for DontCare."""
        filled = np.full((known + unknown, *shape), filler, dtype=np.float64)
        if known:
            # Two decimals, as KITTI writes them: what is returned is what a file gives back.
            filled[:known] = np.round(np.array(values, dtype=np.float64).reshape(known, *shape), 2)
        return filled

    boxes = [row.box_xyxy for row in rows] + list(regions)
    return KittiObjects(
        types=np.array(
            [actor.class_name for actor in actors] + [DONT_CARE_TYPE] * unknown, dtype=str
        ),
        truncated=column([row.truncated for row in rows], (), -1),
        occluded=column([row.occluded for row in rows], (), -1).astype(np.int64),
        alpha=column([observation_angle(a.rotation_y, a.location) for a in actors], (), -10),
        boxes_xyxy=np.array(boxes, dtype=np.float64).reshape(-1, 4),
        dimensions_hwl=column([a.mesh.dimensions_hwl for a in actors], (3,), -1),
        locations_xyz=column([a.location for a in actors], (3,), -1000),
        rotation_y=column([a.rotation_y for a in actors], (), -10),
    )
