"""Where else a training is logged: TensorBoard by step, with the settings; wandb; MLflow."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import keras

from mobilenetdet.config.training import FitConfig
from mobilenetdet.runs import RunDir
from mobilenetdet.training.callbacks import TensorBoardLog, Validation

# The epochs of a run that are done, as metrics.csv has them.
History = Sequence[Mapping[str, float]]
# Of wandb's project and MLflow's experiment.
PROJECT = "mobilenetdet"
# Steps whose mean is one point of a curve by step.
STEPS_A_POINT = 10
STEP_LOSS = "step/loss"
# MLflow's tag of the run directory.
_PLACE_TAG = "mobilenetdet.run_dir"
# Of a row of a run's history, and what every such row has.
_EPOCH, _LOSS = "epoch", "loss"
# What MLflow takes at a time, and in one value.
_MAX_PARAMS, _MAX_VALUE = 100, 500
# Of what a library says of an error, characters.
_MAX_SAID = 300


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
        if isinstance(each, WandbLog | MlflowLog):
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


class _LibraryLog(keras.callbacks.Callback):
    """Logs with a library, which may reach for a server: a base of those below.

    What fails before the training is an error; later it is told, and the training goes on.
    """

    name = ""

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Begins the run, or goes on with it.

        Raises:
            ValueError: the library says no; names it and its reason.
        """
        try:
            self._begin()
        except Exception as error:  # each library has errors of its own
            raise ValueError(
                f"train.logger {self.name}: {_reason(error)}; set {self.name} up, or leave it out"
            ) from error

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Logs the epoch and what was measured after it."""
        with self._going_on():
            self._log_epoch(epoch + 1, logs)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Ends the run."""
        with self._going_on():
            self._end()

    @contextlib.contextmanager
    def _going_on(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            print(
                f"warning: train.logger {self.name}: {_reason(error)}; the training goes on, and "
                "metrics.csv has all of it",
                file=sys.stderr,
            )

    def _begin(self) -> None:
        raise NotImplementedError

    def _log_epoch(self, step: int, logs: Mapping[str, Any] | None) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError


class WandbLog(_LibraryLog):
    """Logs each epoch with wandb."""

    name = "wandb"

    def __init__(
        self, run: RunDir, validation: Validation, settings: Mapping[str, Any], *, history: History
    ) -> None:
        """Logs a run; `WANDB_MODE=offline` and the like are obeyed.

        Args:
            run: that is logged; wandb's own files go to its folder wandb/.
            validation: whose latest metrics are logged.
            settings: of the run, by dotted key.
            history: the epochs that are done; see `make_loggers`.
        """
        super().__init__()
        self.run, self.validation, self.settings = run, validation, settings
        self.history = tuple(history)
        self._log: Any = None  # wandb's run, from the beginning of training on

    def _begin(self) -> None:
        import wandb

        last_id = self._last_id() if self.history else None
        self._log = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=self.run.name,
            dir=str(self.run.path),
            config=dict(self.settings),
            id=last_id,
            resume="allow",
            allow_val_change=True,
        )
        # Offline, wandb does not know how far a run was logged.
        if last_id is None or self._log.resumed:
            for epoch, metrics in _missing(self.history, range(1, self._log.step)):
                self._log.log(metrics, step=epoch)

    def _log_epoch(self, step: int, logs: Mapping[str, Any] | None) -> None:
        self._log.log({**_numbers(logs), **self.validation.metrics}, step=step)

    def _end(self) -> None:
        self._log.finish()
        self._log = None

    def fail(self) -> None:
        """Ends the run as one that has failed, if it has begun and not ended."""
        if self._log is not None:
            self._log.finish(exit_code=1)
            self._log = None

    def _last_id(self) -> str | None:
        """Returns wandb's id of the run, which its link to the last folder ends with."""
        link = self.run.path / "wandb/latest-run"
        return link.resolve().name.rpartition("-")[2] if link.exists() else None


class MlflowLog(_LibraryLog):
    """Logs each epoch with MLflow."""

    name = "mlflow"

    def __init__(
        self, run: RunDir, validation: Validation, settings: Mapping[str, Any], *, history: History
    ) -> None:
        """Logs a run where `MLFLOW_TRACKING_URI` says, or MLflow's default.

        Args:
            run: that is logged.
            validation: whose latest metrics are logged.
            settings: of the run, by dotted key.
            history: the epochs that are done; see `make_loggers`.
        """
        super().__init__()
        self.run, self.validation, self.settings = run, validation, settings
        self.history = tuple(history)

    def _begin(self) -> None:
        import mlflow

        if "MLFLOW_EXPERIMENT_NAME" not in os.environ and "MLFLOW_EXPERIMENT_ID" not in os.environ:
            mlflow.set_experiment(PROJECT)
        place = str(self.run.path.resolve())
        last_id = self._last_id(place) if self.history else None
        logged: list[int] = []
        if last_id is not None:
            mlflow.start_run(run_id=last_id)
            losses = mlflow.MlflowClient().get_metric_history(last_id, _LOSS)
            logged = [row.step for row in losses]
        else:
            mlflow.start_run(run_name=self.run.name, tags={_PLACE_TAG: place})
            rows = [(key, str(value)[:_MAX_VALUE]) for key, value in self.settings.items()]
            for first in range(0, len(rows), _MAX_PARAMS):
                mlflow.log_params(dict(rows[first : first + _MAX_PARAMS]))
        for epoch, metrics in _missing(self.history, logged):
            mlflow.log_metrics(metrics, step=epoch)

    def _log_epoch(self, step: int, logs: Mapping[str, Any] | None) -> None:
        import mlflow

        mlflow.log_metrics({**_numbers(logs), **self.validation.metrics}, step=step)

    def fail(self) -> None:
        """Ends the run as one that has failed, if it has begun and not ended."""
        import mlflow

        active = mlflow.active_run()  # it may be one of the caller's
        if active and active.data.tags.get(_PLACE_TAG) == str(self.run.path.resolve()):
            mlflow.end_run(status="FAILED")

    def _end(self) -> None:
        import mlflow

        mlflow.end_run()

    @staticmethod
    def _last_id(place: str) -> str | None:
        """Returns MLflow's id of the run that was logged last from a directory."""
        import mlflow

        for begun in mlflow.search_runs(output_format="list"):  # the last first
            if begun.data.tags.get(_PLACE_TAG) == place:
                return str(begun.info.run_id)
        return None


def _missing(history: History, logged: Collection[int]) -> list[tuple[int, dict[str, float]]]:
    """Returns the epochs that a kill has kept from a log, or that were before it, with metrics."""
    return [
        (int(row[_EPOCH]), {name: value for name, value in row.items() if name != _EPOCH})
        for row in history
        if int(row[_EPOCH]) not in logged
    ]


def _reason(error: Exception) -> str:
    """What a library says, in a line."""
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= _MAX_SAID else f"{said[:_MAX_SAID]}..."


def _numbers(logs: Mapping[str, Any] | None) -> dict[str, float]:
    return {name: float(value) for name, value in (logs or {}).items()}
