"""The epochs of a run, of detectors and of classifiers."""

from __future__ import annotations

from typing import Any

from mobilenetdet.runs import RunDir
from mobilenetdet.training.callbacks import (
    Checkpoint,
    Drawing,
    StepLines,
    StopOnNaN,
    TensorBoardLog,
    Validation,
)
from mobilenetdet.training.checkpoint import RunState
from mobilenetdet.training.loggers import end_failed, make_loggers


def fit_epochs(
    batches: Any,
    state: RunState,
    validation: Validation,
    *,
    config: Any,
    steps: int,
    draw: Drawing | None = None,
    verbose: int = 1,
    is_first: bool = True,
) -> None:
    """Trains from the first epoch that is not complete to the last.

    After each, the state, the weights and metrics.csv are in the run directory.

    Args:
        batches: `steps` for each of these epochs.
        state: of the run, with the compiled model.
        validation: measures between the epochs; knows how many there are.
        config: the whole config; `train.logger` says where the run is logged.
        steps: of an epoch.
        draw: makes pictures of a measurement for TensorBoard.
        verbose: of Keras: 0 silent, 1 progress bar, 2 a line an epoch, and one every half minute.
        is_first: of the processes that train together; the others log into their own temporary
            run directory and nowhere else.
    """
    run = RunDir(state.run_dir)
    is_drawn = "tensorboard" in config.train.logger
    tensorboard = TensorBoardLog(run.events_dir, validation, draw) if is_drawn else None
    callbacks = [
        StopOnNaN(),
        *([StepLines(steps)] if verbose == 2 else []),
        state.ema,
        validation,
        Checkpoint(state, validation, run.history_file),
        *([tensorboard] if tensorboard else []),
        *make_loggers(
            config,
            run,
            validation,
            tensorboard=tensorboard,
            history=state.history,
            is_first=is_first,
        ),
    ]
    try:
        state.model.fit(
            batches,
            epochs=validation.epochs,
            initial_epoch=state.epoch,
            steps_per_epoch=steps,
            callbacks=callbacks,
            shuffle=False,  # the batches are shuffled already
            verbose=verbose,
        )
    except BaseException:
        end_failed(callbacks)
        raise
