"""Sampled scenes: what stands where."""

import numpy as np
import pytest
from fixtures.scenes import BUILDERS

from mobilenetdet.synthetic.camera import (
    CAMERA_HEIGHT,
    rotation_about_y,
)
from mobilenetdet.synthetic.labelling import (
    observation_angle,
)
from mobilenetdet.synthetic.scene import (
    footprint,
    footprints_overlap,
    sample_scene,
)


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


def test_sampled_labels_are_consistent(sampled_frames):
    for frame in sampled_frames:
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
