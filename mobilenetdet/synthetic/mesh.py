"""Polygon meshes and the primitives that objects are built from.

Object coordinates follow KITTI's 3D boxes: x along the length (forward), y down, z along the
width; the origin is the centre of the footprint. Parts are described by (x, up, z) with up >= 0,
which reads more easily; `assemble` flips the sign once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

Colour = tuple[float, float, float]
Point = Sequence[float] | np.ndarray


@dataclass(frozen=True)
class Part:
    """Planar polygons without normals; `assemble` computes those.

    Attributes:
        vertices: [V, 3] (x, up, z), metres.
        faces: [F, K] vertex indices, either winding; shorter polygons repeat their last one.
        colours: reflectance of all faces, 0..1 RGB, or [F, 3].
        gloss: share of sky that faces mirror, 0..1, or [F].
        inside: a point (x, up, z) on the inner side of all faces, or [F, 3].
        lift: metres by which the part is moved out along its first normal; for panels.
    """

    vertices: np.ndarray
    faces: np.ndarray
    colours: np.ndarray | Colour
    gloss: np.ndarray | float
    inside: np.ndarray | Point
    lift: float = 0.0


@dataclass(frozen=True)
class Mesh:
    """Planar polygons with outward normals.

    Attributes:
        vertices: [V, 3] metres, object coordinates.
        faces: [F, K] vertex indices; shorter polygons repeat their last one.
        corners: [F] number of corners of each polygon.
        normals: [F, 3] unit, outward.
        colours: [F, 3] reflectance, 0..1 RGB.
        gloss: [F] share of sky that the face mirrors, 0..1.
    """

    vertices: np.ndarray
    faces: np.ndarray
    corners: np.ndarray
    normals: np.ndarray
    colours: np.ndarray
    gloss: np.ndarray

    @property
    def dimensions_hwl(self) -> np.ndarray:
        """[3] extents in metres as KITTI orders them: height, width, length."""
        length, height, width = self.vertices.max(axis=0) - self.vertices.min(axis=0)
        return np.array([height, width, length])


def assemble(parts: Sequence[Part]) -> Mesh:
    """Joins parts into a mesh, finds the normals, and stands it on the ground."""
    vertices = np.concatenate([part.vertices for part in parts])
    longest = max(part.faces.shape[1] for part in parts)
    starts = np.cumsum([0] + [len(part.vertices) for part in parts])
    counts = np.array([len(part.faces) for part in parts])
    faces = np.empty((counts.sum(), longest), np.int64)  # [F, K]
    firsts = np.cumsum(counts) - counts
    for part, start, first in zip(parts, starts, firsts, strict=False):
        count, corners = part.faces.shape
        faces[first : first + count, :corners] = part.faces + start
        faces[first : first + count, corners:] = part.faces[:, -1:] + start
    # Newell's sum does not notice the repeated index: it adds edges of length zero.
    inside = _per_face([part.inside for part in parts], counts, 3)
    normals = _outward_normals(vertices[faces], inside)
    for part, start, first in zip(parts, starts, firsts, strict=False):
        if part.lift:
            vertices[start : start + len(part.vertices)] += part.lift * normals[first]
    flip = np.array([1.0, -1.0, 1.0])
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    vertices -= ((low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2)
    colours = _per_face([part.colours for part in parts], counts, 3)
    gloss = _per_face([part.gloss for part in parts], counts, 1)[:, 0]
    corners = (np.diff(faces, axis=1) != 0).sum(axis=1) + 1
    return Mesh(vertices * flip, faces, corners, normals * flip, colours, gloss)


def _per_face(values: Sequence, counts: np.ndarray, width: int) -> np.ndarray:
    """Spreads values of parts, one a part or one a face, over all faces: [F, width]."""
    single_ndim = 0 if width == 1 else 1
    whole = [np.ndim(value) == single_ndim for value in values]
    blank = 0.0 if width == 1 else (0.0,) * width
    single = [value if same else blank for value, same in zip(values, whole, strict=True)]
    spread = np.repeat(np.array(single, dtype=np.float64).reshape(-1, width), counts, axis=0)
    firsts = np.cumsum(counts) - counts
    for value, same, first, count in zip(values, whole, firsts, counts, strict=True):
        if not same:
            spread[first : first + count] = np.asarray(value).reshape(count, width)
    return spread


def _outward_normals(corners: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Unit normals [F, 3] by Newell's method of polygons [F, K, 3], away from inner points."""
    following = np.concatenate([corners[:, 1:], corners[:, :1]], axis=1)
    (ax, ay, az), (bx, by, bz) = np.moveaxis(corners, 2, 0), np.moveaxis(following, 2, 0)
    normals = np.stack(
        [(ay * bz - az * by).sum(1), (az * bx - ax * bz).sum(1), (ax * by - ay * bx).sum(1)], axis=1
    )
    normals /= np.maximum(np.sqrt((normals**2).sum(axis=1, keepdims=True)), 1e-12)
    outward = ((corners.mean(axis=1) - inside) * normals).sum(axis=1, keepdims=True)
    return np.where(outward < 0, -normals, normals)


