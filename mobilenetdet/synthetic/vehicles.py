"""Cars and vans as lofted bodies with windows, wheels and lights."""

from __future__ import annotations

import numpy as np

from mobilenetdet.synthetic.mesh import (
    Colour,
    Mesh,
    Part,
    assemble,
    disc,
    frustum,
    padded,
    panel,
    patch,
)

_GLASS: Colour = (0.10, 0.12, 0.15)
_RUBBER: Colour = (0.055, 0.055, 0.06)
_RIM: Colour = (0.55, 0.56, 0.58)
_TRIM: Colour = (0.10, 0.10, 0.11)
_HEADLIGHT: Colour = (0.95, 0.95, 0.92)
_TAIL_LIGHT: Colour = (0.72, 0.05, 0.05)
_PLATE: Colour = (0.88, 0.88, 0.85)

PAINTS: tuple[Colour, ...] = (
    (0.75, 0.76, 0.78),
    (0.52, 0.54, 0.57),
    (0.30, 0.31, 0.34),
    (0.09, 0.09, 0.10),
    (0.90, 0.90, 0.89),
    (0.12, 0.17, 0.33),
    (0.48, 0.06, 0.07),
    (0.16, 0.30, 0.52),
    (0.14, 0.27, 0.19),
    (0.62, 0.54, 0.40),
    (0.72, 0.33, 0.08),
    (0.45, 0.60, 0.70),
)
_PAINT_SHARES = np.array([16, 14, 13, 15, 13, 8, 7, 5, 3, 3, 1, 2]) / 100

# Side outlines (x / length, up / height), from the lower rear over the bonnet to the lower front.
# The first and last edge lie at the rear and at the front; names of edges are indices below.
_SEDAN = ((-0.47, 0.17), (-0.50, 0.27), (-0.495, 0.46), (-0.475, 0.615), (-0.33, 0.645)) + (
    (0.20, 0.635),
    (0.43, 0.54),
    (0.487, 0.45),
    (0.50, 0.28),
    (0.475, 0.17),
)
_HATCH = ((-0.47, 0.17), (-0.50, 0.27), (-0.498, 0.46), (-0.485, 0.60), (-0.46, 0.625)) + (
    (0.23, 0.615),
    (0.43, 0.53),
    (0.487, 0.44),
    (0.50, 0.28),
    (0.475, 0.17),
)
# Cabin: x of the belt line's rear and front, x of the roof's rear and front (shares of length).
_BODIES = {
    "sedan": (_SEDAN, (-0.40, 0.24, -0.21, 0.05)),
    "hatchback": (_HATCH, (-0.485, 0.26, -0.40, 0.05)),
    "estate": (_HATCH, (-0.485, 0.24, -0.44, 0.07)),
}
_VAN = ((-0.485, 0.13), (-0.50, 0.20), (-0.50, 0.45), (-0.495, 0.93), (-0.465, 1.0)) + (
    (0.23, 1.0),
    (0.39, 0.60),
    (0.475, 0.50),
    (0.50, 0.24),
    (0.48, 0.13),
)


def sample_paint(rng: np.random.Generator) -> Colour:
    """Draws a body colour: mostly white, grey, silver and black, as on the road."""
    base = np.array(PAINTS[rng.choice(len(PAINTS), p=_PAINT_SHARES)])
    return tuple(np.clip(base * rng.uniform(0.85, 1.15) + rng.normal(0, 0.015, 3), 0.03, 0.95))


def build_car(rng: np.random.Generator) -> Mesh:
    """Builds a saloon, hatchback or estate of a random size and colour."""
    style = ("sedan", "hatchback", "estate")[rng.choice(3, p=(0.35, 0.4, 0.25))]
    longer = {"sedan": 0.35, "hatchback": -0.2, "estate": 0.25}[style]
    length = np.clip(rng.normal(4.0 + longer, 0.25), 3.3, 4.9)
    width = np.clip(rng.normal(1.66, 0.07), 1.48, 1.9)
    height = np.clip(rng.normal(1.52, 0.08), 1.38, 1.78)
    size = np.array([length, height, width])
    outline, cabin = _BODIES[style]
    paint = sample_paint(rng)
    body = _body_parts(np.array(outline), size, paint)
    body += _end_parts(np.array(outline), size, tail_light=(0.24, 0.2, 0.9))
    return assemble([*body, *_cabin_parts(cabin, size, paint), *_wheel_parts(size, 0.205)])


