"""The canvas against a naive loop over pixels."""

import cv2
import numpy as np
import pytest
from fixtures.scenes import actor

from mobilenetdet.synthetic.camera import CAMERA_CENTRE, P2, project_points, rotation_about_y
from mobilenetdet.synthetic.lighting import sample_lighting
from mobilenetdet.synthetic.mesh import assemble, box
from mobilenetdet.synthetic.raster import Canvas

LIGHT = sample_lighting(np.random.default_rng(0))
MAGENTA = np.full((375, 1242, 3), (255, 0, 255), np.uint8)
CUBE = assemble([box((-1, 0, -1), (1, 2, 1), (0.5, 0.5, 0.5))])
GROUND = 1.65


def rays(pixels: np.ndarray) -> np.ndarray:
    """Directions [N, 3] from the camera's centre through pixels [N, 2]."""
    homogeneous = np.insert(pixels, 2, 1.0, axis=1)
    directions = np.linalg.solve(P2[:, :3], homogeneous.T).T
    return directions / directions[:, 2:]


def depth_of_cube(pixels: np.ndarray, location: np.ndarray) -> np.ndarray:
    """Depth [N] at which rays enter the cube, infinity beside it: slab by slab."""
    low, high = location - (1, 2, 1), location + (1, 0, 1)
    with np.errstate(divide="ignore"):
        first, second = ((side - CAMERA_CENTRE) / rays(pixels) for side in (low, high))
    entry = np.minimum(first, second).max(axis=1)
    leaving = np.maximum(first, second).min(axis=1)
    return np.where(entry < leaving, entry, np.inf)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearer_cube_is_seen_at_every_pixel(order):
    places = [np.array([-0.6, GROUND, 12.0]), np.array([0.7, GROUND, 16.0])]
    canvas = Canvas(MAGENTA)
    for index in order:
        canvas.draw_mesh(CUBE, places[index], 0.0, LIGHT, object_id=index + 1)
    ids = canvas._rgba[::2, ::2, 3]
    rows, columns = np.mgrid[100:300:3, 450:800:3]
    pixels = np.stack([columns.ravel() + 0.25, rows.ravel() + 0.25], axis=1)  # the first sample
    depths = np.stack([depth_of_cube(pixels, place) for place in places], axis=1)
    expected = np.where(np.isinf(depths).all(axis=1), 255, depths.argmin(axis=1) + 1)
    found = ids[rows.ravel(), columns.ravel()]
    assert (found != expected).mean() < 0.01  # samples on an outline
    assert {1, 2, 255} == set(found.tolist())


def test_a_silhouette_counts_its_samples_and_what_is_seen_of_them():
    canvas = Canvas(MAGENTA)
    back = canvas.draw_mesh(CUBE, np.array([0.0, GROUND, 20.0]), 0.0, LIGHT, object_id=1)
    assert canvas.visible_samples(back) == back.samples > 0
    width, height = back.inside_xyxy[2:] - back.inside_xyxy[:2]
    assert back.samples == pytest.approx(4 * width * height, rel=0.05)  # four samples a pixel
    canvas.draw_mesh(CUBE, np.array([0.0, GROUND, 10.0]), 0.0, LIGHT, object_id=2)
    assert canvas.visible_samples(back) == 0


@pytest.mark.parametrize("x", [-40.0, 40.0])
def test_what_is_outside_of_the_picture_has_no_part_inside(x):
    canvas = Canvas(MAGENTA)
    outline = canvas.draw_mesh(CUBE, np.array([x, GROUND, 10.0]), 0.0, LIGHT, object_id=1)
    assert outline.inside_xyxy is None and outline.samples == 0
    assert (outline.full_xyxy[[0, 2]] < 0).all() or (outline.full_xyxy[[0, 2]] > 1242).all()
    np.testing.assert_array_equal(canvas.image(), MAGENTA)


def test_an_object_that_reaches_behind_the_camera_is_cut():
    canvas = Canvas(MAGENTA)
    thing = actor("Van", x=2.5, z=2.0)
    outline = canvas.draw_mesh(thing.mesh, thing.location, thing.rotation_y, LIGHT, object_id=1)
    assert np.isfinite(outline.full_xyxy).all() and outline.inside_xyxy[2] == 1242
    assert (canvas.image() != MAGENTA).any()


def test_a_wall_hides_what_comes_behind_it_and_shows_the_painting():
    wall = np.array([[-3.0, GROUND, 15], [3.0, GROUND, 15], [3.0, -3.0, 15], [-3.0, -3.0, 15]])
    canvas = Canvas(MAGENTA)
    canvas.hide_behind(wall)
    hidden = canvas.draw_mesh(CUBE, np.array([0.0, GROUND, 20.0]), 0.0, LIGHT, object_id=1)
    np.testing.assert_array_equal(canvas.image(), MAGENTA)
    assert hidden.samples > 0 == canvas.visible_samples(hidden)
    shown = canvas.draw_mesh(CUBE, np.array([0.0, GROUND, 10.0]), 0.0, LIGHT, object_id=2)
    assert canvas.visible_samples(shown) == shown.samples


@pytest.mark.parametrize(("depth", "seen"), [(5.0, True), (30.0, False)])
def test_a_sprite_is_hidden_by_what_is_nearer(depth, seen):
    canvas = Canvas(MAGENTA)
    canvas.draw_mesh(CUBE, np.array([0.0, GROUND, 15.0]), 0.0, LIGHT, object_id=1)
    u, v = project_points(np.array([0.0, GROUND - 1, 14.0]))
    green = np.zeros((8, 8, 4), np.uint8)
    green[..., 1:] = 255
    green[..., 2] = 0
    canvas.draw_sprite(green, np.array([u - 5, v - 5, u + 5, v + 5]), depth, object_id=2)
    pixel = canvas.image()[int(v), int(u)]
    assert (pixel.tolist() == [0, 255, 0]) == seen


def test_transparent_parts_of_a_sprite_show_what_is_behind():
    canvas = Canvas(MAGENTA)
    picture = np.zeros((4, 4, 4), np.uint8)
    picture[:, 2:] = (0, 255, 0, 255)  # the right half is opaque
    canvas.draw_sprite(picture, np.array([100.0, 100.0, 140.0, 140.0]), 9.0, object_id=3)
    image = canvas.image()
    np.testing.assert_array_equal(image[110:130, 102:115], MAGENTA[110:130, 102:115])
    np.testing.assert_array_equal(image[120, 130], (0, 255, 0))


def test_pixels_average_their_four_samples():
    canvas = Canvas(MAGENTA)
    canvas._rgba[0, 0] = (255, 0, 255, 1)
    canvas._rgba[1, :2] = (55, 0, 255, 1)
    np.testing.assert_array_equal(canvas.image()[0, 0], (155, 0, 255))


@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi / 2, -2.0])
def test_rotation_is_kittis(angle):
    rotation = rotation_about_y(angle)
    np.testing.assert_allclose(rotation @ (1, 0, 0), (np.cos(angle), 0, -np.sin(angle)), atol=1e-12)
    vector, _ = cv2.Rodrigues(rotation)
    np.testing.assert_allclose(vector[:, 0], (0, angle, 0), atol=1e-9)
