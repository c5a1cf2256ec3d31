"""Pedestrians and cyclists as jointed figures."""

from __future__ import annotations

import numpy as np

from mobilenetdet.synthetic.mesh import (
    Colour,
    Mesh,
    Part,
    Point,
    assemble,
    ball,
    box,
    frustum,
    limb,
    ring,
)

_SKIN: tuple[Colour, ...] = ((0.86, 0.66, 0.54), (0.72, 0.52, 0.40), (0.45, 0.30, 0.22))
_HAIR: tuple[Colour, ...] = (
    (0.10, 0.08, 0.07),
    (0.25, 0.16, 0.09),
    (0.55, 0.42, 0.22),
    (0.5, 0.5, 0.5),
)
_TOPS: tuple[Colour, ...] = (
    (0.12, 0.13, 0.16),
    (0.62, 0.10, 0.12),
    (0.14, 0.24, 0.45),
    (0.80, 0.80, 0.78),
    (0.35, 0.37, 0.38),
    (0.18, 0.38, 0.24),
    (0.75, 0.58, 0.18),
    (0.45, 0.25, 0.40),
)
_TROUSERS: tuple[Colour, ...] = (
    (0.10, 0.11, 0.16),
    (0.17, 0.22, 0.34),
    (0.30, 0.27, 0.22),
    (0.07, 0.07, 0.08),
    (0.50, 0.46, 0.38),
)
_SHOES: Colour = (0.09, 0.08, 0.08)
_TYRE: Colour = (0.06, 0.06, 0.06)


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    base = np.array(colours[rng.integers(len(colours))])
    return tuple(np.clip(base * rng.uniform(0.8, 1.2) + rng.normal(0, 0.02, 3), 0.03, 0.95))


def build_pedestrian(rng: np.random.Generator) -> Mesh:
    """Builds a walking or standing person, 1.5 to 1.95 m tall."""
    height = float(np.clip(rng.normal(1.74, 0.09), 1.5, 1.95))
    stride = float(rng.uniform(0.03, 0.33))
    side = rng.choice((-1, 1))
    top, trousers, skin = _pick(rng, _TOPS), _pick(rng, _TROUSERS), _pick(rng, _SKIN)
    hip, shoulder, hand = 0.49 * height, 0.83 * height, 0.46 * height
    parts = []
    for leg in (-1, 1):
        reach = leg * side * stride
        knee = (0.55 * reach + 0.03, 0.27 * height, 0.10 * leg)
        foot = (reach, 0.06, 0.10 * leg)
        parts.append(limb((0, hip + 0.04, 0.09 * leg), knee, (0.095, 0.075), trousers))
        parts.append(limb(knee, foot, (0.075, 0.05), trousers))
        parts.append(
            box(
                (reach - 0.08, 0, 0.10 * leg - 0.05),
                (reach + 0.17, 0.085, 0.10 * leg + 0.05),
                _SHOES,
            )
        )
        # Arms swing against the legs.
        wrist = (-0.75 * reach + 0.05, hand, 0.27 * leg)
        elbow = (-0.3 * reach - 0.02, 0.64 * height, 0.255 * leg)
        parts.append(limb((0, shoulder - 0.03, 0.21 * leg), elbow, (0.065, 0.05), top))
        parts.append(limb(elbow, wrist, (0.05, 0.04), top))
        parts.append(ball(wrist, (0.045, 0.06, 0.04), skin, rings=2, sides=4))
    parts += _torso((0, hip, 0), (0.02, shoulder, 0), top)
    parts += _head((0.03, 0.925 * height, 0), height, skin, _pick(rng, _HAIR))
    if rng.random() < 0.25:
        parts.append(
            box((-0.30, 0.58 * height, -0.15), (-0.09, 0.8 * height, 0.15), _pick(rng, _TOPS))
        )
    return assemble(parts)


