"""Where else a training is logged: TensorBoard by step, with the settings; wandb; MLflow."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from mobilenetdet.config.training import FitConfig
from mobilenetdet.runs import RunDir
from mobilenetdet.training.callbacks import TensorBoardLog, Validation
from mobilenetdet.training.library_logs import History, LibraryLog, MlflowLog, WandbLog

# Steps whose mean is one point of a curve by step.
STEPS_A_POINT = 10
STEP_LOSS = "step/loss"


def check_loggers(config: FitConfig) -> None:
    """Refuses before a training starts what would fail when it logs.

    Raises:
        ValueError: a library is not installed; names the extra.
    """
    for name in config.logger:
        if name != "tensorboard" and importlib.util.find_spec(name) is None:
            raise ValueError(
                f"train.logger {name}: {name} is not installed; "
                f"pip install 'mobilenetdet[{name}]', or leave it out"
            )


def make_loggers(
    config: Any,
    run: RunDir,
    validation: Validation,
    *,
    tensorboard: TensorBoardLog | None,
    history: History = (),
    is_first: bool = True,
) -> list[keras.callbacks.Callback]:
    """Returns what logs a run beside its metrics.csv, as its config asks.

    Args:
        config: the whole config, with `train.logger`.
        run: that is logged.
        validation: whose latest metrics are logged.
        tensorboard: what logs by epoch, or None where TensorBoard is not asked for.
        history: the epochs that are done; where there are any, the run goes on where it was logged
            before.
        is_first: of the processes that train together, each with a run directory: one training is
            one run of wandb and of MLflow.
    """
    settings = flat_settings(config)
    made: list[keras.callbacks.Callback] = []
    if tensorboard is not None:
        made.append(StepLog(tensorboard, settings))
    if "wandb" in config.train.logger and is_first:
        made.append(WandbLog(run, validation, settings, history=history))
    if "mlflow" in config.train.logger and is_first:
        made.append(MlflowLog(run, validation, settings, history=history))
    return made


def end_failed(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Ends as failed what an error or Ctrl-C has left open, of which Keras tells callbacks nothing.

    The next training of the process would be logged there.
    """
    for each in callbacks:
        if isinstance(each, LibraryLog):
            each.fail()


def flat_settings(config: Any) -> dict[str, Any]:
    """Returns the settings of a config by their dotted keys; lists are texts.

    Example: `{"train.epochs": 30, "data.classes": "Car, Pedestrian, Cyclist", ..}`.
    """
    return dict(_flatten(dataclasses.asdict(config), ""))


def _flatten(values: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            rows += _flatten(value, f"{prefix}{key}.")
        elif isinstance(value, bool | int | float | str):
            rows.append((f"{prefix}{key}", value))
        elif isinstance(value, Sequence):
            rows.append((f"{prefix}{key}", ", ".join(map(str, value))))
        else:
            rows.append((f"{prefix}{key}", str(value)))
    return rows


class StepLog(keras.callbacks.Callback):
    """Adds to TensorBoard the settings of the run and the loss by step."""

    def __init__(self, log: TensorBoardLog, settings: Mapping[str, Any]) -> None:
        """Writes where a log by epoch writes.

        Args:
            log: by epoch; where it has no writer, nothing is written.
            settings: by dotted key, columns of the page HPARAMS.
        """
        super().__init__()
        self.writer, self.settings = log.writer, settings
        # Steps and summed loss up to the last point of this epoch, whose mean Keras gives.
        self._done, self._sum, self._epoch = 0, 0.0, 0

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Writes the settings."""
        if self.writer is None:
            return
        from tensorboard.plugins.hparams import api

        with self.writer.as_default(step=0):
            api.hparams(dict(self.settings))

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Starts the means again, as Keras does."""
        self._done, self._sum, self._epoch = 0, 0.0, epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Writes the mean loss of the last steps, every `STEPS_A_POINT` steps."""
        if self.writer is None or not logs or (batch + 1) % STEPS_A_POINT:
            return
        import tensorflow as tf

        total = float(logs["loss"]) * (batch + 1)
        loss = (total - self._sum) / (batch + 1 - self._done)
        self._done, self._sum = batch + 1, total
        step = self._epoch * self.params["steps"] + batch + 1
        with self.writer.as_default(step=step):
            tf.summary.scalar(STEP_LOSS, loss)
