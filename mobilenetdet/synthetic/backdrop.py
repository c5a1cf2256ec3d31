"""Everything behind the objects: sky, hills, ground with road marks and shadows, house rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from mobilenetdet.synthetic import textures
from mobilenetdet.synthetic.camera import (
    CAMERA_HEIGHT,
    HORIZON,
    IMAGE_HEIGHT,
    IMAGE_WIDTH,
    P2,
    clip_to_near,
    level_plane_to_image,
    plane_to_image,
    project_points,
)
from mobilenetdet.synthetic.lighting import Lighting
from mobilenetdet.synthetic.mesh import Point
from mobilenetdet.synthetic.street import Building, Street

FIRST_GROUND_ROW = int(HORIZON) + 1
_CLOUD_HEIGHT = 300.0  # metres
_SHIFT = 5
_MATERIALS = ("grass", "paving", "asphalt")  # a later one lies on top of an earlier one


def fill_polygon(image: np.ndarray, polygon: np.ndarray, colour: float | tuple[float, ...]) -> None:
    """Fills the projection of a planar polygon [N, 3] (metres) with smooth edges, in place."""
    clipped = clip_to_near(polygon)
    if len(clipped) >= 3:
        corners = np.rint((project_points(clipped) - 0.5) * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(image, [corners], colour, cv2.LINE_AA, _SHIFT)


def paint_sky(lighting: Lighting, hills: np.ndarray, cloud_offset: np.ndarray) -> np.ndarray:
    """Returns the sky with clouds and a far tree line, uint8 [FIRST_GROUND_ROW, W, 3].

    Args:
        lighting: the light of the frame.
        hills: [W] height of the tree line over the horizon, pixels.
        cloud_offset: [2] metres, 0 to 4000.
    """
    # Clouds are soft: half the resolution is enough.
    rows, columns = (FIRST_GROUND_ROW + 1) // 2, IMAGE_WIDTH // 2
    rise = np.clip(1 - (2 * np.arange(rows, dtype=np.float32) + 1) / HORIZON, 0, 1)[:, None, None]
    horizon, top = lighting.sky_horizon.astype(np.float32), lighting.sky_top.astype(np.float32)
    clear = horizon + (top - horizon) * rise**0.75  # [h, 1, 3]
    texels = 1024 / 4000  # a metre
    to_texture = np.diag([texels, texels, 1.0])
    to_texture[:2, 2] = (cloud_offset + (4000, 0)) * texels
    lookup = to_texture @ np.linalg.inv(level_plane_to_image(-_CLOUD_HEIGHT))
    lookup = lookup @ np.array([[2, 0, 1.0], [0, 2, 1.0], [0, 0, 1]])
    density = _look_up(textures.cloud_cover(), lookup, (columns, rows))
    cover = density.astype(np.float32) * (3 / 255) - (2.46 - 1.5 * lighting.clouds)
    # The cloud picture ends near the horizon, so clouds thin out before.
    cover = np.clip(cover, 0, 0.9)[..., None] * np.clip((rise - 0.18) * 3, 0, 1)
    white = np.minimum(horizon * 1.08, 1.0) * (0.95 - 0.1 * lighting.clouds * rise)
    half = ((clear + (white - clear) * cover) * np.float32(255)).astype(np.uint8)
    sky = cv2.resize(half, (IMAGE_WIDTH, 2 * rows), interpolation=cv2.INTER_LINEAR)
    sky = sky[:FIRST_GROUND_ROW].copy()
    forest = lighting.fade(np.array([0.22, 0.30, 0.20]) * lighting.ambient * 1.4, np.array(220.0))
    line = np.stack([np.arange(IMAGE_WIDTH), HORIZON - hills], axis=1)
    corners = np.concatenate([line, [[IMAGE_WIDTH, IMAGE_HEIGHT], [0, IMAGE_HEIGHT]]])
    corners = np.rint(corners * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(sky, [corners], _rgb(forest), cv2.LINE_AA, _SHIFT)
    return sky


def _look_up(texture: np.ndarray, to_texture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Samples a texture at to_texture @ (column, row, 1); black outside of it.

    Other ways to treat the outside cost OpenCV seven times the time.
    """
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(texture, to_texture, size, flags=flags)


