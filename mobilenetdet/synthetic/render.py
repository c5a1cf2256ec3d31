"""Renders a scene to a labelled frame."""

from __future__ import annotations

import cv2
import numpy as np

from mobilenetdet.synthetic import backdrop, textures
from mobilenetdet.synthetic.camera import (
    CAMERA_HEIGHT,
    IMAGE_HEIGHT,
    IMAGE_WIDTH,
    P2,
    project_points,
    rotation_about_y,
)
from mobilenetdet.synthetic.labelling import RenderedFrame, label_objects
from mobilenetdet.synthetic.raster import Canvas
from mobilenetdet.synthetic.scene import Actor, Prop, Scene, sample_scene
from mobilenetdet.synthetic.street import Street


def render_frame(seed: int, index: int) -> RenderedFrame:
    """Renders frame number index of the data set of a seed; the same bytes on every call."""
    rng = np.random.default_rng([seed, index])
    scene = sample_scene(rng)
    frame = render_scene(scene)
    return RenderedFrame(_expose(frame.image_rgb, rng), frame.objects, P2, frame.visible_shares)


def render_scene(scene: Scene) -> RenderedFrame:
    """Renders a scene without the noise of a camera."""
    canvas = Canvas(_paint_backdrop(scene))
    _raise_corner_houses(canvas, scene.street)
    silhouettes = [
        canvas.draw_mesh(
            actor.mesh, actor.location, actor.rotation_y, scene.lighting, object_id=number
        )
        for number, actor in enumerate(scene.actors, start=1)
    ]
    for number, prop in enumerate(scene.props, start=len(scene.actors) + 1):
        _draw_prop(canvas, prop, scene, number)
    shares = [
        canvas.visible_samples(silhouette) / max(silhouette.samples, 1)
        for silhouette in silhouettes
    ]
    objects, visible_shares = label_objects(scene.actors, silhouettes, shares)
    return RenderedFrame(canvas.image(), objects, P2, visible_shares)


def _paint_backdrop(scene: Scene) -> np.ndarray:
    """Paints sky, ground with shadows, and houses, uint8 [H, W, 3]."""
    shadows, contacts = [], []
    for thing in (*scene.actors, *scene.props):
        shadows.append(_cast_shadow(_standing_points(thing), scene.lighting.sun_direction))
        if isinstance(thing, Actor):
            contacts.append(_ground_hull(_standing_points(thing)[:, [0, 2]]))
    image = np.concatenate(
        [
            backdrop.paint_sky(scene.lighting, scene.hills, scene.cloud_offset),
            backdrop.paint_ground(scene.street, scene.lighting, shadows, contacts),
        ]
    )
    for building in scene.street.buildings:
        backdrop.paint_building(image, building, scene.street, scene.lighting)
    return image


def _raise_corner_houses(canvas: Canvas, street: Street) -> None:
    """Lets the houses before a side street hide what moves behind them."""
    for building in street.buildings:
        if street.side_street and building.start < street.side_street[0]:
            walls = backdrop.building_walls(building, street)
            canvas.hide_behind(walls["front"])
            canvas.hide_behind(walls["gable"])


def _standing_points(thing: Actor | Prop) -> np.ndarray:
    """Returns the vertices [V, 3] in camera coordinates, foliage included."""
    rotation = rotation_about_y(thing.rotation_y)
    points = thing.mesh.vertices @ rotation.T + thing.location
    crown = getattr(thing, "crown", None)
    if crown is None:
        return points
    angles = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    radius, middle = 0.46 * crown.width, 0.68 * crown.top
    round_x, round_z = radius * np.cos(angles), radius * np.sin(angles)
    level = np.stack([round_x, 0 * angles - middle, round_z], axis=1)
    upright = np.stack([round_x, round_z * 0.9 - middle, 0 * angles], axis=1)
    return np.concatenate([level, upright]) + thing.location


def _cast_shadow(points: np.ndarray, sun_direction: np.ndarray) -> np.ndarray:
    """Returns the shadow [N, 3] on the road of points [V, 3]."""
    rise = (CAMERA_HEIGHT - points[:, 1]) / max(-sun_direction[1], 0.12)
    return _ground_hull(points[:, [0, 2]] - rise[:, None] * sun_direction[[0, 2]])


def _ground_hull(points_xz: np.ndarray) -> np.ndarray:
    """Returns the convex hull [N, 3] on the road of ground points [V, 2] (x, z)."""
    hull = cv2.convexHull(points_xz.astype(np.float32))[:, 0]
    return np.insert(hull.astype(np.float64), 1, CAMERA_HEIGHT, axis=1)


def _draw_prop(canvas: Canvas, prop: Prop, scene: Scene, number: int) -> None:
    canvas.draw_mesh(
        prop.mesh,
        prop.location,
        prop.rotation_y,
        scene.lighting,
        object_id=number,
        measured=False,
    )
    x, y, z = prop.location
    if prop.crown is None or z < 2.0:
        return
    half = prop.crown.width / 2
    corners = np.array(
        [[x - half, y - prop.crown.top, z], [x + half, y - 0.36 * prop.crown.top, z]]
    )
    rectangle = project_points(corners).ravel()
    mipmaps = textures.tree_crown(prop.crown.picture)
    shrink = mipmaps[0].shape[0] / max(2 * (rectangle[3] - rectangle[1]), 1)
    picture = mipmaps[int(np.clip(np.log2(max(shrink, 1)) + 0.4, 0, len(mipmaps) - 1))]
    light = scene.lighting.ambient + 0.75 * scene.lighting.sun
    shaded = cv2.LUT(picture, scene.lighting.shading_table(light, z, channels=4))
    canvas.draw_sprite(shaded, rectangle, z, object_id=number)


def _expose(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adds what a camera adds: a slight blur, contrast, and noise."""
    blurred = cv2.GaussianBlur(image, (3, 3), rng.uniform(0.3, 0.65))
    grain = textures.film_grain()
    top, left = rng.integers(0, 256, 2)
    noise = grain[top : top + IMAGE_HEIGHT, left : left + IMAGE_WIDTH]
    contrast, strength = rng.uniform(0.94, 1.08), rng.uniform(1.0, 4.0) / 24
    level = 128 * (1 - contrast - strength)  # keeps mid grey where it is
    return cv2.addWeighted(blurred, contrast, noise, strength, level)
