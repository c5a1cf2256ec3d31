import numpy as np
import pytest

from mobilenetdet.drawing import PALETTE, draw_matches
from mobilenetdet.drawing.anchor_matches import _COLOURS
from mobilenetdet.kitti.labels import KittiObjects

IMAGE = np.full((375, 1242, 3), 90, np.uint8)
OBJECTS = KittiObjects.from_detections(
    ["Car", "DontCare", "Cyclist"],
    np.array([[100, 100, 300, 200], [400, 100, 600, 200], [700, 100, 800, 300]], float),
    np.ones(3),
)
ANCHORS = np.array([[80, 120, 330, 220], [690, 90, 790, 310], [720, 120, 820, 290]], float)
OWNERS = np.array([0, 2, 2])


def colours_along(picture: np.ndarray, y: int, left: int, right: int) -> set[tuple[int, ...]]:
    return {tuple(int(v) for v in pixel) for pixel in picture[y, left:right]}


def test_an_anchor_has_the_colour_of_its_object():
    picture = draw_matches(IMAGE, OBJECTS, ANCHORS, OWNERS, title="000001")
    assert picture.shape[0] > 375 and (IMAGE == 90).all()
    first, second = _COLOURS[0], _COLOURS[2]
    # The left borders of objects and anchors, below their tags.
    assert first in colours_along(picture, 195, 98, 103) and first in colours_along(
        picture, 195, 78, 83
    )
    for x in (690, 700, 720):
        assert second in colours_along(picture, 280, x - 2, x + 3)
    assert first not in colours_along(picture, 280, 600, 900)


def test_regions_that_nothing_learns_are_hatched():
    picture = draw_matches(IMAGE, OBJECTS, ANCHORS, OWNERS)
    inside = picture[110:190, 410:590].reshape(-1, 3)
    assert 0.1 < (inside != 90).any(-1).mean() < 0.5
    plain = draw_matches(IMAGE, OBJECTS[[0, 2]], ANCHORS, np.array([0, 1, 1]))
    assert (plain[110:190, 410:590] == 90).all()
    assert PALETTE["DontCare"] in colours_along(picture, 100, 400, 600)


def test_no_object_and_no_anchor():
    picture = draw_matches(IMAGE, KittiObjects.empty(), np.zeros((0, 4)), np.zeros(0, int))
    assert (picture[:375] == 90).all()


def test_each_anchor_has_an_owner():
    with pytest.raises(ValueError, match="2 owners for 3 anchors"):
        draw_matches(IMAGE, OBJECTS, ANCHORS, OWNERS[:2])
