"""KITTI's camera: calibration, projection, near plane, and its calibration files.

Camera coordinates are KITTI's: x right, y down, z forward, metres, origin at the rectified camera
0. Image coordinates are continuous and half-open: pixel (column i, row j) covers
[i, i + 1) x [j, j + 1), so a projected point and a label box need no half-pixel correction.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mobilenetdet.synthetic.mesh import Mesh

IMAGE_WIDTH = 1242
IMAGE_HEIGHT = 375
CAMERA_HEIGHT = 1.65  # metres over the road
NEAR = 0.5  # metres; nothing nearer is drawn

_FOCAL, _CENTRE_X, _CENTRE_Y = 721.5377, 609.5593, 172.854
_INTRINSICS = np.array([[_FOCAL, 0, _CENTRE_X], [0, _FOCAL, _CENTRE_Y], [0, 0, 1.0]])
P2 = np.hstack([_INTRINSICS, [[44.85728], [0.2163791], [0.002745884]]])  # [3, 4]
P2.setflags(write=False)

# Position of camera 2 in the coordinates of camera 0: P2 @ (centre, 1) = 0.
CAMERA_CENTRE = -np.linalg.solve(P2[:, :3], P2[:, 3])  # [3]
HORIZON = _CENTRE_Y  # row of everything infinitely far on the level road

_FOURTH_COLUMNS = {
    "P0": (0.0, 0.0, 0.0),
    "P1": (-387.5744, 0.0, 0.0),
    "P2": tuple(P2[:, 3]),
    "P3": (-339.5242, 2.199936, 0.002729905),
}
_EXTRINSICS = {
    "R0_rect": (1, 0, 0, 0, 1, 0, 0, 0, 1),
    # Velodyne: x forward, y left, z up, 1.73 m over the road and 27 cm behind the camera.
    "Tr_velo_to_cam": (0, -1, 0, 0, 0, 0, -1, -0.08, 1, 0, 0, -0.27),
    "Tr_imu_to_velo": (1, 0, 0, -0.81, 0, 1, 0, 0.32, 0, 0, 1, -0.8),
}


def project_points(points: np.ndarray, p2: np.ndarray = P2) -> np.ndarray:
    """Projects points that lie in front of the camera.

    Args:
        points: [..., 3] camera coordinates in metres, z > 0.
        p2: [3, 4] projection.

    Returns:
        [..., 2] x and y in pixels (continuous). The point (0, 0, 10) lands 4.32 px right of the
        principal point: (609.56 * 10 + 44.86) / 10.0027 = 613.88.
    """
    homogeneous = points @ p2[:, :3].T + p2[:, 3]
    return homogeneous[..., :2] / homogeneous[..., 2:]


def clip_to_near(polygon: np.ndarray, near: float = NEAR) -> np.ndarray:
    """Cuts off the part of a planar polygon that is nearer than the near plane.

    Args:
        polygon: [N, 3] camera coordinates.
        near: depth of the near plane in metres.

    Returns:
        [M, 3] the remaining polygon; M = 0 when nothing remains.
    """
    depths = polygon[:, 2] - near
    if (depths >= 0).all():
        return polygon
    kept = []
    for i in range(len(polygon)):
        j = (i + 1) % len(polygon)
        if depths[i] >= 0:
            kept.append(polygon[i])
        if (depths[i] >= 0) != (depths[j] >= 0):
            share = depths[i] / (depths[i] - depths[j])
            kept.append(polygon[i] + share * (polygon[j] - polygon[i]))
    return np.array(kept).reshape(-1, 3)


def clip_faces(
    vertices: np.ndarray, mesh: Mesh, shown: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Cuts the shown faces of a mesh at the near plane and projects them.

    Returns:
        Pixels [M, K, 2], number of corners [M], and which faces remain, M numbers.
    """
    clipped = [clip_to_near(vertices[mesh.faces[i, : mesh.corners[i]]]) for i in shown]
    kept = [i for i, polygon in enumerate(clipped) if len(polygon) >= 3]
    corners = np.array([len(clipped[i]) for i in kept], dtype=np.int64)
    padded = np.empty((len(kept), max(corners, default=0), 2))
    for row, i in enumerate(kept):
        pixels = project_points(clipped[i])
        padded[row, : len(pixels)], padded[row, len(pixels) :] = pixels, pixels[-1]
    return padded, corners, kept


def level_plane_to_image(y: float) -> np.ndarray:
    """Returns the [3, 3] homography from (x, z, 1) on the level plane at height y to pixels."""
    return np.stack([P2[:, 0], P2[:, 2], P2[:, 1] * y + P2[:, 3]], axis=1)


def plane_to_image(origin: np.ndarray, along: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Returns the homography from plane coordinates to pixels.

    Args:
        origin: [3] point of the plane with coordinates (0, 0), metres.
        along: [3] direction of the first plane coordinate.
        across: [3] direction of the second.

    Returns:
        [3, 3]; (a, b, 1) maps to the image of origin + a * along + b * across.
    """
    rotation = P2[:, :3]
    columns = [rotation @ along, rotation @ across, rotation @ origin + P2[:, 3]]
    return np.stack(columns, axis=1)


def rotation_about_y(angle: float) -> np.ndarray:
    """Returns KITTI's [3, 3] rotation by rotation_y: (1, 0, 0) goes to (cos, 0, -sin)."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])


def depth_planes(normals: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Returns coefficients [F, 3] of 1 / depth = a * x + b * y + c over the image, in pixels."""
    focal, centre_x, centre_y = P2[0, 0], P2[0, 2], P2[1, 2]
    scaled = normals / distance[:, None]
    a, b = scaled[:, 0] / focal, scaled[:, 1] / focal
    return np.stack([a, b, scaled[:, 2] - a * centre_x - b * centre_y], axis=1)


def format_calibration() -> str:
    """Returns the text of a KITTI calibration file with this camera."""

    def line(name: str, values: Iterable[float]) -> str:
        """Returns one matrix of the file, in the devkit's number format."""
        return f"{name}: " + " ".join(f"{value:.12e}" for value in values)

    lines = []
    for name, column in _FOURTH_COLUMNS.items():
        matrix = np.hstack([_INTRINSICS, np.array(column, dtype=float)[:, None]])
        lines.append(line(name, matrix.ravel()))
    lines += [line(name, values) for name, values in _EXTRINSICS.items()]
    return "\n".join(lines) + "\n"
