"""Which weights are the best."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from mobilenetdet.training.callbacks import Measurement, Validation


class State:
    """Notes the epochs whose weights are kept."""

    def __init__(self):
        self.best, self.kept, self.epoch = -1.0, [], 0
        self.ema = SimpleNamespace(applied=nullcontext)

    def save_weights(self, name):
        assert name == "best.weights.h5"
        self.kept.append(self.epoch)


@pytest.mark.parametrize(
    ("figures", "kept"),
    [
        ([0.0, 0.0, 0.0], [1, 2, 3]),  # of equal ones the later
        ([5.0, 7.0, 7.0], [1, 2, 3]),
        ([5.0, 7.0, 6.0], [1, 2]),
        ([5.0, 4.0, 5.0], [1, 3]),
    ],
)
def test_of_two_equal_measurements_the_later_one_is_kept(figures, kept):
    state, remaining = State(), iter(figures)
    measurement = Measurement(lambda: next(remaining), lambda value: {"mean": value}, "mean")
    validation = Validation(state, measurement, every=1, epochs=len(figures))
    for epoch in range(len(figures)):
        state.epoch = epoch + 1
        validation.on_epoch_end(epoch)
    assert state.kept == kept
    assert state.best == validation.best == max(figures)
