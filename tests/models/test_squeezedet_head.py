import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from keras import ops

from mobilenetdet.boxes.anchors import AnchorGrid
from mobilenetdet.boxes.box_status import DONT_CARE, IGNORED, OBJECT, PADDING
from mobilenetdet.boxes.coding import encode
from mobilenetdet.boxes.geometry import ciou, giou
from mobilenetdet.boxes.matching import match_anchors
from mobilenetdet.config.detection import MatchingConfig, SqueezeDetHeadConfig
from mobilenetdet.models.losses import smooth_l1
from mobilenetdet.models.squeezedet_head import SqueezeDetHead

ROWS, COLUMNS, CLASSES = 4, 8, 3
SHAPES = [(32.0, 20.0), (12.0, 28.0)]
GRID = AnchorGrid((ROWS * 16, COLUMNS * 16), [(16, SHAPES)])
ANCHORS = GRID.boxes_xyxy()  # [64, 4]
LOSS = SqueezeDetHeadConfig(
    box_weight=10.0, confidence_positive_weight=75.0, confidence_negative_weight=25.0
)
MATCHING = MatchingConfig(positive_iou=0.6, ignore_iou=0.5)
PARTS = ["box_loss", "confidence_positive_loss", "confidence_negative_loss", "class_loss"]
BOX_LOSSES = ["squared", "smooth_l1", "giou", "ciou"]
RAW = ["class_logits", "confidence_logits", "deltas"]


@pytest.fixture(scope="module")
def head() -> SqueezeDetHead:
    head = SqueezeDetHead(CLASSES, len(SHAPES))
    head(np.zeros((1, ROWS, COLUMNS, 2), np.float32))
    return head


@pytest.fixture
def predictions() -> dict[str, np.ndarray]:
    """Random raw predictions for two images."""
    rng = np.random.default_rng(0)
    count = len(ANCHORS)
    shapes = {"class_logits": (2, count, CLASSES), "confidence_logits": (2, count)}
    shapes["deltas"] = (2, count, 4)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def targets(pack_targets) -> dict[str, np.ndarray]:
    """Two objects, an ignored one and a DontCare region; an image with one object."""
    first = [
        (0, OBJECT, 0, (4, 6, 40, 24)),
        (1, OBJECT, 2, (66, 2, 80, 30)),
        (2, IGNORED, 0, (90, 30, 120, 52)),
        (3, DONT_CARE, -1, (0, 40, 60, 64)),
    ]
    return pack_targets([first, [(3, OBJECT, 1, (40, 20, 76, 38))]], 8)


@pytest.fixture(scope="module")
def loss_function(head) -> Callable[[SqueezeDetHeadConfig], Callable]:
    """Gives the parts of the loss as a function of raw predictions and targets, by config."""

    @functools.cache
    def make(config: SqueezeDetHeadConfig) -> Callable:
        def parts(*arrays):
            *raw, boxes, classes, box_status = arrays
            matches = match_anchors(GRID, boxes, box_status, MATCHING)
            predictions = dict(zip(RAW, raw, strict=True))
            return head.losses_by_part(
                predictions, ANCHORS, matches, gt_boxes=boxes, gt_classes=classes, config=config
            )

        return parts

    return make


def arrays_of(predictions: dict, targets: dict) -> list[np.ndarray]:
    return [predictions[name] for name in RAW] + [
        targets[n] for n in ("boxes", "classes", "box_status")
    ]


@pytest.fixture
def losses(loss_function, compiled) -> Callable[..., dict[str, float]]:
    def run(
        predictions: dict, targets: dict, config: SqueezeDetHeadConfig = LOSS
    ) -> dict[str, float]:
        found = compiled(loss_function(config))(*arrays_of(predictions, targets))
        return {name: float(found[name]) for name in PARTS}

    return run


@pytest.fixture(scope="module")
def whole_loss(loss_function) -> Callable[[SqueezeDetHeadConfig], Callable]:
    @functools.cache
    def make(config: SqueezeDetHeadConfig) -> Callable:
        return lambda *arrays: sum(loss_function(config)(*arrays).values())

    return make


