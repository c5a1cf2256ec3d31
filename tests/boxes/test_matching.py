import functools
from collections.abc import Callable

import numpy as np
import pytest
from keras import ops

from mobilenetdet.boxes.anchors import AnchorGrid
from mobilenetdet.boxes.box_status import (
    DONT_CARE,
    IGNORED,
    OBJECT,
    PADDING,
    WITHOUT_WEIGHT,
)
from mobilenetdet.boxes.geometry import pairwise_iou
from mobilenetdet.boxes.matching import (
    AnchorMatches,
    assign_best_anchors,
    match_anchors,
)
from mobilenetdet.config.detection import SQUEEZEDET_ANCHORS, MatchingConfig
from mobilenetdet.kitti.labels import read_objects

IMAGE = (64, 128)
GRID = AnchorGrid(IMAGE, [(16, [(32, 20), (12, 28), (16, 16)])])
ANCHORS = GRID.boxes_xyxy()  # [96, 4]
CONFIG = MatchingConfig(positive_iou=0.6, ignore_iou=0.5, dont_care_overlap=0.5)


@functools.cache
def matcher(grid: AnchorGrid, config: MatchingConfig) -> Callable:
    return functools.partial(match_anchors, grid, config=config)


@pytest.fixture
def match(compiled) -> Callable[..., AnchorMatches]:
    """Matches one scene [N, 4] or a batch of them; the fields come back as numpy arrays."""

    def run(
        boxes: object, box_status: object, config: MatchingConfig = CONFIG, grid: AnchorGrid = GRID
    ) -> AnchorMatches:
        boxes, box_status = np.asarray(boxes, np.float32), np.asarray(box_status, np.int32)
        single = boxes.ndim == 2
        if single:  # padded to eight rows, as batches are
            boxes = np.pad(boxes, ((0, 8 - len(boxes)), (0, 0)))[None]
            box_status = np.pad(box_status, (0, 8 - len(box_status)), constant_values=PADDING)[None]
        found = compiled(matcher(grid, config))(boxes, box_status)
        matches = [ops.convert_to_numpy(value) for value in found]
        return AnchorMatches(*(v[0] if single else v for v in matches))

    return run


def naive_iou(first: list[float], second: list[float]) -> tuple[float, float]:
    """IoU, and the share of the second box that the first one covers."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (first, second)]
    return shared / max(sum(areas) - shared, 1e-6), shared / areas[1]


def naive_assignment(ious: np.ndarray) -> list[int]:
    """All pairs of an object [N] and an anchor [A], the highest first; each is used once.

    An object that overlaps no anchor has no pairs.
    """
    pairs = sorted(
        (-iou, row, anchor)
        for (row, anchor), iou in np.ndenumerate(ious)
        if iou >= 0 and ious[row].max() > 0
    )
    assigned = [-1] * len(ious)
    for _, row, anchor in pairs:
        if assigned[row] < 0 and anchor not in assigned:
            assigned[row] = anchor
    return assigned


def naive_match(boxes: np.ndarray, box_status: np.ndarray, config: MatchingConfig) -> list[tuple]:
    """(positive, negative, row) of each anchor, one after the other."""
    pairs = [[naive_iou(b, a) for a in ANCHORS.tolist()] for b in boxes.tolist()]
    ious = np.array([[pair[0] for pair in row] for row in pairs])
    assigned = naive_assignment(np.where((box_status == OBJECT)[:, None], ious, -1))
    results = []
    for anchor in range(len(ANCHORS)):
        objects = [(ious[row, anchor], -row) for row in np.flatnonzero(box_status == OBJECT)]
        best, row = max(objects, default=(0.0, 0))
        neutral = bool(objects) and best >= config.ignore_iou
        if not config.ignore_regions:
            box_status = np.where(box_status == OBJECT, box_status, PADDING)
        for other in np.flatnonzero(box_status == IGNORED):
            iou = ious[other, anchor]
            neutral |= iou >= config.ignore_iou or 0 < iou == ious[other].max()
        for other in np.flatnonzero(box_status == DONT_CARE):
            neutral |= pairs[other][anchor][1] >= config.dont_care_overlap
        if anchor in assigned:
            results.append((True, False, assigned.index(anchor)))
        elif objects and best >= config.positive_iou:
            results.append((True, False, -row))
        else:
            results.append((False, not neutral, None))
    return results


def random_scenes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Crowds [count, 8, 4] of whole pixels with equal boxes, empty boxes and boxes outside."""
    rng = np.random.default_rng(seed)
    corners = rng.integers((-20, -20), (140, 76), (count, 8, 2))
    boxes = np.concatenate([corners, corners + rng.integers(0, 48, (count, 8, 2))], axis=-1)
    # Half of the scenes crowd: their boxes are copies of three, some of them moved a little.
    copies = np.take_along_axis(boxes, rng.integers(0, 3, (count, 8, 1)), axis=1)
    copies = copies + rng.integers(0, 2, (count, 8, 1)) * rng.integers(0, 2, (count, 8, 4))
    boxes = np.where(np.arange(count)[:, None, None] % 2, copies, boxes)
    box_status = rng.choice([PADDING, OBJECT, OBJECT, OBJECT, IGNORED, DONT_CARE], (count, 8))
    return boxes.astype(np.float32), box_status.astype(np.int32)


