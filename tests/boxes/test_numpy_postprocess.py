"""Decoding and suppression in numpy give what those in keras.ops give."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from keras import ops

from mobilenetdet.boxes import numpy_postprocess
from mobilenetdet.boxes.anchors import AnchorGrid
from mobilenetdet.boxes.coding import decode
from mobilenetdet.boxes.gather import batched_gather
from mobilenetdet.boxes.numpy_postprocess import NumpyPostprocess, best_first
from mobilenetdet.config.detection import GreedyNms, PostprocessConfig, SoftNms
from mobilenetdet.inference.detection_model import average_mirrored
from mobilenetdet.models.anchor_head import softmax_by_class
from mobilenetdet.models.postprocess import select_detections

SIZE, CLASSES = (64, 128), ("Car", "Pedestrian", "Cyclist")
LEVELS = ((8, ((20.0, 12.0), (8.0, 20.0))), (16, ((40.0, 30.0),)))
GRID = AnchorGrid(SIZE, LEVELS)
CONFIG = PostprocessConfig(max_candidates=40, max_detections=30, score_threshold=0.05)
CALIBRATION = ((1.4, -1.2), (1.8, -0.3), (0.7, 0.4))


def predictions(scores_from: str, seed: int = 0, mean: float = -2.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    count, extra = len(GRID.boxes_xyxy()), scores_from == "softmax_after_background"
    made = {
        "class_logits": rng.normal(mean, 2, (1, count, len(CLASSES) + extra)),
        "deltas": rng.normal(0, 0.5, (1, count, 4)),
    }
    if scores_from == "softmax_times_confidence":
        made["confidence_logits"] = rng.normal(mean, 2, (1, count))
    return {name: values.astype(np.float32) for name, values in made.items()}


def by_numpy(found: dict[str, np.ndarray], config: PostprocessConfig, scores_from: str) -> tuple:
    info = SimpleNamespace(
        image_size=SIZE, anchor_levels=LEVELS, classes=CLASSES, scores_from=scores_from
    )
    return NumpyPostprocess(info, config)(found)


def by_keras(found: dict[str, np.ndarray], config: PostprocessConfig, scores_from: str) -> tuple:
    anchors = GRID.boxes_xyxy()
    logits = ops.convert_to_tensor(found["class_logits"])
    if scores_from == "sigmoid":
        scores = ops.sigmoid(ops.transpose(logits, (0, 2, 1)))
    elif scores_from == "softmax_after_background":
        scores = softmax_by_class(logits)[:, 1:]
    else:
        scores = softmax_by_class(logits) * ops.sigmoid(found["confidence_logits"])[:, None]

    def boxes_of(index):
        return decode(batched_gather(found["deltas"], index), ops.take(anchors, index, axis=0))

    made = select_detections(scores, boxes_of, SIZE, config)
    return tuple(ops.convert_to_numpy(made[name])[0] for name in ("boxes", "scores", "classes"))


def assert_same(config: PostprocessConfig, found: dict[str, np.ndarray], scores_from: str) -> int:
    ours, theirs = (run(found, config, scores_from) for run in (by_numpy, by_keras))
    kept = theirs[2] >= 0
    np.testing.assert_array_equal(ours[2], theirs[2])
    np.testing.assert_allclose(ours[1], theirs[1], atol=2e-6)
    np.testing.assert_allclose(ours[0][kept], theirs[0][kept], atol=1e-3)
    return int(kept.sum())


@pytest.mark.parametrize(
    "suppression",
    [GreedyNms(), GreedyNms(max_iou=0.2), SoftNms(), SoftNms(rounds=0), SoftNms(sigma=0.1)],
)
@pytest.mark.parametrize(("vote_sigma", "calibration"), [(0.0, ()), (0.05, CALIBRATION)])
def test_every_suppression(suppression, vote_sigma, calibration):
    config = replace(
        CONFIG, suppression=suppression, vote_sigma=vote_sigma, calibration=calibration
    )
    assert assert_same(config, predictions("sigmoid"), "sigmoid") == 30


@pytest.mark.parametrize("scores_from", ["softmax_after_background", "softmax_times_confidence"])
def test_every_head(scores_from):
    assert assert_same(CONFIG, predictions(scores_from, mean=-1.0), scores_from) > 5


@pytest.mark.parametrize(("mean", "seed"), [(-12.0, 1), (-7.5, 2), (3.0, 3)])
def test_no_box_a_few_or_more_than_places(mean, seed):
    config = replace(CONFIG, calibration=CALIBRATION)
    count = assert_same(config, predictions("sigmoid", seed, mean), "sigmoid")
    assert {-12.0: count == 0, -7.5: 0 < count < 30, 3.0: count == 30}[mean]


@pytest.mark.parametrize("threshold", [0.0, 1e-35, 1e-6, 0.005, 0.3, 0.99, 1 - 1e-7, 1.0])
@pytest.mark.parametrize(
    "scores_from", ["sigmoid", "softmax_after_background", "softmax_times_confidence"]
)
def test_no_box_is_lost_where_logits_are_compared_first(monkeypatch, scores_from, threshold):
    config = replace(CONFIG, score_threshold=threshold, suppression=GreedyNms(max_iou=1.0))
    found = predictions(scores_from, mean=0.0)
    for name in ("class_logits", "confidence_logits"):
        if name in found:
            found[name] *= 8  # up to where a sigmoid is 1 and below where it is nothing
    ours = by_numpy(found, config, scores_from)
    monkeypatch.setattr(numpy_postprocess, "_least_logit", lambda score: -np.inf)
    for few, all_of_them in zip(ours, by_numpy(found, config, scores_from), strict=True):
        np.testing.assert_array_equal(few, all_of_them)


def test_a_score_at_the_threshold_counts():
    found = predictions("sigmoid")
    found["class_logits"][:], found["deltas"][:] = -9, 0
    found["class_logits"][0, 40, 1] = -2
    (score,) = by_numpy(found, replace(CONFIG, score_threshold=0.1), "sigmoid")[1][:1]
    for threshold, count in ((score, 1), (np.nextafter(score, np.float32(1)), 0)):
        config = replace(CONFIG, score_threshold=float(threshold))
        assert (by_numpy(found, config, "sigmoid")[2] >= 0).sum() == count


def test_boxes_outside_of_the_image_are_dropped():
    found = predictions("sigmoid")
    found["deltas"][..., 0] = 20.0
    assert assert_same(CONFIG, found, "sigmoid") == 0


def test_the_first_of_equals_wins():
    scores = np.array([0.5, 0.9, 0.5, 0.1, 0.5] + [0.5] * 20, np.float32)
    assert best_first(scores, 0.2, 3).tolist() == [1, 0, 2]
    assert best_first(scores, 0.95, 3).tolist() == []


def test_mirror_images_are_averaged():
    found, mirrored = predictions("sigmoid", 1), predictions("sigmoid", 2)
    info = SimpleNamespace(
        image_size=SIZE, anchor_levels=LEVELS, classes=CLASSES, scores_from="sigmoid"
    )
    ours = NumpyPostprocess(info, CONFIG).average_mirrored(found, mirrored)
    theirs = average_mirrored(found, mirrored, GRID.mirror_order())
    for name, values in ours.items():
        np.testing.assert_allclose(values, ops.convert_to_numpy(theirs[name]), atol=1e-6)