@pytest.fixture
def loss_gradients(whole_loss, gradients) -> Callable[..., dict[str, np.ndarray]]:
    """Of the whole loss with respect to each raw prediction."""

    def run(
        predictions: dict, targets: dict, config: SqueezeDetHeadConfig = LOSS
    ) -> dict[str, np.ndarray]:
        found = gradients(whole_loss(config), *arrays_of(predictions, targets))
        return dict(zip(RAW, found, strict=False))  # the gradient of the boxes is of no use

    return run


@pytest.fixture
def match(compiled) -> Callable[[dict], list[np.ndarray]]:
    """Rows, positive and negative anchors."""

    def run(targets: dict[str, np.ndarray]) -> list[np.ndarray]:
        function = functools.partial(match_anchors, GRID, config=MATCHING)
        matches = compiled(function)(targets["boxes"], targets["box_status"])
        return [ops.convert_to_numpy(value) for value in matches]

    return run


def test_fresh_head_says_nothing_with_low_confidence(head):
    predictions = head(np.ones((2, ROWS, COLUMNS, 2), np.float32))
    count = ROWS * COLUMNS * len(SHAPES)
    shapes = {name: tuple(value.shape) for name, value in predictions.items()}
    assert shapes == {
        "class_logits": (2, count, CLASSES),
        "confidence_logits": (2, count),
        "deltas": (2, count, 4),
    }
    scores = ops.convert_to_numpy(head.scores(predictions))
    np.testing.assert_allclose(scores.sum(axis=1), 0.01, rtol=0.2)
    np.testing.assert_allclose(head.boxes(predictions, ANCHORS)[1], ANCHORS, atol=8)


