"""Traffic: which object stands where, without intersections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from mobilenetdet.synthetic.lighting import Lighting, sample_lighting
from mobilenetdet.synthetic.mesh import Mesh
from mobilenetdet.synthetic.people import build_cyclist, build_pedestrian
from mobilenetdet.synthetic.props import Crown, build_lamp, build_sign, build_trunk
from mobilenetdet.synthetic.street import Street, sample_street
from mobilenetdet.synthetic.textures import NUM_TREES
from mobilenetdet.synthetic.vehicles import build_car, build_van

_MAX_PROPS = 60
_VAN_SHARE = 0.08
_CLEARANCE = 0.12  # metres between footprints
_BUILDERS: dict[str, Callable[[np.random.Generator], Mesh]] = {
    "Car": build_car,
    "Van": build_van,
    "Pedestrian": build_pedestrian,
    "Cyclist": build_cyclist,
}
# Shapes of each class that frames choose from; building them anew takes a fifth of a frame's time.
_NUM_SHAPES = 160
_SHAPE_SEED = 10_000  # apart from the seeds of frames; changing it changes every picture
_AHEAD = -np.pi / 2  # rotation_y of an object that drives away from the camera


@cache
def _shape(class_name: str, number: int) -> Mesh:
    """Builds shape number 0.._NUM_SHAPES - 1 of a class, once a process."""
    key = (_SHAPE_SEED, list(_BUILDERS).index(class_name), number)
    return _BUILDERS[class_name](np.random.default_rng(key))


def _repainted(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    """Returns the mesh in slightly other colours."""
    tint = rng.uniform(0.85, 1.15) * rng.normal(1.0, 0.05, 3)
    return replace(mesh, colours=np.clip(mesh.colours * tint, 0.0, 1.0))


@dataclass(frozen=True)
class Actor:
    """A labelled object.

    Attributes:
        class_name: KITTI's name.
        mesh: its shape, object coordinates.
        location: [3] centre of the footprint, camera coordinates, metres.
        rotation_y: heading, radians: 0 = along +x, -pi / 2 = away from the camera.
    """

    class_name: str
    mesh: Mesh
    location: np.ndarray
    rotation_y: float


@dataclass(frozen=True)
class Prop:
    """A thing without a label that can hide objects: lamp, sign or tree."""

    mesh: Mesh
    location: np.ndarray
    rotation_y: float
    crown: Crown | None = None


@dataclass(frozen=True)
class Scene:
    """Everything that one frame shows.

    Attributes:
        street: ground and houses.
        lighting: daylight.
        actors: labelled objects.
        props: other things.
        hills: [W] height of the tree line at the horizon, pixels.
        cloud_offset: [2] where in the cloud picture the sky is, metres.
    """

    street: Street
    lighting: Lighting
    actors: tuple[Actor, ...]
    props: tuple[Prop, ...]
    hills: np.ndarray
    cloud_offset: np.ndarray


def footprint(length: float, width: float, centre: np.ndarray, rotation_y: float) -> np.ndarray:
    """Returns the corners [4, 2] (x, z) of a rectangle on the ground, camera coordinates."""
    forward = np.array([np.cos(rotation_y), -np.sin(rotation_y)]) * (length / 2)
    aside = np.array([np.sin(rotation_y), np.cos(rotation_y)]) * (width / 2)
    return centre + np.array([forward + aside, forward - aside, -forward - aside, aside - forward])


def footprints_overlap(first: np.ndarray, second: np.ndarray) -> bool:
    """Tells whether two rectangles [4, 2] overlap (separating axes; touching is no overlap)."""
    for corners in (first, second):
        axes = np.stack([corners[1] - corners[0], corners[2] - corners[1]])  # [2, 2]
        a, b = first @ axes.T, second @ axes.T  # [4, 2]
        if ((a.max(axis=0) <= b.min(axis=0)) | (b.max(axis=0) <= a.min(axis=0))).any():
            return False
    return True


@dataclass
class _Placer:
    """Adds objects as long as their place is free."""

    street: Street
    rng: np.random.Generator
    actors: list[Actor] = field(default_factory=list)
    props: list[Prop] = field(default_factory=list)
    # Footprints with their centres and the radii of the circles around them.
    taken: list[tuple[np.ndarray, np.ndarray, float]] = field(default_factory=list)

    def _claim(self, mesh: Mesh, location: np.ndarray, rotation_y: float) -> bool:
        _, width, length = mesh.dimensions_hwl + _CLEARANCE
        corners = footprint(length, width, location[[0, 2]], rotation_y)
        centre, reach = corners.mean(axis=0), np.hypot(length, width) / 2
        for other, (x, z), radius in self.taken:
            near = np.hypot(centre[0] - x, centre[1] - z) < reach + radius
            if near and footprints_overlap(corners, other):
                return False
        self.taken.append((corners, centre, reach))
        return True

    def add_actor(self, class_name: str, along: float, across: float, heading: float) -> float:
        """Tries to place an object; heading is against the street. Returns its length in metres."""
        mesh = _repainted(_shape(class_name, int(self.rng.integers(_NUM_SHAPES))), self.rng)
        location = self.street.points([(along, across)])[0]
        rotation_y = _wrap(_AHEAD + self.street.yaw + heading)
        if self._claim(mesh, location, rotation_y):
            self.actors.append(Actor(class_name, mesh, location, rotation_y))
        return float(mesh.dimensions_hwl[2])

    def add_prop(self, mesh: Mesh, along: float, across: float, crown: Crown | None = None) -> None:
        """Tries to place a thing without a label."""
        location = self.street.points([(along, across)])[0]
        rotation_y = _wrap(_AHEAD + self.street.yaw)
        if len(self.props) < _MAX_PROPS and self._claim(mesh, location, rotation_y):
            self.props.append(Prop(mesh, location, rotation_y, crown))

    def vehicle(self) -> str:
        """Draws the class of a vehicle, Car or Van."""
        return "Van" if self.rng.random() < _VAN_SHARE else "Car"


def sample_scene(rng: np.random.Generator) -> Scene:
    """Draws a street, its light and its traffic."""
    street, lighting = sample_street(rng), sample_lighting(rng)
    placer = _Placer(street, rng)
    # Our own car: nobody may stand in it or right before its bonnet.
    own_car = footprint(9.0, 2.4, np.zeros(2), _AHEAD + street.yaw)
    placer.taken.append((own_car, np.zeros(2), 5.0))
    _place_crossing_traffic(placer)
    _place_lane_traffic(placer)
    _place_parked_rows(placer)
    _place_cyclists(placer)
    _place_pedestrians(placer)
    _place_props(placer)
    return Scene(
        street=street,
        lighting=lighting,
        actors=tuple(placer.actors),
        props=tuple(placer.props),
        hills=_sample_hills(rng, 2.0 if street.urban else 1.0),
        cloud_offset=rng.uniform(0, 4000, 2),
    )


def _wrap(angle: float) -> float:
    """Returns the same angle in [-pi, pi)."""
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def _place_lane_traffic(placer: _Placer) -> None:
    rng = placer.rng
    for across, direction in placer.street.lanes:
        along = rng.uniform(6, 30) + (rng.exponential(14) if direction > 0 else 0)
        while along < 78:
            if rng.random() < 0.55:
                heading = (0.0 if direction > 0 else np.pi) + rng.normal(0, 0.025)
                along += placer.add_actor(
                    placer.vehicle(), along, across + rng.normal(0, 0.15), heading
                )
            along += rng.uniform(5, 9) + rng.exponential(16)


def _place_parked_rows(placer: _Placer) -> None:
    rng, street = placer.rng, placer.street
    for across, side in street.parking:
        occupancy = rng.uniform(0.15, 0.85)
        against = np.pi if rng.random() < 0.25 or side < 0 else 0.0
        along, reach = rng.uniform(0.5, 9), rng.uniform(25, 60)
        while along < reach:
            if rng.random() < occupancy and not _in_side_street(street, along, 5.0):
                heading = against + rng.normal(0, 0.03) + (np.pi if rng.random() < 0.1 else 0)
                placer.add_actor(placer.vehicle(), along, across + rng.normal(0, 0.08), heading)
            along += 4.9 + rng.exponential(0.7)


def _in_side_street(street: Street, along: float, margin: float) -> bool:
    if street.side_street is None:
        return False
    start, end = street.side_street
    return start - margin < along < end + margin


def _place_crossing_traffic(placer: _Placer) -> None:
    """Places cars, and now and then a cyclist, on the side street, some of them turning."""
    rng, street = placer.rng, placer.street
    if street.side_street is None:
        return
    start, end = street.side_street
    for direction in (-1, 1):  # to the left on the far lane, to the right on the near one
        along = (start + end) / 2 - direction * (end - start) / 4
        for _ in range(rng.poisson(0.9)):
            across = rng.uniform(-24, 24)
            name = "Cyclist" if rng.random() < 0.2 else placer.vehicle()
            turn = rng.normal(0, 0.35) if rng.random() < 0.3 else rng.normal(0, 0.03)
            placer.add_actor(name, along, across, direction * np.pi / 2 + turn)


def _place_cyclists(placer: _Placer) -> None:
    rng, street = placer.rng, placer.street
    lefts, rights = zip(*[(t, t) for t, _ in street.lanes], strict=True)
    for _ in range(rng.poisson(1.25)):
        along = rng.uniform(5, 14) + rng.exponential(13)
        choice = rng.random()
        if choice < 0.45:
            across, heading = max(rights) + rng.uniform(0.9, 1.6), 0.0
        elif choice < 0.75:
            across, heading = min(lefts) - rng.uniform(0.9, 1.6), np.pi
        elif choice < 0.9 and street.pavements:
            left, right = street.pavements[rng.integers(len(street.pavements))]
            across, heading = rng.uniform(left, right), rng.choice((0.0, np.pi))
        else:
            across, heading = rng.uniform(-8, 8), rng.uniform(-np.pi, np.pi)
        placer.add_actor("Cyclist", along, across, heading + rng.normal(0, 0.08))


def _place_pedestrians(placer: _Placer) -> None:
    """Places walkers on the pavements in ones to threes, and some who cross the road."""
    rng, street = placer.rng, placer.street
    crowd = rng.gamma(1.0, 1.9) if street.urban else 0.5
    for _ in range(rng.poisson(crowd)):
        along = rng.uniform(5, 12) + rng.exponential(12)
        crossing = not street.pavements or rng.random() < 0.25
        if crossing:
            centres = [t for t, _ in street.lanes]
            across = rng.uniform(min(centres) - 3, max(centres) + 3)
            heading = rng.choice((-1, 1)) * np.pi / 2
        else:
            left, right = street.pavements[rng.integers(len(street.pavements))]
            across, heading = rng.uniform(left, right), rng.choice((0.0, np.pi))
        for companion in range(1 + rng.binomial(2, 0.2)):
            shift = (rng.normal(0, 0.35), companion * 0.75) if companion else (0.0, 0.0)
            turn = heading + rng.normal(0, 0.25)
            placer.add_actor("Pedestrian", along + shift[0], across + shift[1], turn)


def _place_props(placer: _Placer) -> None:
    rng, street = placer.rng, placer.street
    for left, right in street.verges:
        trees = rng.random() < (0.45 if street.urban else 0.85)
        gap = rng.uniform(9, 18) if street.urban else rng.uniform(5, 12)
        lamp = rng.uniform(5, 30)
        for along in np.arange(rng.uniform(5, 14), 90, gap):
            across = rng.uniform(left, right)
            if _in_side_street(street, along, 1.5):
                continue
            if trees and rng.random() < 0.8:
                height = float(rng.integers(11, 23)) / 2
                crown = Crown(int(rng.integers(NUM_TREES)), height * rng.uniform(0.55, 0.8), height)
                placer.add_prop(build_trunk(height), along + rng.normal(0, 0.5), across, crown)
        for along in np.arange(lamp, 80, 28):
            if not _in_side_street(street, along, 1.0):
                placer.add_prop(build_lamp(side=-1 if right > 0 else 1), along, (left + right) / 2)
        for _ in range(rng.poisson(0.6)):
            along = rng.uniform(7, 45)
            if not _in_side_street(street, along, 1.0):
                placer.add_prop(build_sign(kind=int(rng.integers(6))), along, (left + right) / 2)


def _sample_hills(rng: np.random.Generator, size: float) -> np.ndarray:
    """Draws the height of the far tree line for each column, pixels."""
    columns = np.linspace(0, 1, 1242)
    line = np.zeros(1242)
    for waves, height in ((1.3, 5.0), (4.0, 2.5), (17.0, 1.2), (61.0, 0.6), (140.0, 0.4)):
        line += (
            height * np.sin(2 * np.pi * (waves * columns + rng.random())) * rng.uniform(0.5, 1.2)
        )
    return np.maximum(size * (line + rng.uniform(6, 13)), 1.0)