def build_van(rng: np.random.Generator) -> Mesh:
    """Builds a delivery van or minibus of a random size and colour."""
    length = np.clip(rng.normal(5.0, 0.35), 4.3, 6.0)
    width = np.clip(rng.normal(1.9, 0.08), 1.7, 2.1)
    height = np.clip(rng.normal(2.2, 0.2), 1.9, 2.6)
    size = np.array([length, height, width])
    paint = sample_paint(rng) if rng.random() < 0.5 else (0.88, 0.88, 0.87)
    parts = _body_parts(np.array(_VAN), size, paint)
    parts += _end_parts(np.array(_VAN), size, tail_light=(0.09, 0.0, 0.3))
    parts += _van_windows(size, minibus=rng.random() < 0.35)
    return assemble([*parts, *_wheel_parts(size, 0.155)])


def _body_parts(outline: np.ndarray, size: np.ndarray, paint: Colour) -> list[Part]:
    """Lofts the outline over the width with chamfered flanks; adds lights, plates and trim."""
    length, height, width = size
    side = width / 2 - 0.03  # the wheels stand out by 3 cm
    profile = outline * (length, height)  # [K, 2]
    middle = profile.mean(axis=0)
    flank = (profile - middle) * (0.985, 0.95) + middle
    loops = [
        np.insert(points, 2, depth, axis=1)
        for points, depth in (
            (flank, -side),
            (profile, -0.87 * side),
            (profile, 0.87 * side),
            (flank, side),
        )
    ]
    vertices = np.vstack(loops)
    count = len(outline)
    faces = [tuple(range(count)), tuple(range(3 * count, 4 * count))]
    colours: list[Colour] = [paint, paint]
    for strip in range(3):
        for i in range(count):
            j = (i + 1) % count
            a, b = strip * count + i, strip * count + j
            faces.append((a, b, b + count, a + count))
            low = i in (0, count - 2, count - 1)
            colours.append(_TRIM if low else paint)
    gloss = np.where(np.array(colours)[:, 0] == _TRIM[0], 0.0, 0.12)
    body = Part(vertices, padded(faces), np.array(colours), gloss, vertices.mean(axis=0))
    return [body, *_sill_parts(size, side)]


def _end_parts(
    outline: np.ndarray, size: np.ndarray, *, tail_light: tuple[float, float, float]
) -> list[Part]:
    """Builds lights, grille and plates on the edges of the outline at the front and at the rear."""
    half = 0.87 * (size[2] / 2 - 0.03)
    left, right = (np.insert(outline * size[:2], 2, z, axis=1) for z in (-half, half))
    inside = (0.0, size[1] / 2, 0.0)
    reach, low, high = tail_light

    def strip(i: int) -> np.ndarray:
        return np.array([left[i], right[i], right[i + 1], left[i + 1]])  # u across, v up or down

    front, nose, tail, bumper = strip(6), strip(7), strip(2), strip(1)
    parts = []
    for light in ((0.0, 0.24), (0.76, 1.0)):
        parts.append(patch(front, (*light, 0.25, 1.0), _HEADLIGHT, inside=inside, gloss=0.2))
    for light in ((0.0, reach), (1 - reach, 1.0)):
        parts.append(patch(tail, (*light, low, high), _TAIL_LIGHT, inside=inside))
    parts.append(patch(nose, (0.18, 0.82, 0.08, 0.45), _TRIM, inside=inside))
    parts.append(patch(nose, (0.36, 0.64, 0.55, 0.8), _PLATE, inside=inside))
    parts.append(patch(bumper, (0.36, 0.64, 0.55, 0.95), _PLATE, inside=inside))
    return parts


def _sill_parts(size: np.ndarray, side: float) -> list[Part]:
    """Builds dark sills, door gaps and wheel arches on both flanks."""
    length, height, _ = size
    radius = 0.33
    angles = np.linspace(0, np.pi, 9)
    parts = []
    for z in (-side, side):
        inside = (0.0, height / 2, 0.0)
        for x in (-0.31 * length, 0.315 * length):
            arch = np.stack(
                [x + 1.16 * radius * np.cos(angles), radius + 1.1 * radius * np.sin(angles)], axis=1
            )
            parts.append(panel(np.insert(arch, 2, z, axis=1), _TRIM, inside=inside, lift=0.008))
        for x0, x1, low, high in (
            (-0.2, 0.2, 0.20, 0.24),
            (-0.012, -0.008, 0.26, 0.6),
            (0.18, 0.184, 0.3, 0.6),
        ):
            quad = [
                (x * length, up * height, z)
                for x, up in ((x0, low), (x1, low), (x1, high), (x0, high))
            ]
            parts.append(panel(np.array(quad), _TRIM, inside=inside, lift=0.008))
    return parts


