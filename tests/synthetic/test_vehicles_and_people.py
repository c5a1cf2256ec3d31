"""Shapes of the classes: centred, on the ground, of plausible size."""

import numpy as np
import pytest
from fixtures.scenes import BUILDERS, actor


@pytest.mark.parametrize("class_name", BUILDERS)
@pytest.mark.parametrize("shape", range(3))
def test_shapes_stand_centred_on_the_ground_and_are_as_large_as_labelled(class_name, shape):
    mesh = actor(class_name, shape=shape).mesh
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    height, width, length = mesh.dimensions_hwl
    np.testing.assert_allclose(low, [-length / 2, -height, -width / 2], atol=1e-9)
    np.testing.assert_allclose(high, [length / 2, 0, width / 2], atol=1e-9)


@pytest.mark.parametrize(
    ("class_name", "low", "high"),
    [
        ("Car", (1.35, 1.45, 3.2), (1.8, 1.95, 5.0)),
        ("Van", (1.85, 1.65, 4.2), (2.65, 2.15, 6.1)),
        ("Pedestrian", (1.45, 0.4, 0.2), (2.0, 0.8, 1.2)),
        ("Cyclist", (1.45, 0.4, 1.6), (2.0, 0.8, 1.9)),
    ],
)
def test_dimensions_are_those_of_the_class(class_name, low, high):
    sizes = [actor(class_name, shape=shape).mesh.dimensions_hwl for shape in range(30)]
    assert (np.array(sizes) >= low).all()
    assert (np.array(sizes) <= high).all()
