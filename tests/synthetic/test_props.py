"""Trees, lamps and signs stand on their posts."""

import numpy as np
import pytest

from mobilenetdet.synthetic.props import build_lamp, build_sign, build_trunk

PROPS = [
    *(build_trunk(height) for height in (5.0, 9.0)),
    *(build_lamp(side=side) for side in (-1, 1)),
    *(build_sign(kind=kind) for kind in range(6)),
]


@pytest.mark.parametrize("mesh", PROPS)
def test_the_foot_of_the_post_is_the_origin(mesh):
    on_ground = mesh.vertices[np.isclose(mesh.vertices[:, 1], 0)]
    np.testing.assert_allclose(on_ground[:, [0, 2]].mean(axis=0), 0, atol=1e-9)
    assert mesh.vertices[:, 1].max() == pytest.approx(0)  # y points down


@pytest.mark.parametrize(("mesh", "height"), [(PROPS[0], 3.1), (PROPS[2], 6.66), (PROPS[4], 2.7)])
def test_heights_in_metres(mesh, height):
    assert mesh.dimensions_hwl[0] == pytest.approx(height, abs=0.15)


@pytest.mark.parametrize("side", [-1, 1])
def test_the_arm_of_a_lamp_reaches_to_its_side(side):
    z = build_lamp(side=side).vertices[:, 2]
    assert (side * z).max() > 1.5 and (side * z).min() > -0.1


def test_signs_differ_in_colour_and_shape():
    meshes = [build_sign(kind=kind) for kind in range(6)]
    colours = {tuple(map(tuple, mesh.colours.round(3))) for mesh in meshes}
    assert len(colours) == 6
    assert len({len(mesh.vertices) for mesh in meshes}) == 2  # square and round