def test_an_object_takes_its_best_anchor_and_those_that_overlap_enough(match):
    box = ANCHORS[40] + np.array([1, 0, 1, 0], np.float32)
    matches = match([box], [OBJECT])
    ious = ops.convert_to_numpy(pairwise_iou(box[None], ANCHORS))[0]
    assert np.argmax(ious) == 40
    assert matches.positive[40] and matches.gt_index[40] == 0
    np.testing.assert_array_equal(matches.positive, ious >= CONFIG.positive_iou)
    np.testing.assert_array_equal(matches.negative, ious < CONFIG.ignore_iou)


def test_anchors_between_the_thresholds_learn_nothing(match):
    config = MatchingConfig(positive_iou=0.9, ignore_iou=0.3)
    matches = match([ANCHORS[40]], [OBJECT], config)
    assert matches.positive.sum() == 1
    neutral = ~matches.positive & ~matches.negative
    ious = ops.convert_to_numpy(pairwise_iou(ANCHORS[40:41], ANCHORS))[0]
    np.testing.assert_array_equal(neutral, (ious >= 0.3) & (ious < 0.9))
    assert neutral.any()


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        MatchingConfig(positive_iou=1.0, ignore_iou=1.0),
        MatchingConfig(ignore_regions=False),
    ],
)
def test_batches_match_as_a_loop_over_pairs_does(match, config):
    boxes, box_status = random_scenes(32, seed=3)
    matches = match(boxes, box_status, config)
    for scene in range(len(boxes)):
        for anchor, (positive, negative, row) in enumerate(
            naive_match(boxes[scene], box_status[scene], config)
        ):
            at = scene, anchor
            assert (matches.positive[at], matches.negative[at]) == (positive, negative), at
            assert row is None or matches.gt_index[at] == row, at


def test_every_object_of_a_crowd_keeps_an_anchor(match):
    boxes, box_status = random_scenes(320, seed=4)
    matches = match(boxes, box_status)
    assert len(np.unique(boxes[box_status == OBJECT], axis=0)) < (box_status == OBJECT).sum()
    for scene, row in np.argwhere(box_status == OBJECT):
        owned = matches.positive[scene] & (matches.gt_index[scene] == row)
        box = boxes[scene, row].tolist()
        overlaps_one = any(naive_iou(box, anchor)[0] > 0 for anchor in ANCHORS.tolist())
        assert owned.any() == overlaps_one, (scene, row)
    # Nothing but objects is learnt, and no anchor is object and background at once.
    learnt = np.take_along_axis(box_status, matches.gt_index, axis=1)
    assert (learnt[matches.positive] == OBJECT).all()
    assert not (matches.positive & matches.negative).any()


def test_identical_boxes_get_the_next_best_anchors(match):
    matches = match([ANCHORS[40]] * 3, [OBJECT] * 3, MatchingConfig(1.0, 1.0))
    owners = np.flatnonzero(matches.positive)
    assert sorted(matches.gt_index[owners]) == [0, 1, 2]
    ious = ops.convert_to_numpy(pairwise_iou(ANCHORS[40:41], ANCHORS))[0]
    np.testing.assert_allclose(np.sort(ious[owners]), np.sort(ious)[-3:])


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_assignment_is_greedy_over_all_pairs(levels):
    # Few levels make many equal overlaps; the lower row, then the lower anchor, goes first.
    rng = np.random.default_rng(levels)
    ious = (rng.integers(0, levels, (64, 8, 20)) / levels).astype(np.float32)
    is_object = rng.random((64, 8)) >= 0.25
    is_object[0], is_object[1] = False, np.arange(8) == 0  # no object; one object
    assigned = ops.convert_to_numpy(assign_best_anchors(ious, ops.convert_to_tensor(is_object)))
    ious[~is_object] = -1
    for scene in range(64):
        assert assigned[scene].tolist() == naive_assignment(ious[scene]), scene


def test_as_many_objects_as_anchors():
    ious = np.full((1, 6, 6), 0.5, np.float32)
    assert sorted(
        ops.convert_to_numpy(assign_best_anchors(ious, np.ones((1, 6), bool)))[0]
    ) == list(range(6))


@pytest.mark.parametrize("kind", [PADDING, IGNORED, DONT_CARE])
def test_without_objects_nothing_is_positive(match, kind):
    boxes = np.tile(ANCHORS[40], (8, 1))
    matches = match(boxes, [kind] * 8)
    assert not matches.positive.any()
    assert matches.negative[40] == (kind == PADDING)
    assert matches.negative.any()


def test_padding_is_background_even_where_it_repeats_an_object(match):
    repeated = match(np.tile(ANCHORS[40], (8, 1)), [OBJECT] + [PADDING] * 7)
    alone = match(ANCHORS[40:41], [OBJECT])
    np.testing.assert_array_equal(repeated.positive, alone.positive)
    np.testing.assert_array_equal(repeated.negative, alone.negative)