def paint_ground(
    street: Street, lighting: Lighting, shadows: list[np.ndarray], contacts: list[np.ndarray]
) -> np.ndarray:
    """Returns the ground below the horizon, uint8 [H - FIRST_GROUND_ROW, W, 3].

    Args:
        street: its strips and marks.
        lighting: the light of the frame.
        shadows: ground polygons [N, 3] that the sun does not reach.
        contacts: ground polygons [N, 3] close under objects, which even the sky hardly lights.
    """
    colour = np.empty((IMAGE_HEIGHT, IMAGE_WIDTH, 3), np.uint8)
    cv2.rectangle(colour, (0, 0), (IMAGE_WIDTH, IMAGE_HEIGHT), _rgb(street.base_colour), cv2.FILLED)
    material = np.full(colour.shape[:2], _MATERIALS.index(street.base_material), np.uint8)
    for strip in street.strips:
        polygon = street.polygon(strip)
        fill_polygon(colour, polygon, _rgb(strip.colour))
        fill_polygon(material, polygon, _MATERIALS.index(strip.material))
    for mark in street.marks:
        fill_polygon(colour, street.polygon(mark), _rgb(mark.colour))
    depths = _row_depths()
    gain = _detail_gain(material[FIRST_GROUND_ROW:], street, depths)
    gain *= _unshaded(lighting, shadows, contacts)
    clear = np.exp(-depths / lighting.haze_metres)[:, None]
    gain *= clear.astype(np.float32)
    full = lighting.ambient + lighting.sun * max(-lighting.sun_direction[1], 0.0)
    light = cv2.merge([gain * np.float32(factor) for factor in full])
    lit = cv2.multiply(colour[FIRST_GROUND_ROW:], light, dtype=cv2.CV_8U)
    haze = np.rint(255 * lighting.sky_horizon * (1 - clear)).astype(np.uint8)[:, None]  # [h, 1, 3]
    return cv2.add(lit, cv2.resize(haze, (IMAGE_WIDTH, len(haze))))


def _row_depths() -> np.ndarray:
    """Returns the depth of the road at the centre of each ground row, metres."""
    rows = np.arange(FIRST_GROUND_ROW, IMAGE_HEIGHT) + 0.5
    return P2[1, 1] * CAMERA_HEIGHT / (rows - HORIZON)


def _detail_gain(material: np.ndarray, street: Street, depths: np.ndarray) -> np.ndarray:
    """Returns the ground texture as brightness factors, float32, faded out where it would alias."""
    scale = textures.TEXELS_PER_METRE
    reach = textures.GROUND_TILES * textures.TILE_PIXELS / scale  # metres that the picture covers
    cosine, sine = np.cos(street.yaw), np.sin(street.yaw)
    # Camera (x, z) to texels: across from the picture's middle, along from its edge.
    turn = np.array([[cosine, -sine, reach / 2], [sine, cosine, 0], [0, 0, 1 / scale]]) * scale
    centres = np.array([[1, 0, 0.5], [0, 1, FIRST_GROUND_ROW + 0.5], [0, 0, 1]])
    lookup = turn @ np.linalg.inv(level_plane_to_image(CAMERA_HEIGHT)) @ centres
    detail = np.full(material.shape, 128, np.uint8)
    first = int(np.argmax(depths < reach * 0.8))  # rows beyond stay plain
    lookup = lookup @ np.array([[1, 0, 0], [0, 1, first], [0, 0, 1.0]])
    for index, name in enumerate(_MATERIALS):
        chosen = material[first:] == index
        if chosen.any():
            size = (IMAGE_WIDTH, len(chosen))
            texels = _look_up(textures.ground_detail(name), lookup, size)
            chosen &= texels > 0
            np.copyto(detail[first:], texels, where=chosen)
    weight = np.clip(14.0 / depths, 0, 1) * np.clip((reach * 0.8 - depths) / 15, 0, 1) / 128
    return 1 + (detail.astype(np.float32) - 128) * weight.astype(np.float32)[:, None]


def _unshaded(
    lighting: Lighting, shadows: Sequence[np.ndarray], contacts: Sequence[np.ndarray]
) -> np.ndarray:
    """Returns the share of light that reaches the level ground, float32 [h, W]."""
    sun = np.zeros((IMAGE_HEIGHT, IMAGE_WIDTH), np.uint8)
    for polygon in shadows:
        fill_polygon(sun, polygon, 255)
    sky = np.zeros_like(sun)
    for polygon in contacts:
        fill_polygon(sky, polygon, 255)
    shaded = cv2.GaussianBlur(sun[FIRST_GROUND_ROW:], (5, 5), 1.2).astype(np.float32)
    hidden = cv2.GaussianBlur(sky[FIRST_GROUND_ROW:], (9, 5), 0).astype(np.float32)
    return (1 - np.float32(lighting.shadow / 255) * shaded) * (1 - np.float32(0.55 / 255) * hidden)


