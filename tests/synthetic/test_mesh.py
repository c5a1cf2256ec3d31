"""Parts of shapes: normals that point outwards."""

import numpy as np
import pytest

from mobilenetdet.synthetic.mesh import assemble, ball, box, disc, limb, ring


@pytest.mark.parametrize(
    "part",
    [
        box((-1, 0, -1), (1, 2, 1), (1, 1, 1)),
        limb((0, 0, 0), (0.4, 1, 0.2), (0.2, 0.1), (1, 1, 1)),
        ball((0, 1, 0), (0.3, 0.4, 0.2), (1, 1, 1)),
        disc((0, 1, 0), 0.5, 0.1, ((1, 1, 1), (0, 0, 0))),
        ring((0, 1, 0), 0.5, 0.1, (1, 1, 1)),
    ],
)
def test_normals_are_unit_and_point_outwards(part):
    mesh = assemble([part])
    centres = np.array(
        [mesh.vertices[face[:n]].mean(0) for face, n in zip(mesh.faces, mesh.corners, strict=True)]
    )
    outward = ((centres - mesh.vertices.mean(axis=0)) * mesh.normals).sum(axis=1)
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1)
    assert (outward > -1e-9).all()
