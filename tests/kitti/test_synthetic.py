import json

import cv2
import numpy as np
import pytest

from mobilenetdet.kitti.labels import read_objects
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.synthetic import render_frame, synthesize, writer
from mobilenetdet.synthetic.camera import (
    CAMERA_CENTRE,
    CAMERA_HEIGHT,
    P2,
    clip_to_near,
    format_calibration,
    level_plane_to_image,
    plane_to_image,
    project_points,
)
from mobilenetdet.synthetic.labelling import (
    observation_angle,
    occlusion_level,
    truncation,
)
from mobilenetdet.synthetic.lighting import sample_lighting
from mobilenetdet.synthetic.mesh import assemble, ball, box, disc, limb, ring
from mobilenetdet.synthetic.people import build_cyclist, build_pedestrian
from mobilenetdet.synthetic.raster import Canvas, rotation_about_y
from mobilenetdet.synthetic.render import render_scene
from mobilenetdet.synthetic.scene import (
    Actor,
    Scene,
    footprint,
    footprints_overlap,
    sample_scene,
)
from mobilenetdet.synthetic.street import Street
from mobilenetdet.synthetic.vehicles import build_car, build_van

BUILDERS = {
    "Car": build_car,
    "Van": build_van,
    "Pedestrian": build_pedestrian,
    "Cyclist": build_cyclist,
}
NUM_SAMPLED = 12


def actor(class_name="Car", x=0.0, z=15.0, rotation_y=-np.pi / 2, shape=0) -> Actor:
    mesh = BUILDERS[class_name](np.random.default_rng(shape))
    return Actor(class_name, mesh, np.array([x, CAMERA_HEIGHT, z]), rotation_y)


def plain_scene(*actors: Actor) -> Scene:
    """A scene on bare ground without houses, trees and lamps."""
    street = Street(
        yaw=0.0,
        strips=(),
        marks=(),
        base_colour=np.full(3, 0.4),
        base_material="paving",
        buildings=(),
        lanes=((0.0, 1),),
        parking=(),
        pavements=(),
        verges=(),
        side_street=None,
        urban=False,
    )
    lighting = sample_lighting(np.random.default_rng(0))
    return Scene(street, lighting, actors, (), np.ones(1242), np.zeros(2))


def box_corners(dimensions_hwl, location, rotation_y) -> np.ndarray:
    """The eight corners of a KITTI 3D box as the devkit's readme builds them."""
    h, w, length = dimensions_hwl
    x = np.array([1, 1, -1, -1, 1, 1, -1, -1]) * length / 2
    y = np.array([0, 0, 0, 0, -1, -1, -1, -1]) * h
    z = np.array([1, -1, -1, 1, 1, -1, -1, 1]) * w / 2
    c, s = np.cos(rotation_y), np.sin(rotation_y)
    rotation = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return (rotation @ np.stack([x, y, z])).T + location


@pytest.fixture(scope="module")
def frames():
    return [render_frame(5, index) for index in range(NUM_SAMPLED)]


# Camera


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


# Shapes


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


# Labels against pixels


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
    ("hidden", "level"), [(0, 0), (0.1, 0), (0.11, 1), (0.45, 1), (0.46, 2), (0.75, 2), (0.8, 3)]
)
def test_occlusion_levels(hidden, level):
    assert occlusion_level(1 - hidden) == level


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


# Scenes


@pytest.mark.parametrize(
    ("centre", "rotation_y", "expected"),
    [
        ((0.0, 0.0), 0.0, True),
        ((4.1, 0.0), 0.0, False),  # beyond the bumper
        ((3.9, 0.0), 0.0, True),
        ((0.0, 2.1), 0.0, False),
        ((2.6, 1.6), np.pi / 4, True),
        ((3.6, 2.6), np.pi / 4, False),  # bounding circles overlap, rectangles do not
    ],
)
def test_footprints_overlap(centre, rotation_y, expected):
    first = footprint(4.0, 2.0, np.zeros(2), 0.0)
    second = footprint(4.0, 2.0, np.array(centre), rotation_y)
    assert footprints_overlap(first, second) is expected
    assert footprints_overlap(second, first) is expected


def test_objects_of_a_scene_never_intersect():
    for seed in range(20):
        scene = sample_scene(np.random.default_rng(seed))
        prints = []
        for thing in (*scene.actors, *scene.props):
            corners = thing.mesh.vertices @ rotation_about_y(thing.rotation_y).T + thing.location
            _, width, length = thing.mesh.dimensions_hwl
            prints.append(footprint(length, width, thing.location[[0, 2]], thing.rotation_y))
            assert corners[:, 1].max() == pytest.approx(CAMERA_HEIGHT)
        num_actors = len(scene.actors)
        for i in range(num_actors):
            for j in range(i + 1, num_actors):
                assert not footprints_overlap(prints[i], prints[j])


def test_sampled_labels_are_consistent(frames):
    for frame in frames:
        objects = frame.objects
        assert frame.image_rgb.shape == (375, 1242, 3)
        assert frame.image_rgb.dtype == np.uint8
        assert (objects.boxes_xyxy >= 0).all()
        assert (objects.boxes_xyxy[:, 2:] <= [1241, 374]).all()
        assert (objects.boxes_xyxy[:, :2] < objects.boxes_xyxy[:, 2:]).all()
        known = objects[objects.types != "DontCare"]
        assert set(known.occluded.tolist()) <= {0, 1, 2, 3}
        assert ((known.truncated >= 0) & (known.truncated <= 1)).all()
        expected = [
            observation_angle(angle, location)
            for angle, location in zip(known.rotation_y, known.locations_xyz, strict=True)
        ]
        difference = np.angle(np.exp(1j * (known.alpha - np.array(expected))))
        np.testing.assert_allclose(difference, 0, atol=0.03)  # of rounded columns


