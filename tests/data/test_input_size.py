"""Sizes that a network input may have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenetdet.config.detection import DataConfig
from mobilenetdet.data.input_size import fitting_size, input_side


@given(st.floats(0.1, 1e5))
def test_a_config_takes_every_side(pixels):
    side = input_side(pixels)
    assert DataConfig(image_height=side).image_height == side
    if 32 <= pixels <= 8192:
        assert abs(side - pixels) <= 16


@pytest.mark.parametrize(
    ("picture", "network", "expected"),
    [
        ((480, 640), (384, 1248), (480, 640)),
        ((1080, 1920), (384, 1248), (512, 928)),
        ((375, 1242), (480, 1568), (384, 1248)),
        ((20, 20), (384, 1248), (32, 32)),
        ((100, 40_000), (384, 1248), (32, 8192)),
    ],
)
def test_the_size_that_fits(picture, network, expected):
    assert fitting_size(picture, network[0] * network[1]) == expected
