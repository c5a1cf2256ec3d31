from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from mobilenetdet.boxes.anchors import AnchorGrid
from mobilenetdet.boxes.box_status import DONT_CARE, IGNORED, OBJECT, PADDING
from mobilenetdet.boxes.geometry import giou, iou
from mobilenetdet.boxes.matching import match_anchors
from mobilenetdet.config.detection import (
    FocalLoss,
    MatchingConfig,
    QualityFocalLoss,
    SoftmaxLoss,
    SsdHeadConfig,
)
from mobilenetdet.models.ssd_head import SsdHead

CLASSES, SIZE = 3, (32, 64)
# Stride and shapes of two maps.
LEVELS = ((8, [(10.0, 14.0), (18.0, 12.0)]), (16, [(30.0, 20.0)]))
GRID = AnchorGrid(SIZE, LEVELS)
ANCHORS = GRID.boxes_xyxy()
LOSS = SsdHeadConfig(box_loss="giou", box_weight=2.0, class_weight=3.0, class_loss=FocalLoss())
SOFTMAX = replace(LOSS, class_loss=SoftmaxLoss())
MATCHING = MatchingConfig()


def make_head(**options) -> SsdHead:
    keras.utils.set_random_seed(0)
    return SsdHead(CLASSES, [len(shapes) for _, shapes in LEVELS], channels=8, **options)


