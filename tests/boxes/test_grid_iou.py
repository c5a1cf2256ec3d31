import numpy as np
import pytest
from keras import ops

from mobilenetdet.boxes.anchors import AnchorGrid
from mobilenetdet.boxes.box_status import DONT_CARE, IGNORED, OBJECT, PADDING
from mobilenetdet.boxes.geometry import area, intersection, pairwise_iou
from mobilenetdet.boxes.grid_iou import from_iou, signed_overlaps

# Three maps, the second of which ends in a cell beyond the image.
GRID = AnchorGrid(
    (40, 104), [(8, [(9.3, 14.1), (21.7, 11.9)]), (16, [(40.2, 33.3)]), (32, [(90.0, 7.0)] * 3)]
)
ANCHORS = GRID.boxes_xyxy()


@pytest.fixture(scope="module")
def boxes() -> np.ndarray:
    """Boxes [2, 9, 4], some of them partly or wholly outside of the image."""
    rng = np.random.default_rng(0)
    corners = rng.uniform((-40, -40), (140, 80), (2, 9, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 60, (2, 9, 2))], axis=-1)
    return boxes.astype(np.float32)


def overlaps_of(boxes: np.ndarray, kind: int) -> np.ndarray:
    box_status = np.full(boxes.shape[:2], kind, np.int32)
    found = signed_overlaps(GRID, ops.convert_to_tensor(boxes), ops.convert_to_tensor(box_status))
    return ops.convert_to_numpy(found)


def test_overlaps_of_objects_are_their_ious(boxes):
    overlaps = overlaps_of(boxes, OBJECT)
    ious = ops.convert_to_numpy(pairwise_iou(boxes, ANCHORS))
    assert overlaps.shape == (2, 9, len(ANCHORS)) and (ious > 0.3).any()
    np.testing.assert_allclose(overlaps, from_iou(ious), atol=1e-6)


@pytest.mark.parametrize("kind", [IGNORED, PADDING])
def test_other_boxes_count_below_zero(boxes, kind):
    np.testing.assert_array_equal(overlaps_of(boxes, kind), -overlaps_of(boxes, OBJECT))


def test_of_a_region_the_share_of_the_anchor_counts(boxes):
    covered = intersection(boxes[:, :, None], ANCHORS) / area(ANCHORS)
    np.testing.assert_allclose(
        overlaps_of(boxes, DONT_CARE), -ops.convert_to_numpy(covered), atol=1e-5
    )


def test_kinds_are_told_apart_box_by_box(boxes):
    box_status = np.array([[OBJECT, DONT_CARE, IGNORED] * 3] * 2, np.int32)
    mixed = ops.convert_to_numpy(signed_overlaps(GRID, boxes, box_status))
    for column, kind in enumerate(box_status[0]):
        np.testing.assert_array_equal(mixed[:, column], overlaps_of(boxes, kind)[:, column])


@pytest.mark.parametrize("box", [(20, 20, 20, 20), (20, 20, 20, 30), (0, 0, 0, 0)])
@pytest.mark.parametrize("kind", [OBJECT, DONT_CARE, PADDING])
def test_a_box_without_area_overlaps_nothing(box, kind):
    assert (overlaps_of(np.array([[box]], np.float32), kind) == 0).all()


def test_exact_thresholds_are_reached():
    # An object of half the anchor's area within it, and one that has 3 / 5.
    grid = AnchorGrid((16, 16), [(16, [(8, 10)])])  # the anchor is (4, 3, 12, 13)
    boxes = np.array([[[4, 3, 8, 13], [4, 3, 12, 9]]], np.float32)
    found = ops.convert_to_numpy(signed_overlaps(grid, boxes, np.full((1, 2), OBJECT, np.int32)))
    assert found[0, 0, 0] >= np.float32(from_iou(0.5))
    assert found[0, 1, 0] >= np.float32(from_iou(0.6))
    assert not (found[0, :, 0] >= np.float32(from_iou(0.600001))).any()
