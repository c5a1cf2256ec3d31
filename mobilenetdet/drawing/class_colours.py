"""Colours of classes, on photographs and in plots: as far apart as they get for twenty classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from mobilenetdet.config.type_names import DONT_CARE_TYPE, KITTI_TYPES, same
from mobilenetdet.drawing.tags import Colour

Shade = TypeVar("Shade", Colour, str)

# The colours of the places were chosen one after the other, each the farthest in CIELAB from all
# others, from KITTI's three and from the greys of what is no class; bright on photographs, dark on
# white paper.
_ON_PHOTOGRAPHS: dict[str, Colour] = {
    "Car": (72, 176, 255),
    "Pedestrian": (255, 112, 190),
    "Cyclist": (252, 214, 60),
}
_PLACES_ON_PHOTOGRAPHS: tuple[Colour, ...] = (
    *((0, 248, 0), (248, 0, 0), (176, 32, 248), (16, 152, 88), (128, 120, 64)),
    *((0, 240, 224), (248, 136, 0), (248, 0, 96), (192, 232, 160), (184, 88, 96)),
    *((144, 104, 160), (0, 168, 0), (200, 120, 248), (0, 248, 152), (0, 120, 248)),
    *((248, 16, 208), (176, 240, 32), (0, 128, 128), (248, 176, 128), (128, 152, 0)),
)
_IN_PLOTS = {"Car": "#1f77b4", "Pedestrian": "#d6408a", "Cyclist": "#c79a00"}
_PLACES_IN_PLOTS = (
    *("#0000f8", "#00c858", "#f80000", "#604800", "#f09088", "#602870", "#d000f8"),
    *("#2870f0", "#702830", "#5008a8", "#d870f0", "#90c000", "#d098d0", "#086800"),
    *("#00a880", "#a8b068", "#d06018", "#28c0d8", "#004830", "#c81038"),
)


def plot_colours(classes: Sequence[str]) -> dict[str, str]:
    """Returns a colour for each class, to be drawn on white: #rrggbb.

    Args:
        classes: in the order of the task. KITTI's three have their own colours; any other has that
            of its place, and the twenty-first that of the first.
    """
    return _by_place(classes, _IN_PLOTS, _PLACES_IN_PLOTS)


def overlay_colours(classes: Sequence[str]) -> dict[str, Colour]:
    """Returns a colour (R, G, B) for each class and each further type of KITTI but DontCare.

    Args:
        classes: in the order of the task; see `plot_colours`.
    """
    known = {name.lower() for name in (*classes, DONT_CARE_TYPE)}
    further = [name for name in KITTI_TYPES if name.lower() not in known]
    return _by_place([*classes, *further], _ON_PHOTOGRAPHS, _PLACES_ON_PHOTOGRAPHS)


def _by_place(
    names: Sequence[str], own: Mapping[str, Shade], places: Sequence[Shade]
) -> dict[str, Shade]:
    return {
        name: next(
            (colour for known, colour in own.items() if same(known, name)),
            places[place % len(places)],
        )
        for place, name in enumerate(names)
    }
