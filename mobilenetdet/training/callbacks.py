"""Callbacks at the end of an epoch: validation, checkpoints, logs."""

from __future__ import annotations

import contextlib
import csv
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import keras
import numpy as np
from google.protobuf.message import DecodeError

from mobilenetdet.files.atomic_write import atomic_write
from mobilenetdet.models.weight_file import first_non_finite
from mobilenetdet.models.weights import named_weights
from mobilenetdet.records.tfrecord import read_records
from mobilenetdet.runs import BEST_WEIGHTS, LAST_WEIGHTS
from mobilenetdet.training.checkpoint import RunState, diverged_text
from mobilenetdet.training.optimizers import LOGGED_METRICS, optimizer_metrics

# TensorBoard's name of what every epoch has.
_LOSS_TAG = "train/loss"
# Seconds between two lines about one epoch, and before the first.
LINE_EVERY_S = 30.0
Result = TypeVar("Result")
# What is drawn of a measurement, as uint8 [N, H, W, 3].
Drawing = Callable[[Any], np.ndarray]


@dataclass(frozen=True)
class Measurement(Generic[Result]):
    """How a model is measured on the validation split.

    Attributes:
        measure: runs the model over the split.
        metrics: what it found, as numbers by name.
        monitor: the number that decides which weights are the best; more is better.
    """

    measure: Callable[[], Result]
    metrics: Callable[[Result], dict[str, float]]
    monitor: str


class Validation(keras.callbacks.Callback):
    """Measures the averaged weights every few epochs and after the last."""

    def __init__(
        self, state: RunState, measurement: Measurement[Any], *, every: int, epochs: int
    ) -> None:
        """Prepares the measurements.

        Args:
            state: of the run; its best figure is kept up to date.
            measurement: what is measured.
            every: epochs between two measurements, 0 = only after the last.
            epochs: of the whole run.
        """
        super().__init__()
        self.state, self.measurement = state, measurement
        self.every, self.epochs = every, epochs
        self.latest: Any = None
        self.best: Any = None
        # Of the latest epoch, empty if it was not measured. Keras' logs would show all of them.
        self.metrics: dict[str, float] = {}

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Measures if it is time to, and keeps the weights if they are the best."""
        self.latest, self.metrics = None, {}
        done = epoch + 1
        if done != self.epochs and not (self.every and done % self.every == 0):
            return
        with self.state.ema.applied():
            self.latest = self.measurement.measure()
        metrics = self.measurement.metrics(self.latest)
        self.metrics = {f"val/{name}": value for name, value in metrics.items()}
        # Of two equal measurements the later one is kept: it has seen more of the data.
        if metrics[self.measurement.monitor] >= self.state.best:
            self.state.best, self.best = metrics[self.measurement.monitor], self.latest
            self.state.save_weights(BEST_WEIGHTS)


class Checkpoint(keras.callbacks.Callback):
    """Saves the state after every epoch; comes after every callback that adds to the logs."""

    def __init__(self, state: RunState, validation: Validation, csv_path: Path) -> None:
        """Takes the state of the run, its measurements, and the file that shows its history."""
        super().__init__()
        self.state, self.validation, self.csv_path = state, validation, csv_path

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Saves the last weights, the history and the state, in this order."""
        logs |= optimizer_metrics(self.model.optimizer)
        metrics = logs | self.validation.metrics
        row = {"epoch": epoch + 1, **{name: float(value) for name, value in metrics.items()}}
        self.state.epoch = epoch + 1
        self.state.history.append(row)
        self.state.save_weights(LAST_WEIGHTS)
        write_history(self.state.history, self.csv_path)
        self.state.save()


class StopOnNaN(keras.callbacks.Callback):
    """Ends a run whose loss or weights are no numbers, before they reach a checkpoint."""

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Stops if the mean loss of the epoch so far is NaN or infinite.

        Raises:
            ValueError: it is NaN or infinite.
        """
        if not np.isfinite(float(logs["loss"])):
            raise ValueError(diverged_text(f"the loss at step {batch + 1} of the epoch"))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Stops if the last step, whose loss was a number yet, has left weights that are not.

        Raises:
            ValueError: a weight is NaN or infinite.
        """
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        if bad := first_non_finite(named_weights(self.model)):
            raise ValueError(diverged_text(bad))