def paint_building(
    image: np.ndarray, building: Building, street: Street, lighting: Lighting
) -> None:
    """Draws a house (front, gable and roof) into a picture uint8 [H, W, 3], in place."""
    walls = building_walls(building, street)
    front, gable = walls["front"], walls["gable"]
    depth = max(front[0, 2], 4.0)
    side = np.sign(building.front)
    wall = textures.facade_colour(building.facade) * building.tint
    facing = street.direction(-1.0, 0.0)
    fill_polygon(image, gable, _rgb(_shade_one(lighting, facing, wall, depth)))
    slope = street.direction(0.0, -0.5 * side) + (0, -0.85, 0)
    roof = _shade_one(lighting, slope, building.roof_colour, depth)
    fill_polygon(image, walls["roof"], _rgb(roof))
    _paint_wall(image, building, front[:2], street.direction(0.0, -side), lighting)
    # Houses in a row hide most gables; those at a side street are seen in full.
    if building.corner and gable[1, 2] > 4.0:
        _paint_wall(image, building, gable[:2], facing, lighting)


def building_walls(building: Building, street: Street) -> dict[str, np.ndarray]:
    """Returns the polygons [N, 3] of a house that face the camera, in camera coordinates.

    The front and the gable begin with their two corners on the ground; the roof is the slope
    over the front.
    """
    middle = (building.front + building.back) / 2
    near_front, far_front, near_back, near_ridge, far_ridge = street.points(
        [
            (building.start, building.front),
            (building.end, building.front),
            (building.start, building.back),
            (building.start, middle),
            (building.end, middle),
        ]
    )
    eaves = np.array([0, -building.height, 0])
    ridge = eaves - (0, building.roof, 0)
    top = [near_front + eaves, far_front + eaves]
    return {
        "front": np.array([near_front, far_front, *top[::-1]]),
        "gable": np.array(
            [near_front, near_back, near_back + eaves, near_ridge + ridge, near_front + eaves]
        ),
        "roof": np.array([*top, far_ridge + ridge, near_ridge + ridge]),
    }


def _shade_one(
    lighting: Lighting, normal: Point, colour: Point | np.ndarray, depth: float
) -> np.ndarray:
    normal = np.asarray(normal) / np.linalg.norm(normal)
    return lighting.shade(normal[None], np.asarray(colour)[None], np.zeros(1), np.array([depth]))[0]


def _paint_wall(
    image: np.ndarray,
    building: Building,
    ends: tuple[np.ndarray, np.ndarray],
    normal: Point,
    lighting: Lighting,
) -> None:
    """Warps the facade onto the wall between two ground points, in place."""
    start, end = ends
    up = np.array([0, -building.height, 0])
    clipped = clip_to_near(np.array([start, end, end + up, start + up]), near=2.0)
    if len(clipped) < 3:
        return
    pixels = project_points(clipped)
    low = np.maximum(np.floor(pixels.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(pixels.max(axis=0)).astype(int) + 1, (IMAGE_WIDTH, IMAGE_HEIGHT))
    if (low >= high).any():
        return
    mipmaps = textures.facade(building.facade)
    drawn_height = pixels[:, 1].max() - pixels[:, 1].min()
    level = np.log2(mipmaps[0].shape[0] / max(drawn_height, 1)) + 0.8
    texture = mipmaps[int(np.clip(level, 0, len(mipmaps) - 1))]
    height, width = texture.shape[:2]
    depth = max(float(np.median(clipped[:, 2])), 4.0)
    light = _shade_one(lighting, normal, building.tint, 0.0)
    texture = cv2.LUT(texture, lighting.shading_table(light, depth))
    # Texture (x, y) to pixels: x along the wall from its start, y down from the eaves.
    # Two texels of margin keep the black outside of the texture away from the edges.
    to_pixels = plane_to_image(start + up, (end - start) / (width - 4), -up / (height - 4))
    centres = np.array([[1, 0, low[0] + 0.5], [0, 1, low[1] + 0.5], [0, 0, 1.0]])
    lookup = np.array([[1, 0, 1.5], [0, 1, 1.5], [0, 0, 1]]) @ np.linalg.inv(to_pixels) @ centres
    size = tuple(int(value) for value in high - low)
    drawn = _look_up(texture, lookup, size)
    mask = np.zeros(size[::-1], np.uint8)
    corners = np.rint((pixels - low - 0.5) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(mask, corners, 255, cv2.LINE_8, _SHIFT)
    cv2.copyTo(drawn, mask, image[low[1] : high[1], low[0] : high[0]])


def _rgb(colour: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(min(max(round(value * 255), 0), 255)) for value in colour)
