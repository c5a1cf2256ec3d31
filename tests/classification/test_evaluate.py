"""Top-1, top-5 and confusion against counting one by one."""

import json

import keras
import numpy as np
import pytest

from mobilenetdet.classification.evaluate import (
    make_predictor,
    score_classifier,
    write_class_scores,
)


def identity(images):
    """A classifier whose logits are its images."""
    return images


def test_scores_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    logits = rng.integers(-4, 4, (57, 8)).astype(np.float32)  # with many equal ones
    labels = rng.integers(0, 8, 57)
    batches = [(logits[i : i + 10], labels[i : i + 10]) for i in range(0, 57, 10)]
    scores = score_classifier(identity, batches)
    confusion, hits1, hits5, loss = np.zeros((8, 8), int), 0, 0, 0.0
    for row, label in zip(logits, labels, strict=True):
        ranked = sorted(range(8), key=lambda c: (-row[c], c))
        confusion[label, ranked[0]] += 1
        hits1 += ranked[0] == label
        hits5 += label in ranked[:5]
        loss -= np.log(np.exp(row[label]) / np.exp(row).sum())
    np.testing.assert_array_equal(scores.confusion, confusion)
    expected = [100 * hits1 / 57, 100 * hits5 / 57, loss / 57]
    assert [scores.top1, scores.top5, scores.loss] == pytest.approx(expected, rel=1e-6)
    assert scores.num_images == 57
    assert str(scores) == f"top-1 {expected[0]:.2f} %, top-5 {expected[1]:.2f} % of 57 images"


@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_large_logits_do_not_overflow(shift):
    logits = np.full((1, 8), shift, np.float32)
    scores = score_classifier(identity, [(logits, np.array([0]))])
    assert scores.loss == pytest.approx(np.log(8)) and scores.top1 == 100


@pytest.mark.parametrize("num_classes", [8, 100])
def test_files(tmp_path, num_classes):
    logits = np.eye(num_classes, dtype=np.float32)
    scores = score_classifier(identity, [(logits, np.arange(num_classes))])
    write_class_scores(scores, [f"class {i}" for i in range(num_classes)], tmp_path / "eval")
    assert sorted(p.name for p in (tmp_path / "eval").iterdir()) == [
        "confusion.png",
        "metrics.json",
    ]
    metrics = json.loads((tmp_path / "eval/metrics.json").read_text())
    assert (metrics["top1"], metrics["num_images"]) == (100, num_classes)
    assert metrics["confusion"] == np.eye(num_classes).tolist()


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        score_classifier(identity, [(np.full((1, 2), np.nan), np.array([0]))])
    with pytest.raises(ValueError, match="no image"):
        score_classifier(identity, [])


def test_a_compiled_model_sees_new_weights():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    predict = make_predictor(model)
    images = np.ones((2, 3), np.float32)
    before = predict(images)
    model.set_weights([2 * weights for weights in model.get_weights()])
    np.testing.assert_allclose(predict(images), 2 * before, rtol=1e-6)
