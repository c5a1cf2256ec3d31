"""YellowFin under `fit`: precision, accumulation, distribution."""

import keras
import numpy as np
import pytest
from fixtures.numpy_yellowfin import BACKEND, make_variables, numbers, random_gradients
from keras import ops

from mobilenetdet.training.optimizers import optimizer_metrics
from mobilenetdet.training.yellowfin import YellowFin


def toy_problem() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(256, 8)).astype(np.float32)
    return x, np.tanh(x @ rng.normal(size=(8, 2))).astype(np.float32)


def toy_model(**options) -> keras.Model:
    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(16, "tanh"), keras.layers.Dense(2, dtype="float32")]
    )
    model.compile(YellowFin(**options), "mse", jit_compile=BACKEND == "jax")
    return model


def fit_losses(model: keras.Model, epochs: int = 8) -> list[float]:
    return model.fit(*toy_problem(), batch_size=32, epochs=epochs, verbose=0).history["loss"]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_fit(policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        model = toy_model()
        losses = fit_losses(model)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    scaled = isinstance(model.optimizer, keras.mixed_precision.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    assert np.isfinite(losses).all() and losses[-1] < 0.5 * losses[0]
    tuner = model.optimizer.inner_optimizer if scaled else model.optimizer
    metrics = optimizer_metrics(model.optimizer)
    assert metrics == {"learning_rate": tuner.tuned_rate, "momentum": tuner.tuned_momentum}
    assert 0 < metrics["learning_rate"] != 1 and 0 < metrics["momentum"] < 1


def test_gradient_accumulation():
    """Two steps that each see half of a batch are one that sees all of it."""
    whole, halves = make_variables(), make_variables()
    optimizer = YellowFin()
    accumulating = YellowFin(gradient_accumulation_steps=2)
    for gradients in random_gradients(6):
        optimizer.apply([ops.convert_to_tensor(g) for g in gradients], whole)
        for scale in (0.5, 1.5):
            accumulating.apply([ops.convert_to_tensor(scale * g) for g in gradients], halves)
    for found, expected in zip(numbers(halves), numbers(whole), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="about TensorFlow's strategies")
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_mirrored_strategy_changes_nothing(policy):
    import tensorflow as tf

    keras.mixed_precision.set_global_policy(policy)
    try:
        plain = fit_losses(toy_model(), epochs=2)
        with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
            model = toy_model()
        distributed = fit_losses(model, epochs=2)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_allclose(distributed, plain, rtol=0.02 if "16" in policy else 1e-4)
