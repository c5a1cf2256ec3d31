"""The street: lanes, parking rows, pavements, marks and houses.

Street coordinates are (along, across) in metres on the level road: the camera stands at (0, 0),
`along` runs ahead in the direction of travel, `across` to the right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mobilenetdet.synthetic.camera import CAMERA_HEIGHT
from mobilenetdet.synthetic.textures import NUM_FACADES

# From where to where, metres.
Span = tuple[float, float]

_START, _END = -6.0, 420.0  # metres; how far strips reach
_ASPHALT = np.array([0.36, 0.36, 0.37])
_PAVING = np.array([0.56, 0.54, 0.51])
_GRASS = np.array([0.33, 0.41, 0.20])
_PAINT = np.array([0.86, 0.86, 0.83])
_KERB = np.array([0.66, 0.65, 0.62])


@dataclass(frozen=True)
class Strip:
    """A rectangle of ground: along start..end, across left..right, with its surface."""

    start: float
    end: float
    left: float
    right: float
    colour: np.ndarray
    material: str = "asphalt"


@dataclass(frozen=True)
class Building:
    """A house: its front stands across = front, its body reaches to across = back.

    height is that of the eaves and roof that of the ridge over them, in metres; tint and
    roof_colour are reflectances; facade is the number of its picture; corner tells whether
    its gable stands free at a side street.
    """

    start: float
    end: float
    front: float
    back: float
    height: float
    roof: float
    tint: np.ndarray
    roof_colour: np.ndarray
    facade: int
    corner: bool = False


@dataclass(frozen=True)
class Street:
    """A street and the places for traffic on it; lengths in metres, street coordinates.

    Attributes:
        yaw: angle from the camera's z axis to the street, radians, positive to the right.
        strips: surfaces, later ones on top.
        marks: road paint.
        base_colour: [3] ground elsewhere.
        base_material: its texture.
        buildings: houses, far ones first.
        lanes: (centre across, +1 with us or -1 oncoming).
        parking: (centre across, side -1 left or +1 right) of rows along the kerb.
        pavements: (left, right).
        verges: (left, right) where trees and lamps stand.
        side_street: (start, end) along, or None.
        urban: whether houses line the street.
    """

    yaw: float
    strips: tuple[Strip, ...]
    marks: tuple[Strip, ...]
    base_colour: np.ndarray
    base_material: str
    buildings: tuple[Building, ...]
    lanes: tuple[tuple[float, int], ...]
    parking: tuple[tuple[float, int], ...]
    pavements: tuple[tuple[float, float], ...]
    verges: tuple[tuple[float, float], ...]
    side_street: tuple[float, float] | None
    urban: bool

    def points(self, along_across: Sequence[tuple[float, float]]) -> np.ndarray:
        """Returns [N, 3] camera coordinates of points on the road."""
        along, across = np.asarray(along_across, dtype=np.float64).T
        cosine, sine = np.cos(self.yaw), np.sin(self.yaw)
        x, z = across * cosine + along * sine, along * cosine - across * sine
        return np.stack([x, np.full_like(x, CAMERA_HEIGHT), z], axis=1)

    def direction(self, along: float, across: float) -> np.ndarray:
        """Returns a street direction as a [3] camera direction."""
        cosine, sine = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([across * cosine + along * sine, 0.0, along * cosine - across * sine])

    def polygon(self, strip: Strip) -> np.ndarray:
        """Returns the corners [4, 3] of a strip in camera coordinates."""
        return self.points(
            [
                (strip.start, strip.left),
                (strip.end, strip.left),
                (strip.end, strip.right),
                (strip.start, strip.right),
            ]
        )


def sample_street(rng: np.random.Generator) -> Street:
    """Draws a street: residential, avenue or country road, perhaps with a side street."""
    kind = ("residential", "avenue", "country")[rng.choice(3, p=(0.5, 0.28, 0.22))]
    urban = kind != "country"
    width = rng.uniform(3.1, 3.6)
    ours, theirs = (2, int(rng.integers(1, 3))) if kind == "avenue" else (1, 1)
    own = int(rng.integers(ours))  # which of our lanes we use, 0 = beside the centre line
    centre = -(own + 0.5) * width + rng.uniform(-0.25, 0.25)  # across of the centre line
    road = (centre - theirs * width, centre + ours * width)
    rows = [side for side in (-1, 1) if urban and rng.random() < 0.68]
    edges = {side: road[(side + 1) // 2] + (side * 2.2 if side in rows else 0) for side in (-1, 1)}
    parking = tuple((edges[side] - side * 1.15, side) for side in rows)
    lanes = [(centre - (i + 0.5) * width, -1) for i in range(theirs)]
    lanes += [(centre + (i + 0.5) * width, 1) for i in range(ours)]
    pavement = rng.uniform(2.2, 4.0) if urban else 0.0
    verge = rng.uniform(1.0, 2.0) if kind == "avenue" else 0.0
    side_street = None
    if rng.random() < (0.4 if urban else 0.15):
        start = rng.uniform(12, 38)
        side_street = (start, start + rng.uniform(7.0, 9.0))
    shade = rng.uniform(0.82, 1.15)
    strips, pavements, verges = _lay_strips(edges, road, pavement, verge, side_street, shade)
    base = _GRASS * rng.uniform(0.85, 1.15, 3) if not urban or rng.random() < 0.4 else _PAVING * 0.9
    outer = {side: edges[side] + side * (pavement + verge) for side in (-1, 1)}
    return Street(
        yaw=float(np.clip(rng.normal(0, 0.025), -0.07, 0.07)),
        strips=tuple(strips),
        marks=tuple(_paint_marks(centre, width, ours, theirs, side_street, rng)),
        base_colour=base,
        base_material="grass" if base[1] > base[0] else "paving",
        buildings=_sample_buildings(rng, outer, side_street) if urban else (),
        lanes=tuple(lanes),
        parking=parking,
        pavements=tuple(pavements),
        verges=tuple(verges),
        side_street=side_street,
        urban=urban,
    )


def _lay_strips(
    edges: Mapping[int, float],
    road: Span,
    pavement: float,
    verge: float,
    side_street: Span | None,
    shade: float,
) -> tuple[list[Strip], list[Span], list[Span]]:
    """Lays the surfaces from the outside in, and says where pavements and verges lie."""
    strips, pavements, verges = [], [], []

    def lay(a: float, b: float, colour: np.ndarray, material: str) -> None:
        strips.append(Strip(_START, _END, min(a, b), max(a, b), colour, material))

    for side in (-1, 1):
        kerb = edges[side]
        outer = kerb + side * (verge + pavement)
        if pavement:
            lay(kerb, outer, _PAVING * shade, "paving")
            inner = kerb + side * (verge + 0.4)
            pavements.append((min(inner, outer), max(inner, outer)))
        if verge:
            lay(kerb, kerb + side * verge, _GRASS, "grass")
            verges.append((min(kerb, kerb + side * verge), max(kerb, kerb + side * verge)))
        elif pavement:
            verges.append((kerb + side * 0.25 - 0.05, kerb + side * 0.25 + 0.05))
        else:
            verges.append(
                (min(kerb + side * 1.5, kerb + side * 9), max(kerb + side * 1.5, kerb + side * 9))
            )
    if side_street:
        strips.append(Strip(*side_street, -90.0, 90.0, _ASPHALT * shade * 0.97))
    for side in (-1, 1):
        kerb = edges[side]
        spans = [(_START, _END)]
        if side_street:
            spans = [(_START, side_street[0]), (side_street[1], _END)]
        for start, end in spans if pavement else []:
            strips.append(Strip(start, end, kerb - 0.09, kerb + 0.09, _KERB, "asphalt"))
        if kerb != road[(side + 1) // 2]:
            lay(kerb - side * 0.09, road[(side + 1) // 2], _ASPHALT * shade * 0.88, "asphalt")
    lay(*road, _ASPHALT * shade, "asphalt")
    return strips, pavements, verges


def _paint_marks(
    centre: float,
    width: float,
    ours: int,
    theirs: int,
    side_street: Span | None,
    rng: np.random.Generator,
) -> list[Strip]:
    """Paints dashed and solid lines, and a zebra crossing before some side streets."""
    marks = []
    paint = _PAINT * rng.uniform(0.72, 1.0)

    def line(across: float, dash: tuple[float, float] | None) -> None:
        """Paints one line along the road, solid or with dashes."""
        period = sum(dash) if dash else 40.0
        first = _START + (rng.uniform(0, period) if dash else 0)
        for start in np.arange(first, 100.0, period):
            end = start + (dash[0] if dash else period)
            if side_street and end > side_street[0] - 3 and start < side_street[1]:
                end = min(end, side_street[0] - 3) if start < side_street[0] - 3 else start
            if end > start:
                marks.append(Strip(start, end, across - 0.07, across + 0.07, paint))

    line(centre, None if rng.random() < 0.25 else (3.0, 4.5))
    for i in range(1, ours):
        line(centre + i * width, (2.5, 5.0))
    for i in range(1, theirs):
        line(centre - i * width, (2.5, 5.0))
    if rng.random() < 0.6:
        line(centre + ours * width - 0.15, None)
        line(centre - theirs * width + 0.15, None)
    if side_street and rng.random() < 0.6:
        for across in np.arange(centre - theirs * width + 0.3, centre + ours * width - 0.5, 1.0):
            stripe = (across, across + 0.5)
            marks.append(Strip(side_street[0] - 4.2, side_street[0] - 1.2, *stripe, paint))
    return marks


def _sample_buildings(
    rng: np.random.Generator, outer: Mapping[int, float], side_street: Span | None
) -> tuple[Building, ...]:
    """Draws two rows of houses with gaps, none on the side street; far ones first."""
    houses: list[Building] = []
    for side in (-1, 1):
        setback = rng.uniform(0.3, 6.0) if rng.random() < 0.6 else 0.2
        terrace = rng.random() < 0.5
        along = rng.uniform(-12, 2)
        height = rng.uniform(5.5, 12.0)
        free = True
        while along < 110:
            length = rng.uniform(9, 19)
            if side_street and along + length > side_street[0] - 3 and along < side_street[1] + 3:
                along, free = side_street[1] + 3, True
                continue
            front = outer[side] + side * (setback + (0 if terrace else rng.uniform(0, 2.5)))
            house = _sample_house(rng, (along, along + length), (front, side), height)
            houses.append(replace(house, corner=free))
            gap = 0.0 if terrace and rng.random() < 0.85 else rng.uniform(2, 14)
            along, free = along + length + gap, gap > 0
    return tuple(sorted(houses, key=lambda house: -house.start))


def _sample_house(
    rng: np.random.Generator, span: Span, place: tuple[float, int], height: float
) -> Building:
    front, side = place
    roof_colours = np.array([[0.45, 0.22, 0.16], [0.30, 0.28, 0.28], [0.38, 0.26, 0.2]])
    return Building(
        start=span[0],
        end=span[1],
        front=front,
        back=front + side * rng.uniform(7, 11),
        height=height * rng.uniform(0.85, 1.2),
        roof=rng.uniform(1.8, 4.0),
        tint=np.clip(rng.normal(1.0, 0.07, 3), 0.8, 1.15),
        roof_colour=roof_colours[rng.integers(3)] * rng.uniform(0.8, 1.2),
        facade=int(rng.integers(NUM_FACADES)),
    )
