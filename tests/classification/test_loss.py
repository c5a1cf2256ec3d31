import keras
import numpy as np
import pytest
from keras import ops

from mobilenetdet.classification.loss import SmoothedCrossEntropy, TrainableClassifier


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_it_is_the_mean_over_images_of_the_formula(smoothing):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 3, (6, 5)), rng.integers(0, 5, 6)
    expected = []
    for row, label in zip(logits, labels, strict=True):
        log_probs = row - np.log(np.exp(row).sum())
        targets = [smoothing / 5 + (1 - smoothing) * (c == label) for c in range(5)]
        expected.append(-sum(t * p for t, p in zip(targets, log_probs, strict=True)))
    loss = SmoothedCrossEntropy(smoothing)(labels, logits)
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-5)


def test_without_smoothing_it_is_that_of_keras():
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(0, 3, (6, 5)), rng.integers(0, 5, (6, 1))
    reference = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert float(SmoothedCrossEntropy()(labels, logits)) == pytest.approx(
        float(reference(labels, logits)), rel=1e-5
    )


def test_coarse_logits_are_summed_in_float32():
    logits = ops.cast(np.linspace(-2, 2, 1000)[None], "bfloat16")
    loss = SmoothedCrossEntropy(0.1)(np.array([3]), logits)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"


@pytest.mark.parametrize(
    ("weights", "own"), [(None, 5), ([1, 1, 1, 0, 0], 3), ([0, 0, 0, 0, 0], 0)]
)
def test_images_of_weight_0_are_in_no_mean(weights, own):
    rng = np.random.default_rng(2)
    images, labels = rng.normal(0, 3, (5, 7)).astype(np.float32), rng.integers(0, 3, 5)
    inputs = keras.Input((7,))
    model = TrainableClassifier(inputs, keras.layers.Dense(3)(inputs))
    loss = SmoothedCrossEntropy(0.1, reduction="none")
    model.compile(keras.optimizers.SGD(0.0), loss)
    logits = model(images)
    expected = float(ops.mean(loss(labels[:own], logits[:own]))) if own else 0.0
    found = model.compute_loss(None, labels, logits, weights and np.array(weights))
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_it_comes_back_from_its_config():
    loss = SmoothedCrossEntropy(0.2, name="smooth")
    again = SmoothedCrossEntropy.from_config(loss.get_config())
    assert (again.label_smoothing, again.name) == (0.2, "smooth")
