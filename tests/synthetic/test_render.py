"""Labels against the pixels that were drawn."""

import numpy as np
import pytest
from fixtures.scenes import BUILDERS, actor, box_corners, plain_scene

from mobilenetdet.synthetic.camera import (
    P2,
    project_points,
)
from mobilenetdet.synthetic.lighting import sample_lighting
from mobilenetdet.synthetic.raster import Canvas
from mobilenetdet.synthetic.render import render_scene
from mobilenetdet.synthetic.scene import (
    Actor,
)

POSES = [
    (0.0, 8.0, -np.pi / 2),
    (3.0, 12.0, np.pi / 2),
    (-6.0, 18.0, 0.0),
    (2.0, 10.0, 0.7),
    (-2.5, 25.0, 2.5),
    (-4.4, 5.5, -np.pi / 2),  # cut by the left border
    (4.6, 6.0, 1.2),  # cut by the right border
    (1.0, 3.4, -1.0),  # cut by the lower border
]


def draw_alone(thing: Actor):
    """Bounds of the pixels that an object changes on a magenta canvas, and its silhouette."""
    background = np.full((375, 1242, 3), (255, 0, 255), np.uint8)
    canvas = Canvas(background)
    lighting = sample_lighting(np.random.default_rng(0))
    silhouette = canvas.draw_mesh(
        thing.mesh, thing.location, thing.rotation_y, lighting, object_id=1
    )
    changed = (canvas.image() != background).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]), silhouette


@pytest.mark.parametrize("class_name", BUILDERS)
@pytest.mark.parametrize(("x", "z", "rotation_y"), POSES)
def test_box_fits_the_drawn_silhouette_to_a_pixel(class_name, x, z, rotation_y):
    thing = actor(class_name, x, z, rotation_y)
    bounds, silhouette = draw_alone(thing)
    np.testing.assert_allclose(silhouette.inside_xyxy, bounds, atol=1.0)
    label = render_scene(plain_scene(thing)).objects
    np.testing.assert_allclose(
        label.boxes_xyxy[0], np.minimum(bounds, [1241, 374, 1241, 374]), atol=1.01
    )
    assert label.types[0] in (class_name, "DontCare")


@pytest.mark.parametrize("class_name", BUILDERS)
def test_box_lies_in_the_projected_3d_box_of_the_label(class_name):
    for x, z, rotation_y in POSES[:5]:
        label = render_scene(plain_scene(actor(class_name, x, z, rotation_y))).objects
        corners = box_corners(label.dimensions_hwl[0], label.locations_xyz[0], label.rotation_y[0])
        pixels = project_points(corners)
        hull = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
        inside = (label.boxes_xyxy[0] - hull) * [1, 1, -1, -1]
        assert (inside > -1.0).all()  # two decimals of the label are a pixel at most
        assert (label.boxes_xyxy[0, 2:] - label.boxes_xyxy[0, :2]).prod() > 0.4 * (
            hull[2:] - hull[:2]
        ).prod()


@pytest.mark.parametrize(
    ("offset", "level"),
    [
        (4.0, 0),  # beside each other
        (1.05, 1),  # a third of the width behind the other
        (0.7, 2),
    ],
)
def test_occlusion_comes_from_overlap_in_the_picture(offset, level):
    front, back = actor(z=12.0), actor(x=offset * 1.6, z=18.0, shape=1)
    for actors in ((front, back), (back, front)):  # the order of drawing does not matter
        frame = render_scene(plain_scene(*actors))
        assert frame.objects.locations_xyz[:, 2].tolist() == [12.0, 18.0]
        assert frame.objects.occluded.tolist() == [0, level]
        assert frame.visible_shares[0] == 1.0


def test_visible_share_is_the_unhidden_part_of_the_silhouette():
    # The same car at twice the distance of the near one: only what sticks out is seen.
    far = actor(x=1.4, z=20.0)
    alone = render_scene(plain_scene(far))
    both = render_scene(plain_scene(far, actor(x=0.0, z=10.0)))
    assert alone.visible_shares.tolist() == [1.0]
    shown, whole = both.objects.boxes_xyxy[1], alone.objects.boxes_xyxy[0]
    np.testing.assert_array_equal(shown, whole)  # the box is that of the whole object
    assert 0 < both.visible_shares[1] < 1


def test_wholly_hidden_object_is_no_label_and_nearly_hidden_one_is_dont_care():
    van = actor("Van", z=8.0)
    hidden = render_scene(plain_scene(van, actor("Pedestrian", z=25.0)))
    assert hidden.objects.types.tolist() == ["Van"]
    edge = hidden.objects.boxes_xyxy[0, 2]
    start = (edge - P2[0, 2]) / P2[0, 0] * 25.0 - 0.7
    for x in np.arange(start, start + 0.7, 0.02):  # let the walker step out from behind the van
        frame = render_scene(plain_scene(van, actor("Pedestrian", x=x, z=25.0)))
        if len(frame.objects) == 2:
            break
    assert frame.objects.types.tolist() == ["Van", "DontCare"]
    assert frame.objects.boxes_xyxy[1, 2] == pytest.approx(edge, abs=5)


def test_truncation_grows_across_the_border():
    shares = []
    for x in (6.0, 7.5, 8.0, 8.5):
        label = render_scene(plain_scene(actor(x=x, z=10.0))).objects
        corners = box_corners(label.dimensions_hwl[0], label.locations_xyz[0], label.rotation_y[0])
        right = project_points(corners)[:, 0].max()
        assert (label.truncated[0] > 0) == (right > 1242)
        assert label.boxes_xyxy[0, 2] <= 1241
        shares.append(label.truncated[0])
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert 0.3 < shares[-1] < 1


def test_far_object_is_dont_care():
    objects = render_scene(plain_scene(actor(z=20.0), actor(x=3.0, z=85.0))).objects
    assert objects.types.tolist() == ["Car", "DontCare"]
    assert objects.truncated[1] == objects.occluded[1] == -1
    assert objects.alpha[1] == objects.rotation_y[1] == -10
    assert (objects.dimensions_hwl[1] == -1).all()
    assert (objects.locations_xyz[1] == -1000).all()


@pytest.mark.parametrize("x", [-60.0, 60.0])
def test_object_outside_of_the_picture_is_no_label(x):
    assert len(render_scene(plain_scene(actor(x=x))).objects) == 0


def test_object_behind_the_camera_is_no_label():
    assert len(render_scene(plain_scene(actor(z=-10.0))).objects) == 0


def test_empty_scene_has_no_labels():
    frame = render_scene(plain_scene())
    assert len(frame.objects) == len(frame.visible_shares) == 0