def _cabin_parts(cabin: tuple[float, ...], size: np.ndarray, paint: Colour) -> list[Part]:
    """Builds a cabin with a domed roof and windows all round."""
    length, height, width = size
    rear, front, roof_rear, roof_front = np.array(cabin) * length

    def loop(x0: float, x1: float, up: float, half: float) -> np.ndarray:
        return np.array([[x0, up, -half], [x1, up, -half], [x1, up, half], [x0, up, half]])

    half = width / 2 - 0.03
    belt = loop(rear, front, 0.60 * height, 0.95 * half)
    eaves = loop(roof_rear, roof_front, 0.95 * height, 0.77 * half)
    crown = loop(roof_rear + 0.12, roof_front - 0.18, height, 0.62 * half)
    parts = [frustum(belt, eaves, paint, gloss=0.12), frustum(eaves, crown, paint, gloss=0.15)]
    inside = (0.0, 0.7 * height, 0.0)
    for i, j in ((0, 1), (3, 2)):  # the flanks, rear to front
        quad = np.array([belt[i], belt[j], eaves[j], eaves[i]])
        for window in ((0.08, 0.44, 0.16, 0.93), (0.48, 0.90, 0.16, 0.93)):
            parts.append(patch(quad, window, _GLASS, inside=inside, gloss=0.22))
    for i, j in ((1, 2), (3, 0)):  # windscreen and rear window
        quad = np.array([belt[i], belt[j], eaves[j], eaves[i]])
        window = (0.06, 0.94, 0.14, 0.95)
        parts.append(patch(quad, window, _GLASS, inside=inside, gloss=0.3))
    return parts


def _van_windows(size: np.ndarray, *, minibus: bool) -> list[Part]:
    length, height, width = size
    side = width / 2 - 0.03
    inside = (0.0, height / 2, 0.0)
    outlines = [((0.10, 0.62), (0.34, 0.62), (0.235, 0.90), (0.10, 0.90))]
    if minibus:
        outlines.append(((-0.20, 0.62), (0.07, 0.62), (0.07, 0.90), (-0.20, 0.90)))
        outlines.append(((-0.46, 0.62), (-0.23, 0.62), (-0.23, 0.90), (-0.46, 0.90)))
    parts = []
    for outline in outlines:
        for z in (-side, side):
            corners = np.insert(np.array(outline) * (length, height), 2, z, axis=1)
            parts.append(panel(corners, _GLASS, inside=inside, gloss=0.22))
    half = 0.87 * side
    low, high = (0.39 * length, 0.60 * height), (0.23 * length, height)
    screen = np.array([(*low, -half), (*low, half), (*high, half), (*high, -half)])
    parts.append(patch(screen, (0.04, 0.96, 0.06, 0.85), _GLASS, inside=inside, gloss=0.3))
    low, high = (-0.50 * length, 0.45 * height), (-0.495 * length, 0.93 * height)
    doors = np.array([(*low, -half), (*low, half), (*high, half), (*high, -half)])
    for u0, u1 in ((0.08, 0.47), (0.53, 0.92)):
        parts.append(patch(doors, (u0, u1, 0.4, 0.92), _GLASS, inside=inside, gloss=0.25))
    parts.append(patch(doors, (0.495, 0.505, 0.0, 1.0), _TRIM, inside=inside))
    return parts


def _wheel_parts(size: np.ndarray, relative_radius: float) -> list[Part]:
    length, height, width = size
    radius = relative_radius * height
    angles = np.arange(10) * (np.pi / 5)
    unit = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    parts = []
    for x in (-0.31 * length, 0.315 * length):
        for sign in (-1, 1):
            centre = (x, radius, sign * (width / 2 - 0.1))
            parts.append(disc(centre, radius, 0.09, (_RUBBER, _RUBBER)))
            rim = centre[:2] + 0.64 * radius * unit
            hub = np.insert(rim, 2, sign * (width / 2 - 0.01), axis=1)
            parts.append(panel(hub, _RIM, inside=(x, radius, 0.0), lift=0.01))
    return parts
