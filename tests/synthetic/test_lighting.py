"""Light and haze against the formulas, face by face."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenetdet.synthetic.lighting import Lighting, sample_lighting

UP, DOWN = np.array([0.0, -1.0, 0.0]), np.array([0.0, 1.0, 0.0])  # y points down
LIGHT = Lighting(
    sun_direction=UP,
    sun=np.array([0.5, 0.4, 0.3]),
    ambient=np.array([0.2, 0.2, 0.2]),
    sky_top=np.array([0.3, 0.5, 0.8]),
    sky_horizon=np.array([0.8, 0.9, 1.0]),
    haze_metres=100.0,
    clouds=0.5,
    shadow=0.5,
)


def shade(normal, colour=(0.5, 0.5, 0.5), gloss=0.0, depth=0.0):
    normals, colours = np.array([normal]), np.array([colour])
    return LIGHT.shade(normals, colours, np.array([gloss]), np.array([depth]))[0]


def test_a_face_that_looks_at_the_sun_gets_all_of_it():
    np.testing.assert_allclose(shade(UP), 0.5 * np.array([0.7, 0.6, 0.5]))


def test_a_face_that_looks_away_gets_less_than_half_of_the_sky():
    np.testing.assert_allclose(shade(DOWN), 0.5 * 0.2 * (0.72 - 0.28))


def test_gloss_mirrors_the_horizon():
    difference = shade(UP, gloss=0.2) - shade(UP)
    np.testing.assert_allclose(difference, 0.2 * LIGHT.sky_horizon)


@pytest.mark.parametrize(
    ("depth", "left"),
    [(0.0, 1.0), (100.0, np.exp(-1)), (1e9, 0.0), (-5.0, 1.0)],  # 63 % gone at 100 m
)
def test_haze_takes_the_colour_of_the_horizon(depth, left):
    colour = np.array([0.1, 0.2, 0.3])
    expected = left * colour + (1 - left) * LIGHT.sky_horizon
    np.testing.assert_allclose(LIGHT.fade(colour, np.array(depth)), expected, atol=1e-12)


@pytest.mark.parametrize("channels", [3, 4])
def test_the_table_shades_as_the_formula_does(channels):
    light, depth = np.array([0.9, 0.5, 1.4]), 30.0
    table = LIGHT.shading_table(light, depth, channels)
    assert table.shape == (1, 256, channels) and table.dtype == np.uint8
    for value in (0, 7, 128, 255):
        exact = 255 * LIGHT.fade(value / 255 * light, np.array(depth))
        np.testing.assert_allclose(table[0, value, :3], np.clip(exact, 0, 255), atol=0.5)
    if channels == 4:
        np.testing.assert_array_equal(table[0, :, 3], np.arange(256))  # alpha stays


@given(seed=st.integers(0, 2**32 - 1))
def test_sampled_light_is_daylight(seed):
    light = sample_lighting(np.random.default_rng(seed))
    np.testing.assert_allclose(np.linalg.norm(light.sun_direction), 1)
    assert light.sun_direction[1] < 0  # over the horizon
    assert 0 <= light.clouds <= 1 and 0 < light.shadow < 1
    assert light.haze_metres >= 150
    for colour in (light.sun, light.ambient, light.sky_top, light.sky_horizon):
        assert colour.shape == (3,) and (colour > 0).all() and (colour < 1.3).all()


def test_weather_differs_from_seed_to_seed():
    clouds = [sample_lighting(np.random.default_rng(seed)).clouds for seed in range(60)]
    assert min(clouds) < 0.3 and max(clouds) > 0.75
