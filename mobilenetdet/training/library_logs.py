"""A training logged by epoch with a library of its own: wandb, MLflow."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import keras

from mobilenetdet.runs import HISTORY_FILE, RunDir
from mobilenetdet.training.callbacks import Validation

# The epochs of a run that are done, as metrics.csv has them.
History = Sequence[Mapping[str, float]]
# Of wandb's project and MLflow's experiment.
PROJECT = "mobilenetdet"
# MLflow's tag of the run directory.
_PLACE_TAG = "mobilenetdet.run_dir"
# Of a row of a run's history, and what every such row has.
_EPOCH, _LOSS = "epoch", "loss"
# What MLflow takes at a time, and in one value.
_MAX_PARAMS, _MAX_VALUE = 100, 500
# Of what a library says of an error, characters.
_MAX_SAID = 300


class LibraryLog(keras.callbacks.Callback):
    """Logs with a library, which may reach for a server: a base of those below.

    What fails before the training is an error; later it is told, and the training goes on.
    """

    name = ""

    def __init__(
        self, run: RunDir, validation: Validation, settings: Mapping[str, Any], *, history: History
    ) -> None:
        """Logs a run; the library's own environment variables hold.

        Args:
            run: that is logged.
            validation: whose latest metrics are logged.
            settings: of the run, by dotted key.
            history: the epochs that are done; see `loggers.make_loggers`.
        """
        super().__init__()
        self.run, self.validation, self.settings = run, validation, settings
        self.history = tuple(history)

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
                f"{HISTORY_FILE} has all of it",
                file=sys.stderr,
            )

    def _begin(self) -> None:
        raise NotImplementedError

    def _log_epoch(self, step: int, logs: Mapping[str, Any] | None) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError

    def fail(self) -> None:
        """Ends the run as one that has failed, if it has begun and not ended."""
        raise NotImplementedError


class WandbLog(LibraryLog):
    """Logs each epoch with wandb, whose own files go to wandb/ in the run; see `WANDB_MODE`."""

    name = "wandb"
    _log: Any = None  # wandb's run, from the beginning of training on

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


class MlflowLog(LibraryLog):
    """Logs each epoch with MLflow, where `MLFLOW_TRACKING_URI` says or by its default."""

    name = "mlflow"

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