def upright(mesh: Mesh, foot: np.ndarray) -> Mesh:
    """Shifts a mesh sideways so that the point foot [2] (x, z) is its origin."""
    return replace(mesh, vertices=mesh.vertices - (foot[0], 0.0, foot[1]))


def box(low: Point, high: Point, colour: Colour) -> Part:
    """Builds a box between two corners (x, up, z)."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    bottom = np.array([[x0, y0, z0], [x1, y0, z0], [x1, y0, z1], [x0, y0, z1]], dtype=float)
    return frustum(bottom, bottom + (0, y1 - y0, 0), colour)


def frustum(bottom: np.ndarray, top: np.ndarray, colour: Colour, *, gloss: float = 0.0) -> Part:
    """Builds the solid between two loops of equally many corners [K, 3] (x, up, z)."""
    vertices = np.concatenate([bottom, top])
    return Part(vertices, _frustum_faces(len(bottom)), colour, gloss, vertices.mean(axis=0))


@cache
def _frustum_faces(count: int) -> np.ndarray:
    faces = [(i, (i + 1) % count, (i + 1) % count + count, i + count) for i in range(count)]
    return padded([*faces, tuple(range(count)), tuple(range(count, 2 * count))])


def padded(faces: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Makes polygons [F, K] equally long by repeating their last index."""
    longest = max(len(face) for face in faces)
    return np.array([face + (face[-1],) * (longest - len(face)) for face in faces])


def limb(
    start: Point, end: Point, radii: tuple[float, float], colour: Colour, *, sides: int = 6
) -> Part:
    """Builds a tapered rod from start to end (x, up, z) with the radius at either end."""
    start, end = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    axis: np.ndarray = end - start
    x, y, z = axis / np.sqrt((axis**2).sum())
    # Two unit vectors square to the axis; the first avoids the axis' longest component.
    first = np.array([0.0, -z, y] if abs(x) < 0.6 else [-y, x, 0.0])
    first /= np.sqrt((first**2).sum())
    fx, fy, fz = first
    second = np.array([y * fz - z * fy, z * fx - x * fz, x * fy - y * fx])
    angles = np.arange(sides) * (2 * np.pi / sides)
    circle = np.cos(angles)[:, None] * first + np.sin(angles)[:, None] * second  # [S, 3]
    return frustum(start + radii[0] * circle, end + radii[1] * circle, colour)


def ball(centre: Point, radii: Point, colour: Colour, *, rings: int = 4, sides: int = 8) -> Part:
    """Builds an ellipsoid of quads around a centre (x, up, z)."""
    latitudes = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
    # Caps at a small radius instead of a pole keep every face a proper polygon.
    latitudes[[0, -1]] *= 0.8
    angles = np.arange(sides) * (2 * np.pi / sides)
    unit = np.empty((rings + 1, sides, 3))
    unit[..., 0] = np.cos(latitudes)[:, None] * np.cos(angles)
    unit[..., 1] = np.sin(latitudes)[:, None]
    unit[..., 2] = np.cos(latitudes)[:, None] * np.sin(angles)
    centre = np.asarray(centre, dtype=float)
    vertices = unit.reshape(-1, 3) * np.asarray(radii) + centre
    return Part(vertices, _ball_faces(rings, sides), colour, 0.0, centre)


