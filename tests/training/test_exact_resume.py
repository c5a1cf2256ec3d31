"""A run that was interrupted ends bit for bit like one that was not, on TensorFlow and on JAX."""

from dataclasses import replace

import numpy as np
import pytest
from fixtures.own_classes import with_classes
from fixtures.training import arrays_of, rows_of

from mobilenetdet.training.train import train

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_weights_averages_optimizer_history_and_best_weights_are_the_same(
    own_classes_config, tmp_path, interrupted, precision
):
    config = with_classes(own_classes_config, "Car")
    settings = replace(config.train, precision=precision, ema=0.8, eval_every=2)
    config = replace(config, train=settings)
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    train(config, straight, verbose=0)
    rows = rows_of(straight)
    measured = [float(row["val/mean/moderate/R40"] or -1) for row in rows]
    # It rises over the first interruption; from which epoch on depends on the processor's rounding.
    first = next(epoch for epoch, ap in enumerate(measured) if ap > 0) + 2
    assert 0 < max(measured[:first]) < max(measured) and first < 7
    for epoch in (first, 7):  # counted from 0, between two measurements
        interrupted(lambda: train(config, resumed, verbose=0), epoch=epoch)
    train(config, resumed, verbose=0)
    assert rows_of(resumed) == rows
    states = [np.load(run / "checkpoint.npz") for run in (straight, resumed)]
    assert set(states[0].files) == set(states[1].files)
    for name in states[0].files:
        np.testing.assert_array_equal(*(state[name] for state in states), err_msg=name)
    for name in ("best.weights.h5", "last.weights.h5"):
        one, other = (arrays_of(run / name) for run in (straight, resumed))
        assert one.keys() == other.keys() and one
        for key in one:
            np.testing.assert_array_equal(one[key], other[key], err_msg=f"{name} {key}")
    metrics = [(run / "eval/metrics.json").read_bytes() for run in (straight, resumed)]
    assert metrics[0] == metrics[1]
