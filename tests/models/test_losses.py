import math

import keras
import numpy as np
import pytest
from keras import ops

from mobilenetdet.models.losses import (
    background_focal,
    cross_entropy,
    logit_divergence,
    quality_focal,
    score_divergence,
    sigmoid_focal,
    smooth_l1,
    squared_confidence_error,
    squared_error,
)


def test_squared_error_sums_the_deltas():
    deltas = np.array([[1.0, 2, 3, 4], [0, 0, 0, 0]], np.float32)
    targets = np.array([[1.0, 0, 0, 5], [0, 0, 0, 0]], np.float32)
    np.testing.assert_array_equal(squared_error(deltas, targets), [14, 0])


def test_smooth_l1_is_keras_huber_loss():
    rng = np.random.default_rng(0)
    deltas, targets = rng.normal(size=(2, 50, 4)).astype(np.float32) * 0.3
    for beta in (1 / 9, 1.0):
        huber = keras.losses.Huber(delta=beta, reduction=None)(targets, deltas)  # a mean over four
        expected = ops.convert_to_numpy(huber) * 4 / beta
        np.testing.assert_allclose(smooth_l1(deltas, targets, beta), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("logit", "overlap", "at_positive", "at_negative"),
    [
        (0.0, 0.5, 0.0, 0.25),
        (0.0, 1.0, 0.25, 0.25),
        (100.0, 1.0, 0.0, 1.0),
        (-100.0, 0.75, 0.5625, 0.0),
        (-100.0, 0.0, 0.0, 0.0),
    ],
)
def test_confidence_learns_the_overlap(logit, overlap, at_positive, at_negative):
    logits = np.array([logit], np.float32)
    found = squared_confidence_error(logits, np.array([overlap], np.float32))
    np.testing.assert_allclose(found, [at_positive], atol=1e-7)
    np.testing.assert_allclose(squared_confidence_error(logits, 0.0), [at_negative], atol=1e-7)


def test_cross_entropy_is_the_formula():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 5, 3)).astype(np.float32) * 3
    targets = rng.integers(0, 3, (2, 5))
    found = ops.convert_to_numpy(cross_entropy(logits, targets))
    for at in np.ndindex(2, 5):
        exponentials = [math.exp(v) for v in logits[at]]
        expected = -math.log(exponentials[targets[at]] / sum(exponentials))
        assert found[at] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("logits", "target", "expected"),
    [
        ((0.0, 0.0), 1, math.log(2)),
        ((1e4, -1e4), 0, 0.0),
        ((1e4, -1e4), 1, 2e4),  # large, not infinite
        ((3.0, 1.0), -1, 0.0),  # padding
    ],
)
def test_cross_entropy_at_its_ends(logits, target, expected):
    found = cross_entropy(np.array([logits], np.float32), np.array([target], np.int32))
    np.testing.assert_allclose(found, [expected], rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 1.5, 2.0])
@pytest.mark.parametrize("alpha", [0.25, 0.6])
def test_focal_loss_is_keras_own(alpha, gamma):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (5, 7)).astype(np.float32)
    targets = rng.integers(0, 2, (5, 7)).astype(np.float32)
    found = sigmoid_focal(logits, targets, alpha=alpha, gamma=gamma)
    expected = keras.losses.binary_focal_crossentropy(
        targets,
        logits,
        apply_class_balancing=True,
        alpha=alpha,
        gamma=gamma,
        from_logits=True,
    )
    np.testing.assert_allclose(ops.mean(found, axis=-1), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("logit", "target", "expected"),
    [(200.0, 1.0, 0.0), (-200.0, 0.0, 0.0), (-200.0, 1.0, 50.0), (200.0, 0.0, 150.0)],
)
def test_focal_loss_at_its_ends(logit, target, expected):
    logits, targets = np.array([logit], np.float32), np.array([target], np.float32)
    assert float(sigmoid_focal(logits, targets)[0]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("beta", [0.0, 1.5, 2.0])
def test_quality_focal_loss_is_the_formula(beta):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, 50).astype(np.float32)
    targets = np.where(np.arange(50) % 2, rng.uniform(size=50), 0.0).astype(np.float32)
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    entropy = -(targets * np.log(p) + (1 - targets) * np.log(1 - p))
    found = quality_focal(logits, targets, beta=beta)
    np.testing.assert_allclose(found, np.abs(targets - p) ** beta * entropy, rtol=1e-5)


