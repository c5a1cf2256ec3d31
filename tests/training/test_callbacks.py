"""Which weights are the best, what ends a run, and what TensorBoard gets."""

from contextlib import nullcontext
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from mobilenetdet.training import callbacks
from mobilenetdet.training.callbacks import (
    Measurement,
    StepLines,
    StopOnNaN,
    TensorBoardLog,
    Validation,
    complete_log,
)


class State:
    """Notes the epochs whose weights are kept."""

    def __init__(self):
        self.best, self.kept, self.epoch = -1.0, [], 0
        self.ema = SimpleNamespace(applied=nullcontext)

    def save_weights(self, name):
        assert name == "best.weights.h5"
        self.kept.append(self.epoch)


@pytest.mark.parametrize(
    ("metrics", "kept"),
    [
        ([0.0, 0.0, 0.0], [1, 2, 3]),  # of equal ones the later
        ([5.0, 7.0, 7.0], [1, 2, 3]),
        ([5.0, 7.0, 6.0], [1, 2]),
        ([5.0, 4.0, 5.0], [1, 3]),
    ],
)
def test_of_two_equal_measurements_the_later_one_is_kept(metrics, kept):
    state, remaining = State(), iter(metrics)
    measurement = Measurement(lambda: next(remaining), lambda value: {"mean": value}, "mean")
    validation = Validation(state, measurement, every=1, epochs=len(metrics))
    for epoch in range(len(metrics)):
        state.epoch = epoch + 1
        validation.on_epoch_end(epoch)
    assert state.kept == kept
    assert state.best == validation.best == max(metrics)


def test_a_long_epoch_has_a_line_every_half_minute(monkeypatch, capsys):
    """The first step takes 100 s, since it is compiled, the others 10 s."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(monotonic=lambda: clock.now))
    lines = StepLines(steps=20)
    for _ in range(2):
        lines.on_epoch_begin(0)
        for batch in range(20):
            clock.now += 10 if batch else 100
            lines.on_train_batch_end(batch, {"loss": np.float32(2.0 / (batch + 1))})
    told = capsys.readouterr().out.splitlines()
    assert told[:2] == [
        "step 4 of 20, loss 0.5000, 10.00 s a step, 3 min left of the epoch",
        "step 7 of 20, loss 0.2857, 10.00 s a step, 2 min left of the epoch",
    ]
    assert told[5] == "step 19 of 20, loss 0.1053, 10.00 s a step, 10 s left of the epoch"
    assert told[:6] == told[6:]


def test_short_epochs_have_none(capsys):
    lines = StepLines(steps=3)
    lines.on_epoch_begin(0)
    for batch in range(3):
        lines.on_train_batch_end(batch, {"loss": 1.0})
    assert capsys.readouterr().out == ""


def read_scalars(folder):
    """Every scalar of the event files: (tag, epoch, value)."""
    return sorted(
        (value.tag, event.step, float(tf.make_ndarray(value.tensor)))
        for path in folder.glob("events*")
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    )


def test_epochs_that_a_kill_kept_from_tensorboard_are_refilled(tmp_path):
    history = [
        {"epoch": 1, "loss": 8.0, "learning_rate": 0.5},
        {"epoch": 2, "loss": 4.0, "learning_rate": 0.25, "val/mean/moderate/R40": 60.0},
    ]
    validation = SimpleNamespace(metrics={}, latest=None)
    log = TensorBoardLog(tmp_path, validation, draw=None)
    log.on_epoch_end(0, {"loss": 8.0, "learning_rate": 0.5})
    log.writer.close()
    for _ in range(2):  # what is there is not written twice
        complete_log(tmp_path, history)
    assert read_scalars(tmp_path) == [
        ("learning_rate", 1, 0.5),
        ("learning_rate", 2, 0.25),
        ("train/loss", 1, 8.0),
        ("train/loss", 2, 4.0),
        ("val/mean/moderate/R40", 2, 60.0),
    ]


def test_nan_in_the_weights_at_the_end_of_an_epoch_stops_the_run():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="last")])
    callback = StopOnNaN()
    callback.set_model(model)
    callback.on_epoch_end(0, {"loss": 0.5})
    model.get_layer("last").bias.assign([np.nan])
    with pytest.raises(ValueError, match="last/bias is NaN or infinite.*last complete epoch"):
        callback.on_epoch_end(0, {"loss": 0.5})
