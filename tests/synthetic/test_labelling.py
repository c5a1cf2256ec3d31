"""Columns of the label file from geometry."""

import numpy as np
import pytest

from mobilenetdet.synthetic.labelling import (
    observation_angle,
    occlusion_level,
    truncation,
)


@pytest.mark.parametrize(
    ("hidden", "level"), [(0, 0), (0.1, 0), (0.11, 1), (0.45, 1), (0.46, 2), (0.75, 2), (0.8, 3)]
)
def test_occlusion_levels(hidden, level):
    assert occlusion_level(1 - hidden) == level


@pytest.mark.parametrize(
    ("full", "inside", "expected"),
    [
        ([0, 0, 10, 10], [0, 0, 10, 10], 0.0),  # whole
        ([-10, 0, 10, 20], [0, 0, 10, 20], 0.5),  # left half outside
        ([1232, 365, 1252, 385], [1232, 365, 1242, 375], 0.75),  # a corner inside
    ],
)
def test_truncation_of_boxes(full, inside, expected):
    assert truncation(np.array(full, float), np.array(inside, float)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("x", "z", "rotation_y", "alpha"),
    [
        (0.0, 10.0, 0.3, 0.3),
        (10.0, 10.0, 0.0, -np.pi / 4),
        (-10.0, 10.0, 3.0, 3.0 + np.pi / 4 - 2 * np.pi),  # wrapped
    ],
)
def test_alpha_is_rotation_against_the_ray(x, z, rotation_y, alpha):
    assert observation_angle(rotation_y, np.array([x, 1.65, z])) == pytest.approx(alpha)