@pytest.mark.parametrize("beta", [0.0, 1.5, 2.0])
def test_background_focal_loss_is_the_quality_focal_loss_of_targets_0(beta):
    logits = np.linspace(-30, 30, 61, dtype=np.float32)
    expected = quality_focal(logits, np.zeros(61, np.float32), beta=beta)
    np.testing.assert_allclose(background_focal(logits, beta=beta), expected, rtol=1e-6)


def test_quality_focal_loss_is_least_where_the_score_is_the_target():
    scores = np.linspace(0.01, 0.99, 99)
    logits = np.log(scores / (1 - scores)).astype(np.float32)
    for target in (0.25, 0.5, 0.9):
        losses = ops.convert_to_numpy(quality_focal(logits, np.full(99, target, np.float32)))
        assert scores[losses.argmin()] == pytest.approx(target)
    ends = quality_focal(np.array([-200.0, 200.0], np.float32), np.array([0.0, 1.0], np.float32))
    np.testing.assert_array_equal(ends, [0, 0])


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_gradients_of_sure_logits_are_finite(gradients, gamma, target):
    logits = np.array([-200, -110, -20, 0, 20, 110, 200], np.float32)
    losses = [
        lambda x: sigmoid_focal(x, target, gamma=gamma),
        lambda x: quality_focal(x, target, beta=gamma),
        lambda x: background_focal(x, beta=gamma),
    ]
    for loss in losses:
        (gradient,) = gradients(lambda x, loss=loss: ops.sum(loss(x)), logits)
        assert np.isfinite(gradient).all()
        # Far on the wrong side a step of 1 costs its weight.
        assert np.abs(gradient).max() > 0.1


def test_score_divergence_is_keras_divergence_of_two_coins():
    rng = np.random.default_rng(0)
    scores, targets = rng.uniform(0.001, 0.999, (2, 6, 50)).astype(np.float32)
    coins = [np.stack([p, 1 - p], axis=-1) for p in (targets, scores)]
    expected = keras.losses.KLDivergence(reduction=None)(*coins)
    np.testing.assert_allclose(score_divergence(scores, targets), expected, atol=1e-6, rtol=1e-4)
    np.testing.assert_array_equal(score_divergence(targets, targets), np.zeros_like(targets))


def test_score_divergence_is_finite_where_one_is_sure():
    scores, targets = np.array([[0, 1, 1, 0], [0, 1, 0, 1]], np.float32)
    found = ops.convert_to_numpy(score_divergence(scores, targets))
    np.testing.assert_allclose(found, [0, 0, -math.log(1e-6), -math.log(1e-6)], rtol=0.01)


def test_logit_divergence_is_that_of_the_sigmoids():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(4, 30)).astype(np.float32) * 3
    targets = rng.uniform(0, 1, (4, 30)).astype(np.float32)
    expected = score_divergence(ops.sigmoid(logits), targets)
    np.testing.assert_allclose(logit_divergence(logits, targets), expected, atol=1e-5, rtol=1e-4)


def test_the_gradient_of_logit_divergence_is_score_minus_target_however_sure():
    logits = np.array([-20.0, -3.0, 0.5, 20.0], np.float32)
    targets = np.array([0.9, 0.1, 0.5, 0.1], np.float32)
    step = 0.01
    above, below = (
        ops.convert_to_numpy(logit_divergence(logits + sign * step, targets)) for sign in (1, -1)
    )
    expected = 1 / (1 + np.exp(-logits)) - targets
    np.testing.assert_allclose((above - below) / (2 * step), expected, atol=1e-3)