class StepLines(keras.callbacks.Callback):
    """Prints now and then how far a long epoch is: in a log Keras prints only its end."""

    def __init__(self, steps: int) -> None:
        """Takes the steps of an epoch."""
        super().__init__()
        self._steps = steps
        self._begin(0)

    def _begin(self, done: int) -> None:
        self._first, self._begun = done, time.monotonic()
        self._told = self._begun

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Begins to measure the time."""
        self._begin(0)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Prints the step, the mean loss of the epoch so far and the time that is left of it."""
        done = batch + 1
        if not self._first:  # the first step is compiled, too, and says nothing of the others
            self._begin(done)
        if (now := time.monotonic()) - self._told < LINE_EVERY_S:
            return
        self._told = now
        seconds = (now - self._begun) / (done - self._first)
        left = (self._steps - done) * seconds
        left_text = f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
        print(
            f"step {done} of {self._steps}, loss {float(logs['loss']):.4f}, "
            f"{seconds:.2f} s a step, {left_text} left of the epoch",
            flush=True,
        )


class TensorBoardLog(keras.callbacks.Callback):
    """Writes the logs of each epoch, and pictures of what was measured, for TensorBoard.

    TensorFlow is needed for writing event files; without it the run goes on without them.
    """

    def __init__(self, folder: Path, validation: Validation, draw: Drawing | None) -> None:
        """Logs into a folder; see `complete_log` for the epochs of a run that goes on.

        Args:
            folder: of the event files.
            validation: whose latest result is drawn.
            draw: makes the pictures, or None for none.
        """
        super().__init__()
        self.validation, self.draw = validation, draw
        try:
            import tensorflow as tf
        except ImportError:
            print("TensorFlow is not installed: no TensorBoard logs")
            self.writer = None
        else:
            self.summary = tf.summary
            self.writer = tf.summary.create_file_writer(str(folder))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Writes scalars and pictures under the number of complete epochs."""
        if self.writer is None:
            return
        with self.writer.as_default(step=epoch + 1):
            _write_scalars(logs | self.validation.metrics)
            if self.draw is not None and self.validation.latest is not None:
                pictures = self.draw(self.validation.latest)
                self.summary.image("val/overlays", pictures, max_outputs=len(pictures))
        self.writer.flush()


def complete_log(folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Writes the epochs of a run that a kill has kept from TensorBoard's log; pictures are lost.

    Args:
        folder: of the event files.
        history: of the run, which may be complete.
    """
    try:
        import tensorflow as tf
    except ImportError:
        return
    logged = _logged_epochs(folder) if history else set()
    missing = [row for row in history if int(row["epoch"]) not in logged]
    if not missing:
        return
    writer = tf.summary.create_file_writer(str(folder))
    for row in missing:
        with writer.as_default(step=int(row["epoch"])):
            _write_scalars({name: value for name, value in row.items() if name != "epoch"})
    writer.close()


def _write_scalars(metrics: Mapping[str, float]) -> None:
    import tensorflow as tf

    for name, value in metrics.items():
        folder = "" if "/" in name or name in LOGGED_METRICS else "train/"
        tf.summary.scalar(folder + name, float(value))


def _logged_epochs(folder: Path) -> set[int]:
    """Returns the epochs whose loss is in the event files of a folder."""
    import tensorflow as tf

    epochs = set()
    for path in sorted(folder.glob("events.out.tfevents.*")):
        # A record that a kill has cut off ends its file.
        with contextlib.suppress(ValueError, DecodeError):
            for event in map(tf.compat.v1.Event.FromString, read_records(path)):
                if any(value.tag == _LOSS_TAG for value in event.summary.value):
                    epochs.add(event.step)
    return epochs


def write_history(history: list[dict[str, float]], path: Path) -> None:
    """Writes one row an epoch; a metric that was not measured in an epoch is left empty."""
    names = list(dict.fromkeys(name for row in history for name in row))
    with atomic_write(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(history)