def test_predictions_come_in_the_order_of_the_anchors():
    head = SqueezeDetHead(CLASSES, len(SHAPES))
    features = np.zeros((1, ROWS, COLUMNS, 2), np.float32)
    features[0, ..., 0] = 1000 * np.arange(ROWS)[:, None] + 10 * np.arange(COLUMNS)
    head(features)
    kernel, bias = (np.zeros(v.shape, np.float32) for v in head.prediction.weights)
    kernel[1, 1, 0] = 1.0  # every output repeats the cell and adds its own number
    bias[:] = np.arange(len(bias)) / 64
    head.prediction.set_weights([kernel, bias])
    found = {name: ops.convert_to_numpy(value)[0] for name, value in head(features).items()}
    for index, anchor in enumerate(ANCHORS):
        column, row = ((anchor[:2] + anchor[2:]) / 2 // 16).astype(int)
        shape = SHAPES.index(tuple(anchor[2:] - anchor[:2]))
        start = 1000 * row + 10 * column + shape * (CLASSES + 5) / 64
        expected = start + np.arange(CLASSES + 5) / 64
        np.testing.assert_array_equal(found["class_logits"][index], expected[:CLASSES])
        assert found["confidence_logits"][index] == expected[CLASSES]
        np.testing.assert_array_equal(found["deltas"][index], expected[CLASSES + 1 :])


def test_scores_are_class_probability_times_confidence(head, predictions):
    scores = ops.convert_to_numpy(head.scores(predictions))
    exponentials = np.exp(predictions["class_logits"].astype(np.float64))
    probabilities = exponentials / exponentials.sum(axis=-1, keepdims=True)
    confidences = 1 / (1 + np.exp(-predictions["confidence_logits"].astype(np.float64)))
    expected = np.swapaxes(probabilities * confidences[..., None], 1, 2)
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


@pytest.mark.parametrize("normaliser", ["negatives", "positives"])
def test_losses_are_those_of_a_loop_over_anchors(
    head, losses, match, predictions, targets, normaliser
):
    config = SqueezeDetHeadConfig(
        box_weight=2.0,
        confidence_positive_weight=3.0,
        confidence_negative_weight=5.0,
        negative_normaliser=normaliser,
        class_weight=7.0,
    )
    found = losses(predictions, targets, config)
    boxes = ops.convert_to_numpy(head.boxes(predictions, ANCHORS))
    expected = naive_losses(predictions, boxes, targets, match(targets), config)
    assert found == pytest.approx(expected, rel=1e-5)


def naive_losses(
    predictions: dict, boxes: np.ndarray, targets: dict, matches: list, config: SqueezeDetHeadConfig
) -> dict[str, float]:
    index, positive, negative = matches
    boxes = boxes.astype(np.float64)
    sums = dict.fromkeys(PARTS, 0.0)
    for at in np.argwhere(positive):
        image, anchor = at
        row = index[image, anchor]
        box, prior = targets["boxes"][image, row].astype(np.float64), ANCHORS[anchor].astype(float)
        sides, prior_sides = box[2:] - box[:2], prior[2:] - prior[:2]
        offset = (box[:2] + box[2:] - prior[:2] - prior[2:]) / 2 / prior_sides
        wanted = np.concatenate([offset, np.log(sides / prior_sides)])
        sums["box_loss"] += ((predictions["deltas"][image, anchor] - wanted) ** 2).sum()
        shared = np.minimum(box[2:], boxes[image, anchor, 2:]) - np.maximum(
            box[:2], boxes[image, anchor, :2]
        )
        shared = max(shared[0], 0) * max(shared[1], 0)
        own = np.prod(boxes[image, anchor, 2:] - boxes[image, anchor, :2])
        overlap = shared / (np.prod(sides) + own - shared)
        confidence = 1 / (1 + np.exp(-predictions["confidence_logits"][image, anchor]))
        sums["confidence_positive_loss"] += (confidence - overlap) ** 2
        logits = predictions["class_logits"][image, anchor].astype(np.float64)
        probability = np.exp(logits)[targets["classes"][image, row]] / np.exp(logits).sum()
        sums["class_loss"] -= np.log(probability)
    for image, anchor in np.argwhere(negative):
        confidence = 1 / (1 + np.exp(-predictions["confidence_logits"][image, anchor]))
        sums["confidence_negative_loss"] += confidence**2
    by_negatives = config.negative_normaliser == "negatives"
    weights = {
        "box_loss": config.box_weight / positive.sum(),
        "confidence_positive_loss": config.confidence_positive_weight / positive.sum(),
        "confidence_negative_loss": (
            config.confidence_negative_weight / (negative if by_negatives else positive).sum()
        ),
        "class_loss": config.class_weight / positive.sum(),
    }
    return {name: weight * sums[name] for name, weight in weights.items()}


@pytest.mark.parametrize(
    ("box_loss", "formula"),
    [
        ("smooth_l1", lambda deltas, wanted, boxes, box: smooth_l1(deltas, wanted)),
        ("giou", lambda deltas, wanted, boxes, box: 1 - giou(boxes, box)),
        ("ciou", lambda deltas, wanted, boxes, box: 1 - ciou(boxes, box)),
    ],
)
def test_box_losses_are_chosen_by_name(
    head, losses, match, predictions, targets, box_loss, formula
):
    index, positive, _ = match(targets)
    objects = np.take_along_axis(targets["boxes"], index[..., None], axis=1)
    wanted, boxes = encode(objects, ANCHORS), head.boxes(predictions, ANCHORS)
    each = ops.convert_to_numpy(formula(predictions["deltas"], wanted, boxes, objects))
    found = losses(predictions, targets, replace(LOSS, box_loss=box_loss, box_weight=2.0))
    assert found["box_loss"] == pytest.approx(2 * each[positive].mean(), rel=1e-5)


@pytest.mark.parametrize("box_loss", BOX_LOSSES)
def test_only_what_is_known_is_learnt(loss_gradients, match, predictions, targets, box_loss):
    found = loss_gradients(predictions, targets, replace(LOSS, box_loss=box_loss))
    _, positive, negative = match(targets)
    neutral = ~positive & ~negative
    assert neutral.any() and positive.any()
    # Ignored objects and DontCare regions: no gradient. Background: the confidence only.
    for name in RAW:
        assert (found[name][neutral] == 0).all(), name
    assert (found["confidence_logits"][negative] > 0).all()
    for name in ("class_logits", "deltas"):
        assert (found[name][negative] == 0).all()
        assert (found[name][positive] != 0).any(axis=-1).all()


def test_the_confidence_does_not_move_the_boxes(loss_gradients, predictions, targets):
    # It learns their overlap as it is.
    found = loss_gradients(predictions, targets, SqueezeDetHeadConfig(box_weight=0.0))
    assert not found["deltas"].any()
    assert found["confidence_logits"].any()


@pytest.mark.parametrize(
    "box_status",
    [[PADDING] * 8, [IGNORED] * 8, [DONT_CARE] * 8, [IGNORED, DONT_CARE] + [PADDING] * 6],
    ids=["nothing", "only ignored", "only DontCare", "ignored and DontCare"],
)
def test_without_objects_the_loss_is_finite(
    losses, loss_gradients, predictions, targets, box_status
):
    targets["box_status"][:] = box_status
    found = losses(predictions, targets)
    assert found["confidence_negative_loss"] > 0
    assert found["box_loss"] == found["class_loss"] == found["confidence_positive_loss"] == 0
    for name, gradient in loss_gradients(predictions, targets).items():
        assert np.isfinite(gradient).all(), name
        assert gradient.any() == (name == "confidence_logits")


def test_where_nothing_is_background_the_loss_is_zero(losses, loss_gradients, predictions, targets):
    targets["boxes"][:, 0] = (-100, -100, 300, 300)
    targets["box_status"][:] = [DONT_CARE] + [PADDING] * 7
    assert not any(losses(predictions, targets).values())
    found = loss_gradients(predictions, targets)
    assert not any(gradient.any() for gradient in found.values())


@pytest.mark.parametrize(
    "box",
    [
        (60, 30, 61, 31),  # a pixel
        (60, 30, 60, 30),  # nothing
        (60, 30, 60, 50),  # a line
        (70, 40, 60, 30),  # inverted
        (-300, -300, -290, -290),  # far out of the image
    ],
)
@pytest.mark.parametrize("box_loss", BOX_LOSSES)
def test_odd_objects_have_finite_losses(
    losses, loss_gradients, predictions, targets, box, box_loss
):
    targets["boxes"][1, 3] = box
    config = replace(LOSS, box_loss=box_loss)
    found = losses(predictions, targets, config)
    assert np.isfinite(list(found.values())).all()
    for gradient in loss_gradients(predictions, targets, config).values():
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("box_loss", BOX_LOSSES)
def test_wild_predictions_have_finite_losses(losses, loss_gradients, targets, box_loss):
    config = replace(LOSS, box_loss=box_loss)
    count = len(ANCHORS)
    predictions = {
        "class_logits": np.full((2, count, CLASSES), 1e4, np.float32),
        "confidence_logits": np.full((2, count), -1e4, np.float32),
        "deltas": np.full((2, count, 4), 1e4, np.float32),
    }
    found = losses(predictions, targets, config)
    assert np.isfinite(list(found.values())).all()
    for gradient in loss_gradients(predictions, targets, config).values():
        assert np.isfinite(gradient).all()


def test_predictions_are_float32_in_mixed_precision(tensorflow_only):
    head = SqueezeDetHead(CLASSES, len(SHAPES), num_blocks=1, channels=4, dtype="mixed_bfloat16")
    predictions = head(np.ones((1, 2, 3, 2), np.float32), training=True)
    dtypes = {str(ops.convert_to_numpy(value).dtype) for value in predictions.values()}
    assert dtypes == {"float32"}


def test_head_comes_back_from_its_config():
    head = SqueezeDetHead(2, 5, num_blocks=3, channels=7, dropout=0.25, name="other")
    restored = SqueezeDetHead.from_config(head.get_config())
    assert restored.get_config() == head.get_config()
    assert [layer.name for layer in restored.blocks] == [layer.name for layer in head.blocks]