@cache
def _ball_faces(rings: int, sides: int) -> np.ndarray:
    faces = [tuple(range(sides)), tuple(range(rings * sides, (rings + 1) * sides))]
    for level in range(rings):
        for side in range(sides):
            a, b = level * sides + side, level * sides + (side + 1) % sides
            faces.append((a, b, b + sides, a + sides))
    return padded(faces)


def disc(
    centre: Point,
    radius: float,
    half_width: float,
    colours: tuple[Colour, Colour],
    *,
    sides: int = 12,
) -> Part:
    """Builds a wheel about the z axis: colours of the tread and of the two flat sides."""
    loop = _circle(centre, radius / np.cos(np.pi / sides), sides)
    shift = np.array([0.0, 0.0, half_width])
    part = frustum(loop - shift, loop + shift, colours[0])
    return replace(part, colours=np.array([colours[0]] * sides + [colours[1]] * 2))


def _circle(centre: Point, radius: float, sides: int) -> np.ndarray:
    """Polygon [S, 3] about the z axis; with the circumscribed radius an edge touches the ground."""
    angles = (np.arange(sides) - 0.5) * (2 * np.pi / sides) - np.pi / 2
    circle = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    return np.asarray(centre, dtype=float) + radius * circle


def ring(centre: Point, radius: float, section: float, colour: Colour, *, sides: int = 14) -> Part:
    """Builds an open wheel about the z axis: a tyre of a square section of the given side."""
    half = np.array([0.0, 0.0, section / 2])
    outer = _circle(centre, radius / np.cos(np.pi / sides), sides)
    inner = _circle(centre, radius - section, sides)
    vertices = np.concatenate([outer - half, outer + half, inner - half, inner + half])
    core = (outer + inner) / 2
    tread = (core + np.roll(core, -1, axis=0)) / 2
    # A flat side has its inner point across the section; a tread has it in the tyre's core.
    return Part(vertices, _ring_faces(sides), colour, 0.0, np.vstack([centre, centre, tread]))


@cache
def _ring_faces(sides: int) -> np.ndarray:
    """Two flat sides, each one polygon that goes round outside and back inside, and treads."""
    around = (*range(sides), 0)
    flat = [
        tuple(first + i for i in around) + tuple(second + i for i in reversed(around))
        for first, second in ((0, 2 * sides), (sides, 3 * sides))
    ]
    treads = [(i, (i + 1) % sides, (i + 1) % sides + sides, i + sides) for i in range(sides)]
    return padded(flat + treads)


def patch(
    quad: np.ndarray,
    window: tuple[float, float, float, float],
    colour: Colour,
    *,
    inside: Point,
    gloss: float = 0.0,
) -> Part:
    """Builds a thin panel that lies on part of a quad, a centimetre outside of it.

    Args:
        quad: [4, 3] corners (x, up, z) in order.
        window: (u0, u1, v0, v1) shares of the quad; u along its first edge, v along its last.
        colour: RGB.
        inside: (x, up, z) of a point on the inner side of the quad.
        gloss: share of sky that the panel mirrors.
    """
    u0, u1, v0, v1 = window
    u, v = np.array([[u0], [u1], [u1], [u0]]), np.array([[v0], [v0], [v1], [v1]])
    corners = (1 - v) * ((1 - u) * quad[0] + u * quad[1]) + v * ((1 - u) * quad[3] + u * quad[2])
    return panel(corners, colour, inside=inside, gloss=gloss)


def panel(
    corners: np.ndarray,
    colour: Colour,
    *,
    inside: Point,
    gloss: float = 0.0,
    lift: float = 0.012,
) -> Part:
    """Builds one polygon [K, 3] (x, up, z), lifted off the surface that it lies on (metres)."""
    return Part(corners, np.arange(len(corners))[None], colour, gloss, inside, lift)
