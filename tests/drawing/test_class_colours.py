"""Colours of classes have to be told apart."""

import itertools

import numpy as np
import pytest

from mobilenetdet.config.classes import EVALUATED_CLASSES
from mobilenetdet.drawing.class_colours import overlay_colours, plot_colours

TWENTY = tuple(f"class_{index}" for index in range(20))
# Two patches of one size are told apart from about 2.3 on; a thin line on a photograph needs more.
MIN_DISTANCE = 20


def cielab(rgb) -> np.ndarray:
    """L*, a*, b* of an sRGB colour 0..255 under D65 (IEC 61966-2-1, CIE 15)."""
    share = np.array(rgb, float) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ linear / [0.9505, 1.0, 1.089]
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def from_hex(text: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(text.removeprefix("#")))


def test_the_scale_of_the_measure():
    np.testing.assert_allclose(cielab((255, 255, 255)), [100, 0, 0], atol=0.05)
    np.testing.assert_allclose(cielab((255, 0, 0)), [53.24, 80.09, 67.20], atol=0.05)


@pytest.mark.parametrize("classes", [TWENTY, (*EVALUATED_CLASSES, *TWENTY[:17]), ("Van", "Car")])
def test_twenty_classes_stay_apart(classes):
    overlay = [overlay_colours(classes)[name] for name in classes]
    plot = [from_hex(colour) for colour in plot_colours(classes).values()]
    for colours in (overlay, plot):
        pairs = itertools.combinations(map(cielab, colours), 2)
        assert min(np.linalg.norm(a - b) for a, b in pairs) > MIN_DISTANCE


def test_kittis_three_keep_theirs_wherever_they_stand():
    for classes in (EVALUATED_CLASSES, ("Tram", *reversed(EVALUATED_CLASSES))):
        assert overlay_colours(classes)["Car"] == (72, 176, 255)
        assert plot_colours(classes)["Cyclist"] == "#c79a00"
    assert plot_colours(["car"]) == {"car": "#1f77b4"}


def test_colours_go_by_the_place():
    assert list(plot_colours(["a", "b"]).values()) == list(plot_colours(["x", "y"]).values())
    many = plot_colours([*TWENTY, "more"])
    assert many["more"] == many["class_0"]


def test_types_beside_the_classes_have_a_colour_of_their_own():
    colours = overlay_colours(["Scooter"])
    assert {"Scooter", "Car", "Van", "Misc"} <= set(colours) and "DontCare" not in colours
    assert len(set(colours.values())) == len(colours)
