import functools
from collections.abc import Callable

import numpy as np
import pytest
from keras import ops

from mobilenetdet.boxes.geometry import pairwise_iou
from mobilenetdet.config.detection import GreedyNms, PostprocessConfig, SoftNms
from mobilenetdet.evaluation.score_calibration import Calibration, calibrate
from mobilenetdet.models.postprocess import greedy_nms, select_detections

IMAGE = (64, 128)
Detection = tuple[float, int, tuple[float, ...]]  # score, class, box


def naive_iou(first: np.ndarray, second: np.ndarray) -> float:
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    shared = np.prod(np.maximum(high - low, 0))
    union = np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2]) - shared
    return shared / union if union else 0.0


def naive_nms(boxes: np.ndarray, max_iou: float) -> np.ndarray:
    """Boxes sorted by falling score: each stays unless one that stayed overlaps it too much."""
    keep: list[int] = []
    for index, box in enumerate(boxes):
        if all(naive_iou(boxes[kept], box) <= max_iou for kept in keep):
            keep.append(index)
    return np.isin(np.arange(len(boxes)), keep)


def naive_soft_nms(boxes: np.ndarray, scores: np.ndarray, config: PostprocessConfig) -> np.ndarray:
    """Score with which each box is taken: the best one, then the others with lower scores."""
    above = (scores >= config.score_threshold) & np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    left = {int(i): float(scores[i]) for i in np.flatnonzero(above)}
    taken = np.zeros(len(boxes))
    while left and np.count_nonzero(taken) < config.max_detections:
        best = max(left, key=left.get)
        taken[best] = left.pop(best)
        for other in left:
            overlap = naive_iou(boxes[best], boxes[other])
            left[other] *= np.exp(-(overlap**2) / config.suppression.sigma)
    return taken


def naive_votes(boxes: np.ndarray, scores: np.ndarray, config: PostprocessConfig) -> np.ndarray:
    """Each box at the weighted mean of those that may vote."""
    if not config.vote_sigma:
        return boxes
    votes = np.where(
        (scores >= config.score_threshold) & np.all(boxes[:, 2:] > boxes[:, :2], axis=1), scores, 0
    )
    means = []
    for box in boxes:
        ious = np.array([naive_iou(box, other) for other in boxes])
        weights = votes * np.exp(-((1 - ious) ** 2) / config.vote_sigma)
        means.append(np.average(boxes, axis=0, weights=weights) if weights.sum() > 1e-6 else box)
    return np.array(means)


def naive_detections(
    boxes: np.ndarray, scores: np.ndarray, config: PostprocessConfig
) -> list[Detection]:
    """One image: class by class the best candidates, suppressed; then the best of all."""
    found: list[Detection] = []
    boxes = np.clip(boxes, 0, [IMAGE[1], IMAGE[0]] * 2)
    for index in range(scores.shape[1]):
        order = np.argsort(-scores[:, index], kind="stable")[: config.max_candidates]
        candidates, own_scores = boxes[order], scores[order, index]
        if config.suppression.kind == "soft":
            own_scores = naive_soft_nms(candidates, own_scores, config)
            keep = own_scores > 0
        else:
            keep = naive_nms(candidates, config.suppression.max_iou)
        placed = naive_votes(candidates, scores[order, index], config)
        found += [
            (own_scores[i], index, tuple(placed[i]))
            for i in np.flatnonzero(keep)
            if own_scores[i] >= config.score_threshold
            and np.all(candidates[i, 2:] > candidates[i, :2])
        ]
    return sorted(found, reverse=True)[: config.max_detections]


