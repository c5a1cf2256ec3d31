"""Sky, ground and houses: what is painted where."""

from dataclasses import replace

import numpy as np
import pytest
from fixtures.scenes import plain_scene

from mobilenetdet.synthetic import backdrop
from mobilenetdet.synthetic.camera import project_points
from mobilenetdet.synthetic.street import Building, Strip

SCENE = plain_scene()
STREET, LIGHT = SCENE.street, SCENE.lighting
GROUND = 1.65
HOUSE = Building(
    start=20.0,
    end=32.0,
    front=8.0,
    back=16.0,
    height=6.0,
    roof=3.0,
    tint=np.ones(3),
    roof_colour=np.array([0.4, 0.2, 0.2]),
    facade=1,
)


def rectangle(left, right, near, far):
    return np.array(
        [[left, GROUND, near], [right, GROUND, near], [right, GROUND, far]] + [[left, GROUND, far]]
    )


def pixel(x, y, z):
    column, row = project_points(np.array([x, y, z]))
    return int(row), int(column)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_polygon_fills_its_projection(channels):
    image = np.zeros((375, 1242, channels), np.uint8)
    backdrop.fill_polygon(image, rectangle(-2, 2, 8, 12), (255,) * channels)
    assert (image[pixel(0, GROUND, 10)] == 255).all()
    for x, z in ((-2.5, 10), (2.5, 10), (0, 7), (0, 14)):
        assert not image[pixel(x, GROUND, z)].any()


def test_a_polygon_behind_the_camera_fills_nothing():
    image = np.zeros((375, 1242), np.uint8)
    backdrop.fill_polygon(image, rectangle(-2, 2, -9, -3), 255)
    assert not image.any()


@pytest.mark.parametrize("clouds", [0.0, 1.0])
def test_the_sky_is_above_the_ground(clouds):
    lighting = replace(LIGHT, clouds=clouds)
    sky = backdrop.paint_sky(lighting, np.full(1242, 4.0), np.zeros(2))
    ground = backdrop.paint_ground(STREET, lighting, [], [])
    assert sky.shape == (backdrop.FIRST_GROUND_ROW, 1242, 3) and sky.dtype == np.uint8
    assert ground.shape == (375 - backdrop.FIRST_GROUND_ROW, 1242, 3)
    alike = (sky[20] == np.median(sky[20], axis=0)).all(axis=1).mean()
    assert (alike > 0.9) == (clouds == 0)  # a clear sky has one colour in each row


def test_hills_stand_as_high_as_asked():
    low, high = (
        backdrop.paint_sky(LIGHT, np.full(1242, height), np.zeros(2)).astype(int)
        for height in (2.0, 40.0)
    )
    changed = (low != high).any(axis=(1, 2))
    assert not changed[: backdrop.FIRST_GROUND_ROW - 60].any()
    assert changed[backdrop.FIRST_GROUND_ROW - 30 : backdrop.FIRST_GROUND_ROW - 5].all()


def test_shadows_darken_the_ground_where_they_fall():
    lighting = replace(LIGHT, shadow=0.6)
    plain = backdrop.paint_ground(STREET, lighting, [], []).astype(float)
    shaded = backdrop.paint_ground(STREET, lighting, [rectangle(-2, 2, 8, 12)], []).astype(float)
    row, column = pixel(0, GROUND, 10)
    at = slice(row - backdrop.FIRST_GROUND_ROW - 3, row - backdrop.FIRST_GROUND_ROW + 3)
    ratio = shaded[at, column - 9 : column + 9].mean() / plain[at, column - 9 : column + 9].mean()
    assert 0.3 < ratio < 0.7
    np.testing.assert_array_equal(shaded[:, :200], plain[:, :200])


def test_paint_lies_on_the_road():
    mark = Strip(8.0, 12.0, -1.0, 1.0, np.array([0.9, 0.9, 0.9]))
    plain = backdrop.paint_ground(STREET, LIGHT, [], []).astype(int)
    marked = backdrop.paint_ground(replace(STREET, marks=(mark,)), LIGHT, [], []).astype(int)
    row, column = pixel(0, GROUND, 10)
    assert (marked[row - backdrop.FIRST_GROUND_ROW, column] > plain.mean(axis=(0, 1)) + 30).all()
    np.testing.assert_array_equal(marked[:, :200], plain[:, :200])


def test_walls_of_a_house():
    walls = backdrop.building_walls(HOUSE, STREET)
    front, gable, roof = walls["front"], walls["gable"], walls["roof"]
    assert (front[:, 0] == 8).all()  # one plane, beside the road
    assert front[:, 2].tolist() == [20, 32, 32, 20]
    assert front[:, 1].tolist() == [GROUND, GROUND, GROUND - 6, GROUND - 6]
    assert (gable[:, 2] == 20).all() and gable[:, 0].tolist() == [8, 16, 16, 12, 8]
    assert gable[:, 1].min() == roof[:, 1].min() == GROUND - 9  # eaves and roof


@pytest.mark.parametrize("side", [-1, 1])
def test_a_house_is_painted_where_it_stands(side):
    house = replace(HOUSE, front=side * HOUSE.front, back=side * HOUSE.back, corner=True)
    image = np.zeros((375, 1242, 3), np.uint8)
    backdrop.paint_building(image, house, STREET, LIGHT)
    painted = image.any(axis=2)
    assert painted[pixel(side * 8, GROUND - 3, 26)]  # front
    assert painted[pixel(side * 12, GROUND - 3, 20)]  # gable
    assert not painted[:, :621].any() if side > 0 else not painted[:, 621:].any()