def build_cyclist(rng: np.random.Generator) -> Mesh:
    """Builds a person on a moving bicycle, about 1.75 m long and 1.7 m tall."""
    top, trousers, skin = _pick(rng, _TOPS), _pick(rng, _TROUSERS), _pick(rng, _SKIN)
    scale = float(np.clip(rng.normal(1.0, 0.04), 0.9, 1.1))
    lean = float(rng.uniform(0.08, 0.38))
    hip = np.array([-0.20, 0.95 * scale, 0.0])
    shoulder = hip + (lean, np.sqrt(0.52**2 - lean**2) * scale, 0)
    head = shoulder + (0.08 + 0.1 * lean, 0.20 * scale, 0)
    parts = _bicycle(rng)
    pedal_angle = rng.uniform(0, 2 * np.pi)
    for leg in (-1, 1):
        turn = pedal_angle + (np.pi if leg > 0 else 0)
        foot = np.array([-0.05 + 0.17 * np.cos(turn), 0.31 + 0.17 * np.sin(turn), 0.13 * leg])
        knee = (hip + foot) / 2 + (0.20, 0.08, 0.10 * leg - 0.05 * leg)
        parts.append(limb(hip + (0, 0, 0.08 * leg), knee, (0.095, 0.07), trousers))
        parts.append(limb(knee, foot, (0.07, 0.05), trousers))
        parts.append(box(foot - (0.07, 0.05, 0.045), foot + (0.17, 0.04, 0.045), _SHOES))
        arm, grip = shoulder + (0, -0.04, 0.20 * leg), np.array([0.40, 1.03, 0.24 * leg])
        elbow = (arm + grip) / 2 + (-0.03, -0.07, 0.06 * leg)
        parts.append(limb(arm, elbow, (0.06, 0.05), top))
        parts.append(limb(elbow, grip, (0.05, 0.04), top))
        parts.append(ball(grip, (0.05, 0.04, 0.04), skin, rings=2, sides=4))
    parts += _torso(hip, shoulder, top)
    hair = _pick(rng, _HAIR if rng.random() < 0.6 else _TOPS)  # some wear a helmet
    parts += _head(head, 1.72 * scale, skin, hair)
    return assemble(parts)


def _torso(hip: Point, shoulder: Point, colour: Colour) -> list[Part]:
    """Builds chest and hips: an eight-sided loft from the hip point to the shoulder point."""
    angles = (np.arange(8) + 0.5) * (np.pi / 4)
    unit = np.stack([np.cos(angles), 0 * angles, np.sin(angles)], axis=1)
    hip, shoulder = np.asarray(hip, dtype=float), np.asarray(shoulder, dtype=float)
    chest = hip + 0.68 * (shoulder - hip)
    low = hip + (0, -0.04, 0) + unit * (0.13, 1, 0.19)
    middle = chest + unit * (0.15, 1, 0.235)
    high = shoulder + (0, 0.03, 0) + unit * (0.07, 1, 0.15)
    return [frustum(low, middle, colour), frustum(middle, high, colour)]


def _head(centre: Point, height: float, skin: Colour, hair: Colour) -> list[Part]:
    size = height / 1.75
    centre = np.asarray(centre, dtype=float)
    neck = limb(centre - (0.02, 0.2 * size, 0), centre, (0.055, 0.05), skin)
    face = ball(centre, np.array((0.10, 0.125, 0.08)) * size, skin, rings=4, sides=7)
    crown = centre + np.array((-0.022, 0.035, 0)) * size
    return [neck, face, ball(crown, np.array((0.10, 0.11, 0.089)) * size, hair, rings=3, sides=7)]


def _bicycle(rng: np.random.Generator) -> list[Part]:
    """Builds wheels, frame, saddle and handlebar; the hubs are 1.04 m apart."""
    paint = tuple(rng.uniform(0.08, 0.7, 3))
    rear, front = (-0.52, 0.34, 0), (0.52, 0.34, 0)
    crank, seat, steer = (-0.05, 0.31, 0), (-0.19, 0.80, 0), (0.36, 0.84, 0)
    parts = [ring(hub, 0.34, 0.05, _TYRE) for hub in (rear, front)]
    tubes = ((crank, seat), (seat, steer), (crank, steer), (rear, seat), (rear, crank))
    parts += [limb(a, b, (0.022, 0.022), paint, sides=4) for a, b in tubes]
    parts.append(limb(front, (0.34, 1.0, 0), (0.022, 0.022), paint, sides=4))
    parts.append(limb((0.36, 1.02, -0.29), (0.36, 1.02, 0.29), (0.02, 0.02), _TYRE, sides=4))
    parts.append(box((-0.32, 0.82, -0.07), (-0.06, 0.89, 0.07), _TYRE))
    spokes = [
        limb((hub[0], 0.06, 0), (hub[0], 0.62, 0), (0.007, 0.007), (0.5, 0.5, 0.5), sides=4)
        for hub in (rear, front)
    ]
    return parts + spokes