def make_maps(seed=0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = [(2, SIZE[0] // stride, SIZE[1] // stride, 4) for stride, _ in LEVELS]
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def make_predictions(num_logits: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    shapes = {"class_logits": (2, len(ANCHORS), num_logits), "deltas": (2, len(ANCHORS), 4)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def targets(pack_targets) -> dict[str, np.ndarray]:
    """Two objects, an ignored one and a DontCare region; an image with one object."""
    first = [
        (0, OBJECT, 0, (3, 4, 13, 17)),
        (1, OBJECT, 2, (20, 6, 50, 26)),
        (2, IGNORED, 0, (44, 0, 62, 12)),
        (3, DONT_CARE, -1, (0, 20, 20, 32)),
    ]
    return pack_targets([first, [(3, OBJECT, 1, (30, 10, 48, 22))]], 6)


def find_losses(head, predictions, targets, loss=LOSS) -> dict[str, float]:
    matches = match_anchors(GRID, targets["boxes"], targets["box_status"], MATCHING)
    predictions = {name: ops.convert_to_tensor(value) for name, value in predictions.items()}
    parts = head.losses_by_part(
        predictions,
        ANCHORS,
        matches,
        gt_boxes=targets["boxes"],
        gt_classes=targets["classes"],
        config=loss,
    )
    return {name: float(value) for name, value in parts.items()}, matches


@pytest.mark.parametrize("background", [False, True])
def test_anchors_of_all_maps_in_their_order(background):
    head, maps = make_head(background=background), make_maps()
    found = head(maps)
    assert found["class_logits"].shape == (2, len(ANCHORS), CLASSES + background)
    assert found["deltas"].shape == (2, len(ANCHORS), 4)
    assert head.scores(found).shape == (2, CLASSES, len(ANCHORS))
    assert head.boxes(found, ANCHORS).shape == (2, len(ANCHORS), 4)
    # A cell of the second map moves its own anchors alone: 4 x 8 x 2 anchors come before.
    maps[1][1, 0, 3] += 5
    moved = ops.convert_to_numpy(ops.any(head(maps)["deltas"] != found["deltas"], axis=-1))
    rows = np.flatnonzero(moved[1])
    assert not moved[0].any() and len(rows)
    assert rows.min() >= 64 and set((rows - 64) % 4) == {2, 3}  # the tower is 3x3


@pytest.mark.parametrize("background", [False, True])
def test_fresh_scores_are_low(background):
    head = make_head(background=background)
    scores = ops.convert_to_numpy(head.scores(head(make_maps())))
    expected = 0.01 / CLASSES if background else 0.01
    np.testing.assert_allclose(scores, expected, rtol=0.6)


def naive_focal(logit, target, alpha=0.25, gamma=2.0):
    p = 1 / (1 + np.exp(-np.float64(logit)))
    p, weight = (p, alpha) if target else (1 - p, 1 - alpha)
    return -weight * (1 - p) ** gamma * np.log(p)


def test_focal_loss_is_the_formula(targets):
    predictions = make_predictions(CLASSES)
    parts, matches = find_losses(make_head(), predictions, targets)
    positive, negative, index = (
        ops.convert_to_numpy(x) for x in (matches.positive, matches.negative, matches.gt_index)
    )
    expected, num_positive = 0.0, positive.sum()
    for image, anchor in zip(*np.nonzero(positive | negative), strict=True):
        for klass in range(CLASSES):
            own = targets["classes"][image, index[image, anchor]] == klass
            logit = predictions["class_logits"][image, anchor, klass]
            expected += naive_focal(logit, positive[image, anchor] and own)
    assert 3 <= num_positive < positive.size and (~positive & ~negative).any()
    assert parts["class_loss"] == pytest.approx(3 * expected / num_positive, rel=1e-5)


def test_quality_focal_loss_wants_the_overlap_as_the_score(targets):
    head, predictions = make_head(), make_predictions(CLASSES)
    loss = replace(LOSS, class_loss=QualityFocalLoss())
    parts, matches = find_losses(head, predictions, targets, loss)
    positive, negative, index = (
        ops.convert_to_numpy(x) for x in (matches.positive, matches.negative, matches.gt_index)
    )
    boxes = ops.convert_to_numpy(head.boxes(predictions, ANCHORS))
    expected = 0.0
    for image, anchor in zip(*np.nonzero(positive | negative), strict=True):
        wanted = np.zeros(CLASSES)
        if positive[image, anchor]:
            row = index[image, anchor]
            overlap = float(iou(boxes[image, anchor], targets["boxes"][image, row]))
            wanted[targets["classes"][image, row]] = overlap
        p = 1 / (1 + np.exp(-predictions["class_logits"][image, anchor].astype(np.float64)))
        entropy = -(wanted * np.log(p) + (1 - wanted) * np.log(1 - p))
        expected += (np.abs(wanted - p) ** 2 * entropy).sum()
    assert parts["class_loss"] == pytest.approx(3 * expected / positive.sum(), rel=1e-5)


def test_softmax_learns_objects_and_the_hardest_negatives(targets):
    head = make_head(background=True)
    predictions = make_predictions(CLASSES + 1)
    parts, matches = find_losses(head, predictions, targets, SOFTMAX)
    positive, negative, index = (
        ops.convert_to_numpy(x) for x in (matches.positive, matches.negative, matches.gt_index)
    )
    logits = predictions["class_logits"].astype(np.float64)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = 0.0
    for image in range(2):
        for anchor in np.flatnonzero(positive[image]):
            expected -= logs[image, anchor, 1 + targets["classes"][image, index[image, anchor]]]
        hardest = np.sort(-logs[image, negative[image], 0])[::-1]
        expected += hardest[: 3 * positive[image].sum()].sum()
    assert parts["class_loss"] == pytest.approx(3 * expected / positive.sum(), rel=1e-5)


def test_boxes_of_some_anchors():
    head, predictions = make_head(), make_predictions(CLASSES)
    index = np.random.default_rng(7).integers(0, len(ANCHORS), (2, 5))
    every = ops.convert_to_numpy(head.boxes(predictions, ANCHORS))
    some = ops.convert_to_numpy(head.boxes(predictions, ANCHORS, ops.convert_to_tensor(index)))
    expected = [every[image, index[image]] for image in range(2)]
    np.testing.assert_allclose(some, expected, rtol=1e-6)


def test_box_loss_is_that_of_the_config(targets):
    head, predictions = make_head(), make_predictions(CLASSES)
    parts, matches = find_losses(head, predictions, targets)
    boxes = ops.convert_to_numpy(head.boxes(predictions, ANCHORS))
    positive, index = (ops.convert_to_numpy(x) for x in (matches.positive, matches.gt_index))
    losses = [
        1 - float(giou(boxes[i, a], targets["boxes"][i, index[i, a]]))
        for i, a in zip(*np.nonzero(positive), strict=True)
    ]
    assert parts["box_loss"] == pytest.approx(2 * np.mean(losses), rel=1e-5)
    other, _ = find_losses(head, predictions, targets, replace(LOSS, box_loss="smooth_l1"))
    assert other["box_loss"] != pytest.approx(parts["box_loss"])


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("kind", [PADDING, IGNORED, DONT_CARE])
def test_images_without_an_object_give_a_finite_loss(targets, background, kind):
    head = make_head(background=background)
    targets["box_status"][:] = kind
    loss = SOFTMAX if background else LOSS
    parts, _ = find_losses(head, make_predictions(CLASSES + background), targets, loss)
    assert parts["box_loss"] == 0 and np.isfinite(parts["class_loss"])
    assert parts["class_loss"] > 0 or kind != PADDING


def test_head_comes_back_from_its_config():
    head = make_head(background=True, num_blocks=2, dropout=0.1)
    again = SsdHead.from_config(head.get_config())
    assert again.get_config() == head.get_config()


def test_no_block_leaves_plain_predictors():
    head = make_head(num_blocks=0)
    head(make_maps())
    assert len(head.trainable_variables) == 2 * 2 * len(LEVELS)