def test_mix_of_classes():
    names = np.concatenate(
        [
            [thing.class_name for thing in sample_scene(np.random.default_rng([0, index])).actors]
            for index in range(150)
        ]
    )
    counts = {name: np.count_nonzero(names == name) / 150 for name in BUILDERS}
    assert counts["Car"] > 4
    assert 0.2 < counts["Van"] < 1.5
    assert 0.8 < counts["Pedestrian"] < 3
    assert 0.6 < counts["Cyclist"] < 2


# Files


def files_of(folder) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_same_seed_gives_same_frame_and_another_one_does_not(frames):
    again, other = render_frame(5, 3), render_frame(6, 3)
    np.testing.assert_array_equal(again.image_rgb, frames[3].image_rgb)
    np.testing.assert_array_equal(again.objects.boxes_xyxy, frames[3].objects.boxes_xyxy)
    assert (other.image_rgb != frames[3].image_rgb).any()


def test_bytes_do_not_depend_on_workers_or_number_of_frames(tmp_path):
    synthesize(tmp_path / "one", num_frames=4, seed=3, num_workers=1)
    synthesize(tmp_path / "two", num_frames=2, seed=3, num_workers=2)
    one, two = files_of(tmp_path / "one"), files_of(tmp_path / "two")
    names = [name for name in two if name != "synthetic.json"]
    assert len(names) == 6
    assert all(one[name] == two[name] for name in names)


@pytest.mark.parametrize("image_format", ["jpg", "png"])
def test_files_round_trip(tmp_path, frames, image_format):
    synthesize(tmp_path, num_frames=2, seed=5, image_format=image_format, num_workers=1)
    layout = KittiLayout(tmp_path)
    assert layout.frame_ids() == ["000000", "000001"]
    assert layout.calib_path("000001").read_text() == format_calibration()
    for index, frame_id in enumerate(layout.frame_ids()):
        written = read_objects(layout.label_path(frame_id))
        made = frames[index].objects
        for name in ("types", "truncated", "occluded", "alpha", "boxes_xyxy", "dimensions_hwl"):
            np.testing.assert_array_equal(getattr(written, name), getattr(made, name))
        np.testing.assert_array_equal(written.locations_xyz, made.locations_xyz)
        np.testing.assert_array_equal(written.rotation_y, made.rotation_y)
        image = cv2.imread(str(layout.image_path(frame_id)))[..., ::-1].astype(int)
        limit = 0 if image_format == "png" else 4
        assert np.abs(image - frames[index].image_rgb).mean() <= limit


def test_second_call_continues(tmp_path):
    calls = []
    assert synthesize(tmp_path, num_frames=3, seed=0, num_workers=1) == 3
    before = files_of(tmp_path)
    (tmp_path / "training/label_2/000001.txt").unlink()
    assert synthesize(tmp_path, num_frames=4, seed=0, num_workers=1, on_frame=calls.append) == 2
    after = files_of(tmp_path)
    assert calls == [2, 3, 4]
    assert len(after) == len(before) + 3
    assert all(after[name] == before[name] for name in before if name != "synthetic.json")
    assert json.loads(after["synthetic.json"])["num_frames"] == 4
    assert synthesize(tmp_path, num_frames=2, seed=0, num_workers=1) == 0
    assert files_of(tmp_path) == after  # fewer frames take none away


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed is 0 and 1 is asked for"),
        ({"image_format": "png"}, "image_format is 'jpg' and 'png' is asked for"),
    ],
)
def test_frames_of_two_kinds_never_mix(tmp_path, change, message):
    options = {"num_frames": 1, "seed": 0, "num_workers": 1}
    synthesize(tmp_path, **options)
    before = files_of(tmp_path)
    with pytest.raises(ValueError, match=message):
        synthesize(tmp_path, **(options | change))
    assert files_of(tmp_path) == before


def test_another_version_is_refused(tmp_path, monkeypatch):
    synthesize(tmp_path, num_frames=1, seed=0, num_workers=1)
    monkeypatch.setattr(writer, "VERSION", writer.VERSION + 1)
    with pytest.raises(ValueError, match="version is"):
        synthesize(tmp_path, num_frames=2, seed=0, num_workers=1)


def test_folder_with_real_frames_is_refused(tmp_path):
    (tmp_path / "training/image_2").mkdir(parents=True)
    (tmp_path / "training/image_2/000000.png").touch()
    with pytest.raises(ValueError, match="they were not rendered"):
        synthesize(tmp_path, num_frames=1, seed=0, num_workers=1)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_broken_manifest_is_named(tmp_path, text):
    (tmp_path / "synthetic.json").write_text(text)
    with pytest.raises(ValueError, match="synthetic.json"):
        synthesize(tmp_path, num_frames=1, seed=0, num_workers=1)


@pytest.mark.parametrize(
    "change", [{"num_frames": 0}, {"seed": -1}, {"image_format": "bmp"}, {"num_workers": 0}]
)
def test_arguments_out_of_range_are_refused(tmp_path, change):
    with pytest.raises(ValueError, match=next(iter(change))):
        synthesize(tmp_path, **({"num_frames": 1, "seed": 0, "num_workers": 1} | change))
    assert not list(tmp_path.iterdir())
