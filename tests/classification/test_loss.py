import keras
import numpy as np
import pytest
from keras import ops

from mobilenetdet.classification.loss import SmoothedCrossEntropy


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


def test_it_comes_back_from_its_config():
    loss = SmoothedCrossEntropy(0.2, name="smooth")
    again = SmoothedCrossEntropy.from_config(loss.get_config())
    assert (again.label_smoothing, again.name) == (0.2, "smooth")