def random_boxes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Whole pixels, some past the border, some without area, many overlapping."""
    corners = rng.integers((-20, -20), (110, 60), (*shape, 2))
    sides = rng.integers(0, 50, (*shape, 2))
    return np.concatenate([corners, corners + sides], axis=-1).astype(np.float32)


@pytest.fixture
def select(compiled) -> Callable[..., dict[str, np.ndarray]]:
    """select(boxes, scores, **options of PostprocessConfig), as numpy arrays."""

    def run(boxes: np.ndarray, scores: np.ndarray, **options: object) -> dict[str, np.ndarray]:
        config = PostprocessConfig(**options)

        def function(boxes, scores):
            def boxes_of(index):
                return ops.take_along_axis(boxes, index[..., None], axis=1)

            return select_detections(ops.transpose(scores, (0, 2, 1)), boxes_of, IMAGE, config)

        found = compiled(function)(boxes.astype("f4"), scores.astype("f4"))
        return {name: ops.convert_to_numpy(value) for name, value in found.items()}

    return run


@pytest.fixture
def nms(compiled) -> Callable[[np.ndarray, float], np.ndarray]:
    def run(boxes: np.ndarray, max_iou: float) -> np.ndarray:
        function = functools.partial(greedy_nms, max_iou=max_iou)
        ious = ops.convert_to_numpy(pairwise_iou(boxes, boxes))
        return ops.convert_to_numpy(compiled(function)(ious))

    return run


@pytest.mark.parametrize("max_iou", [0.0, 0.3, 0.5, 1.0])
def test_nms_is_the_greedy_loop(nms, max_iou):
    boxes = random_boxes(np.random.default_rng(0), 10, 2, 40)
    keep = nms(boxes, max_iou)
    for at in np.ndindex(10, 2):
        np.testing.assert_array_equal(keep[at], naive_nms(boxes[at], max_iou), err_msg=str(at))


def test_nms_of_a_chain_brings_back_every_second_box(nms):
    # Each box overlaps its neighbours only, so the result takes as many rounds as there are boxes.
    lefts = 4.0 * np.arange(24)
    boxes = np.stack([lefts, 0 * lefts, lefts + 8, 0 * lefts + 8], axis=-1).astype(np.float32)
    np.testing.assert_array_equal(nms(boxes, 0.3), np.arange(24) % 2 == 0)


def test_nms_of_equal_boxes_keeps_the_first(nms):
    boxes = np.tile(np.array([10, 10, 30, 30], np.float32), (2, 5, 1))
    np.testing.assert_array_equal(nms(boxes, 0.5), [[True] + [False] * 4] * 2)


def test_overlap_of_exactly_the_threshold_stays(nms):
    boxes = np.array([[0, 0, 8, 8], [0, 0, 8, 4]], np.float32)  # IoU 0.5
    np.testing.assert_array_equal(nms(boxes, 0.5), [True, True])
    np.testing.assert_array_equal(nms(boxes, 0.49), [True, False])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"score_threshold": 0.5, "max_detections": 12},
        {"max_candidates": 6, "max_detections": 4, "suppression": GreedyNms(max_iou=0.2)},
        {"max_candidates": 1000, "max_detections": 1000, "score_threshold": 0.0},
    ],
)
def test_selection_is_the_naive_one(select, options):
    rng = np.random.default_rng(1)
    boxes = random_boxes(rng, 3, 30)
    scores = rng.permutation(3 * 30 * 2).reshape(3, 30, 2).astype(np.float32) / 180 + 1e-3
    found = select(boxes, scores, **options)
    for image in range(3):
        expected = naive_detections(boxes[image], scores[image], PostprocessConfig(**options))
        count = int((found["classes"][image] >= 0).sum())
        assert [
            (found["scores"][image, i], found["classes"][image, i], tuple(found["boxes"][image, i]))
            for i in range(count)
        ] == expected
        assert (found["scores"][image, count:] == 0).all()
        assert (found["classes"][image, count:] == -1).all()


def compare_with_loop(found, boxes, scores, options, *, atol):
    for image in range(len(boxes)):
        expected = naive_detections(boxes[image], scores[image], PostprocessConfig(**options))
        count = int((found["classes"][image] >= 0).sum())
        assert count == len(expected) > 5
        expected_scores, classes, expected_boxes = zip(*expected, strict=True)
        np.testing.assert_allclose(found["scores"][image, :count], expected_scores, rtol=1e-4)
        assert found["classes"][image, :count].tolist() == list(classes)
        np.testing.assert_allclose(found["boxes"][image, :count], expected_boxes, rtol=0, atol=atol)


@pytest.mark.parametrize("sigma", [0.1, 0.5])
@pytest.mark.parametrize("options", [{}, {"score_threshold": 0.3, "max_detections": 12}])
def test_soft_suppression_is_the_naive_one(select, sigma, options):
    rng = np.random.default_rng(2)
    boxes = random_boxes(rng, 2, 30)
    scores = rng.permutation(2 * 30 * 2).reshape(2, 30, 2).astype(np.float32) / 120 + 1e-3
    options = {**options, "suppression": SoftNms(sigma=sigma, rounds=0)}
    found = select(boxes, scores, **options)
    compare_with_loop(found, boxes, scores, options, atol=0)


@pytest.mark.parametrize(
    "options",
    [
        {"vote_sigma": 0.05, "suppression": GreedyNms(max_iou=0.3)},
        {"vote_sigma": 0.5, "score_threshold": 0.3, "max_candidates": 20, "max_detections": 20},
        {"vote_sigma": 0.1, "suppression": SoftNms(sigma=0.3, rounds=0)},
    ],
)
def test_boxes_vote_as_in_a_loop(select, options):
    rng = np.random.default_rng(4)
    boxes = random_boxes(rng, 2, 30)
    scores = rng.permutation(2 * 30 * 2).reshape(2, 30, 2).astype(np.float32) / 120 + 1e-3
    found = select(boxes, scores, **options)
    plain = select(boxes, scores, **{**options, "vote_sigma": 0.0})
    compare_with_loop(found, boxes, scores, options, atol=1e-3)
    # Who survives and with which score is decided before anything moves.
    np.testing.assert_array_equal(found["scores"], plain["scores"])
    assert np.abs(found["boxes"] - plain["boxes"]).max() > 1


def test_soft_suppression_keeps_what_the_hard_one_drops(select):
    boxes = np.array([[[0, 0, 20, 20], [0, 0, 20, 10]]], np.float32)  # IoU 0.5
    scores = np.array([[[0.9], [0.8]]], np.float32)
    assert (select(boxes, scores)["scores"][0] > 0).sum() == 1
    soft = select(boxes, scores, suppression=SoftNms(sigma=0.5))["scores"][0]
    np.testing.assert_allclose(soft[:2], [0.9, 0.8 * np.exp(-0.25 / 0.5)], rtol=1e-5)


def test_rounds_of_soft_suppression_end_early(select):
    """Of a pile of equal boxes each round takes one and lowers the others by exp(-1 / sigma)."""
    boxes = np.tile(np.array([10, 10, 30, 30], np.float32), (1, 5, 1))
    scores = np.array([[[0.9], [0.8], [0.7], [0.6], [0.5]]], np.float32)
    for rounds, powers in ((0, range(5)), (2, [0, 1, 2, 2, 2]), (5, range(5)), (9, range(5))):
        suppression = SoftNms(sigma=1.0, rounds=rounds)
        found = select(boxes, scores, suppression=suppression, score_threshold=1e-4)
        found = found["scores"][0, :5]
        expected = scores[0, :, 0] * np.exp(-np.array(powers, float))
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_scores_are_calibrated_class_by_class(select):
    rng = np.random.default_rng(5)
    boxes, scores = random_boxes(rng, 2, 30), rng.random((2, 30, 2))
    scores[0, :3] = 1.0
    lines = (Calibration(0.5, 1.0), Calibration(2.0, -0.5))
    plain, found = (select(boxes, scores, calibration=c) for c in ((), lines))
    for image in range(2):
        for index, line in enumerate(lines):
            before, after = (f["classes"][image] == index for f in (plain, found))
            expected = calibrate(plain["scores"][image, before].astype(float), line)
            np.testing.assert_allclose(found["scores"][image, after], expected, rtol=1e-4)
            np.testing.assert_array_equal(
                plain["boxes"][image, before], found["boxes"][image, after]
            )
    assert (found["scores"][found["classes"] < 0] == 0).all()
    assert (np.diff(found["scores"]) <= 0).all()


def test_a_pedestrian_before_a_car_stays(select):
    boxes = np.array([[[40, 10, 60, 60], [40, 10, 60, 60], [42, 10, 62, 60]]])
    scores = np.array([[[0.9, 0.01], [0.02, 0.8], [0.7, 0.03]]])  # a car, a pedestrian, the car
    found = select(boxes, scores, score_threshold=0.1)
    assert found["classes"][0, :3].tolist() == [0, 1, -1]
    np.testing.assert_allclose(found["scores"][0, :3], [0.9, 0.8, 0.0])


def test_one_anchor_may_be_two_classes(select):
    found = select(np.array([[[40, 10, 60, 60]]]), np.array([[[0.5, 0.4]]]))
    assert found["classes"].tolist() == [[0, 1]]


def test_nothing_above_the_threshold(select):
    found = select(random_boxes(np.random.default_rng(2), 1, 20), np.full((1, 20, 3), 0.004))
    assert found["scores"].shape == (1, 60)
    assert not found["scores"].any()
    assert (found["classes"] == -1).all()


def test_boxes_are_clipped_to_the_input(select):
    boxes = np.array([[[-10, -20, 300, 400], [120, 60, 140, 70]]])
    found = select(boxes, np.array([[[0.9], [0.8]]]))
    np.testing.assert_array_equal(found["boxes"][0], [[0, 0, 128, 64], [120, 60, 128, 64]])
