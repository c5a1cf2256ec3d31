import zipfile

import numpy as np
import pytest
from keras import ops

from mobilenetdet.boxes.anchors import AnchorGrid, grid_anchors
from mobilenetdet.boxes.geometry import iou
from mobilenetdet.config.detection import SQUEEZEDET_ANCHORS
from mobilenetdet.kitti.labels import parse_objects


def test_example():
    anchors = grid_anchors((16, 16), 16, [(4, 2)])
    assert anchors.dtype == np.float32
    np.testing.assert_array_equal(anchors, [[6, 7, 10, 9]])


def test_order_is_shape_then_column_then_row():
    shapes = [(10.0, 20.0), (7.0, 3.0)]
    anchors = grid_anchors((48, 64), 16, shapes)
    expected = [
        (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        for y in (8.0, 24.0, 40.0)
        for x in (8.0, 24.0, 40.0, 56.0)
        for width, height in shapes
    ]
    np.testing.assert_array_equal(anchors, np.array(expected, np.float32))


@pytest.mark.parametrize(
    ("image_size", "stride", "cells"),
    [
        ((384, 1248), 16, 24 * 78),
        ((384, 1248), 8, 48 * 156),
        ((375, 1242), 16, 24 * 78),  # the map of a size that does not divide is rounded up
        ((8, 8), 16, 1),
    ],
)
def test_number_of_anchors(image_size, stride, cells):
    assert grid_anchors(image_size, stride, SQUEEZEDET_ANCHORS).shape == (cells * 9, 4)


def test_sides_of_a_grid_are_those_of_its_anchors():
    levels = [(8, [(10.0, 20.0), (7.5, 3.0)]), (16, [(30.0, 12.0)])]
    grid = AnchorGrid((20, 40), levels)
    anchors = []
    for sides in grid.sides():
        left_right, top_bottom = np.broadcast_arrays(sides.columns[None], sides.rows[:, None])
        anchors.append(np.stack([left_right, top_bottom], axis=-1).reshape(-1, 4))
    np.testing.assert_array_equal(np.concatenate(anchors), grid.boxes_xyxy())
    assert [sides.areas.tolist() for sides in grid.sides()] == [[200.0, 22.5], [360.0]]


def test_mirror_image_of_the_anchors():
    levels = [(8, [(10.0, 20.0), (7.0, 3.0)]), (16, [(30.0, 12.0)]), (32, SQUEEZEDET_ANCHORS)]
    image_size = (70, 96)
    grid = AnchorGrid(image_size, levels)
    anchors, order = grid.boxes_xyxy(), grid.mirror_order()
    mirrored = anchors[order]
    np.testing.assert_allclose(96 - mirrored[:, [2, 0]], anchors[:, [0, 2]], atol=1e-5)
    np.testing.assert_array_equal(mirrored[:, [1, 3]], anchors[:, [1, 3]])
    np.testing.assert_array_equal(order[order], np.arange(len(anchors)))


def test_mirror_order_of_the_docstring():
    assert AnchorGrid((8, 16), [(8, [(1, 1)] * 3)]).mirror_order().tolist() == [3, 4, 5, 0, 1, 2]


def test_cells_beyond_the_image_have_no_mirror_image():
    with pytest.raises(ValueError, match="stride 64.*1248 pixels.*a multiple of 64"):
        AnchorGrid((384, 1248), [(32, [(9, 9)]), (64, [(9, 9)])]).mirror_order()


def test_anchors_may_leave_the_image():
    anchors = grid_anchors((32, 32), 16, [(100, 40)])
    np.testing.assert_array_equal(anchors[0], [-42, -12, 58, 28])


@pytest.mark.parametrize(
    ("stride", "without"),
    [
        # Share of objects without an anchor at IoU 0.5, percent, as measured on all real labels.
        (16, {"Car": 13.3, "Pedestrian": 36.3, "Cyclist": 28.8}),
        (32, {"Car": 32.9, "Pedestrian": 53.0, "Cyclist": 51.2}),
    ],
)
def test_coverage_of_the_real_labels(tensorflow_only, shared_dir, real_objects, stride, without):
    rows, columns = 384 // stride, 1248 // stride
    anchors = grid_anchors((384, 1248), stride, SQUEEZEDET_ANCHORS).reshape(rows, columns, 9, 4)
    for name, expected in without.items():
        boxes = real_objects[name]  # [N, 4]
        # Of one shape the anchor with the nearest centre overlaps most.
        column = np.clip((boxes[:, 0] + boxes[:, 2]) / 2 // stride, 0, columns - 1).astype(int)
        row = np.clip((boxes[:, 1] + boxes[:, 3]) / 2 // stride, 0, rows - 1).astype(int)
        best = ops.convert_to_numpy(iou(boxes[:, None], anchors[row, column])).max(axis=1)
        assert 100 * np.mean(best < 0.5) == pytest.approx(expected, abs=0.06)


@pytest.fixture(scope="module")
def real_objects(shared_dir) -> dict[str, np.ndarray]:
    """Boxes of all labelled frames by class, pixels of a 1248x384 input."""
    boxes: dict[str, list[np.ndarray]] = {"Car": [], "Pedestrian": [], "Cyclist": []}
    with zipfile.ZipFile(shared_dir / "kitti_labels/label_2_all_7481.zip") as archive:
        for name in archive.namelist():
            if name.endswith(".txt"):
                objects = parse_objects(archive.read(name).decode(), name)
                for kind, found in boxes.items():
                    found.append(objects.boxes_xyxy[objects.types == kind])
    scale = np.array([1248 / 1242, 384 / 375] * 2)
    return {kind: (np.concatenate(b) * scale).astype(np.float32) for kind, b in boxes.items()}
