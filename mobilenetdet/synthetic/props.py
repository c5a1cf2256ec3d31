"""Trees, lamps and signs: things along the street that hide objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from mobilenetdet.synthetic.mesh import Mesh, Part, assemble, box, frustum, limb, upright

_STEEL = (0.42, 0.43, 0.44)
_BARK = (0.26, 0.20, 0.15)
_WHITE = (0.92, 0.92, 0.90)
_SIGN_COLOURS = ((0.70, 0.08, 0.08), (0.08, 0.22, 0.60), (0.85, 0.70, 0.10))


@dataclass(frozen=True)
class Crown:
    """The foliage of a tree: number of its picture, width and top in metres."""

    picture: int
    width: float
    top: float


@cache
def build_trunk(height: float) -> Mesh:
    """Builds the trunk of a tree that is height metres tall."""
    thick = 0.018 * height
    top = 0.62 * height
    parts = [limb((0, 0, 0), (0, top, 0), (thick, 0.6 * thick), _BARK)]
    for side in (-1, 1):
        end = (0.05, top, side * 0.13 * height)
        parts.append(limb((0, 0.4 * height, 0), end, (0.5 * thick, 0.03), _BARK, sides=4))
    return _on_post(parts)


@cache
def build_lamp(*, side: int) -> Mesh:
    """Builds a street lamp whose arm reaches to one side (-1 left, +1 right of its heading)."""
    reach = side * 1.3
    parts = [
        limb((0, 0, 0), (0, 6.2, 0), (0.09, 0.06), _STEEL),
        limb((0, 6.1, 0), (0, 6.6, reach), (0.05, 0.04), _STEEL, sides=4),
        box((-0.12, 6.52, reach - 0.3), (0.12, 6.66, reach + 0.3), (0.75, 0.75, 0.7)),
    ]
    return _on_post(parts)


@cache
def build_sign(*, kind: int) -> Mesh:
    """Builds a traffic sign on a post, facing the camera: kind 0..5."""
    colour, corners = _SIGN_COLOURS[kind % 3], (4, 12)[kind // 3]
    angles = (np.arange(corners) + 0.5) * (2 * np.pi / corners)
    unit = np.stack([0 * angles, np.sin(angles), np.cos(angles)], axis=1)
    parts = [limb((0, 0, 0), (0, 2.5, 0), (0.035, 0.035), _STEEL, sides=4)]
    for radius, back, paint in ((0.36, -0.05, colour), (0.22, -0.065, _WHITE)):
        plate = np.array([back, 2.35, 0.0]) + radius * unit
        parts.append(frustum(plate, plate - (0.012, 0, 0), paint))
    return _on_post(parts)


def _on_post(parts: Sequence[Part]) -> Mesh:
    """Keeps the first part, a post that starts at the origin, over the origin."""
    mesh = assemble(parts)
    post = mesh.vertices[: len(parts[0].vertices) // 2]
    return upright(mesh, post.mean(axis=0)[[0, 2]])