def test_dont_care_is_neither_background_nor_the_end_of_an_object(match):
    region = [40, 10, 100, 60]
    matches = match([ANCHORS[40], region], [OBJECT, DONT_CARE])
    inside = np.array([naive_iou(region, a)[1] >= 0.5 for a in ANCHORS.tolist()])
    assert not matches.negative[inside].any()
    assert inside[40] and matches.positive[40]  # the object that it touches is still learnt
    alone = match([ANCHORS[40]], [OBJECT])
    np.testing.assert_array_equal(matches.positive, alone.positive)
    np.testing.assert_array_equal(matches.negative, alone.negative & ~inside)


@pytest.mark.parametrize("ignore_regions", [True, False])
def test_no_anchor_of_a_frame_without_weight_counts(match, ignore_regions):
    boxes = np.zeros((2, 8, 4))
    boxes[:, 0] = ANCHORS[5]
    status = [[OBJECT] + [PADDING] * 7, [WITHOUT_WEIGHT] * 8]
    config = MatchingConfig(ignore_regions=ignore_regions)
    matches = match(boxes, status, config)
    assert matches.positive[0].any() and matches.negative[0].any()
    assert not matches.positive[1].any() and not matches.negative[1].any()


def test_a_small_ignored_object_shields_its_best_anchor(match):
    box = [50, 30, 54, 34]  # overlaps no anchor by half
    matches = match([box], [IGNORED])
    ious = np.array([naive_iou(box, a)[0] for a in ANCHORS.tolist()])
    assert ious.max() < CONFIG.ignore_iou
    np.testing.assert_array_equal(matches.negative, ious < ious.max())


def test_an_ignored_object_in_front_does_not_hide_an_object(match):
    box = ANCHORS[40]
    matches = match([box + [1, 0, 1, 0], box], [OBJECT, IGNORED])
    assert matches.positive[40] and matches.gt_index[40] == 0


@pytest.mark.parametrize(
    ("box", "count"),
    [
        ((60, 30, 61, 31), 1),  # a pixel
        ((-10, -10, 400, 300), 1),  # the image and more
        # What overlaps no anchor would teach the first one, in a corner, to look far away.
        ((60, 30, 60, 30), 0),  # nothing
        ((60, 30, 60, 50), 0),  # a line
        ((-90, -90, -80, -80), 0),  # out of the image
    ],
)
def test_odd_objects_have_one_anchor_at_most_and_disturb_nobody(match, box, count):
    matches = match([box, ANCHORS[40]], [OBJECT, OBJECT])
    assert (matches.positive & (matches.gt_index == 0)).sum() == count
    assert matches.positive[40] and matches.gt_index[40] == 1


def test_a_chain_of_rivals_is_settled_from_its_strongest_end():
    # Object n wants anchor n most, but object n - 1 wants it more, all the way up.
    count = 8
    ious = np.zeros((1, count, count + 1), np.float32)
    for row in range(count):
        ious[0, row, row] = 0.9 - 0.1 * row
        ious[0, row, row + 1] = 0.85 - 0.1 * row
    ious[0, 0, 0] = 0.0  # so that the first one takes anchor 1, the second anchor 2, ...
    assigned = ops.convert_to_numpy(assign_best_anchors(ious, np.ones((1, count), bool)))[0]
    assert assigned.tolist() == naive_assignment(ious[0]) == list(range(1, count + 1))


def test_real_crowds_keep_every_object(match, shared_dir):
    boxes, box_status = _crowded_frames(shared_dir / "kitti/training/label_2", count=4)
    grid = AnchorGrid((384, 1248), [(16, SQUEEZEDET_ANCHORS)])
    matches = match(boxes, box_status, MatchingConfig(1.0, 1.0), grid)
    for frame, row in np.argwhere(box_status == OBJECT):
        assert (matches.positive[frame] & (matches.gt_index[frame] == row)).sum() == 1
    # In these frames objects do compete for anchors: taking the best one each loses some.
    best = ops.convert_to_numpy(pairwise_iou(boxes, grid.boxes_xyxy())).argmax(axis=2)
    lost = [
        np.sum(k == OBJECT) - len(set(b[k == OBJECT]))
        for b, k in zip(best, box_status, strict=True)
    ]
    assert sum(lost) > 0


def _crowded_frames(folder, count: int) -> tuple[np.ndarray, np.ndarray]:
    frames = [read_objects(path) for path in sorted(folder.glob("*.txt"))]
    frames = sorted(frames, key=len)[-count:]
    boxes = np.zeros((count, 32, 4), np.float32)
    box_status = np.zeros((count, 32), np.int32)
    for index, objects in enumerate(frames):
        boxes[index, : len(objects)] = objects.boxes_xyxy
        box_status[index, : len(objects)] = np.where(objects.types == "DontCare", DONT_CARE, OBJECT)
    return boxes, box_status
