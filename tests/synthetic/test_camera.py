"""The camera: KITTI's left colour camera, and what it projects."""

import numpy as np
import pytest

from mobilenetdet.synthetic.camera import (
    CAMERA_CENTRE,
    P2,
    clip_to_near,
    format_calibration,
    level_plane_to_image,
    plane_to_image,
    project_points,
)


def test_point_is_projected_as_by_hand():
    # u = (721.5377 * 2 + 609.5593 * 10 + 44.85728) / (10 + 0.002745884), v likewise
    expected = [7583.52568 / 10.002745884, (721.5377 * 1.5 + 1728.54 + 0.2163791) / 10.002745884]
    np.testing.assert_allclose(project_points(np.array([2.0, 1.5, 10.0])), expected, rtol=1e-9)


def test_camera_centre_is_the_null_space_of_the_projection():
    np.testing.assert_allclose(P2 @ np.append(CAMERA_CENTRE, 1), 0, atol=1e-9)


def test_homographies_agree_with_the_projection():
    pixels = project_points(np.array([3.0, 1.65, 12.0]))
    level = level_plane_to_image(1.65) @ [3, 12, 1]
    upright = plane_to_image(np.array([3.0, 1.65, 10]), np.eye(3)[2], np.eye(3)[1]) @ [2, 0, 1]
    np.testing.assert_allclose(level[:2] / level[2], pixels)
    np.testing.assert_allclose(upright[:2] / upright[2], pixels)


@pytest.mark.parametrize(
    ("depths", "corners"),
    [
        ((2, 2, 2, 2), 4),  # before the plane
        ((0, 0, 2, 2), 4),  # cut in half
        ((0, 2, 2, 2), 5),  # one corner gone
        ((0, 0, 0, 0), 0),  # behind it
    ],
)
def test_polygons_are_cut_at_the_near_plane(depths, corners):
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=float)
    square[:, 2] = depths
    clipped = clip_to_near(square, near=1.0)
    assert len(clipped) == corners
    assert (clipped[:, 2] >= 1.0 - 1e-12).all()


def test_calibration_file_reads_as_kittis():
    lines = dict(line.split(": ") for line in format_calibration().splitlines())
    sizes = {name: len(values.split()) for name, values in lines.items()}
    assert sizes == {
        **dict.fromkeys(("P0", "P1", "P2", "P3", "Tr_velo_to_cam", "Tr_imu_to_velo"), 12),
        "R0_rect": 9,
    }
    np.testing.assert_allclose(np.array(lines["P2"].split(), float).reshape(3, 4), P2)
