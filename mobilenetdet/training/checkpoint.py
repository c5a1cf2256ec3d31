"""Checkpoints: the whole state of a run in one file for resuming, and weight files for users."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from keras import ops

from mobilenetdet.atomic_write import atomic_write
from mobilenetdet.runs import STATE_FILE
from mobilenetdet.training.ema import EmaWeights


class RunState:
    """Everything that changes during a run: weights, optimizer, averages, epoch, history.

    Attributes:
        epoch: epochs that are complete.
        best: the best validation figure so far, -1 before the first.
        history: one dict of numbers a complete epoch.
    """

    def __init__(self, model: keras.Model, ema: EmaWeights, run_dir: Path) -> None:
        """Describes a run before its first epoch; see `restore`."""
        self.model, self.ema, self.run_dir = model, ema, run_dir
        self.epoch, self.best = 0, -1.0
        self.history: list[dict[str, float]] = []

    def save(self) -> None:
        """Writes the state; a crash in between leaves the previous one."""
        progress = {"epoch": self.epoch, "best": self.best, "history": self.history}
        arrays = {f"model_{i:04d}": ops.convert_to_numpy(v) for i, v in _numbered(self.model)}
        arrays |= {
            f"optimizer_{i:04d}": ops.convert_to_numpy(v) for i, v in _numbered(self._optimizer)
        }
        arrays |= self.ema.state()
        arrays["progress"] = np.array(json.dumps(progress))
        with atomic_write(self.run_dir / STATE_FILE) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)

    def restore(self) -> bool:
        """Reads the state if there is one.

        Returns:
            Whether there was one.

        Raises:
            ValueError: it was written by another model or optimizer.
        """
        path = self.run_dir / STATE_FILE
        if not path.is_file():
            return False
        with np.load(path) as file:
            arrays = dict(file)
        for prefix, owner in (("model", self.model), ("optimizer", self._optimizer)):
            _assign(owner, arrays, prefix, path)
        if self.ema.momentum:
            self.ema.restore(arrays)
        progress = json.loads(str(arrays["progress"]))
        self.epoch, self.best = progress["epoch"], progress["best"]
        self.history = progress["history"]
        return True

    def save_weights(self, name: str) -> None:
        """Writes the averaged weights for later commands, loadable under every backend.

        What the optimizer knows is in the state, and would be twice as large as they are.
        """
        temporary = self.run_dir / f".tmp.{name}"
        with self.ema.applied(), _optimizer_aside(self.model):
            self.model.save_weights(temporary)
        os.replace(temporary, self.run_dir / name)

    def load_weights(self, name: str) -> None:
        """Loads weights that `save_weights` wrote, for measuring; the state stays on disk."""
        with _optimizer_aside(self.model):
            self.model.load_weights(self.run_dir / name)

    @property
    def _optimizer(self) -> keras.optimizers.Optimizer:
        optimizer = self.model.optimizer
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        return optimizer


@contextlib.contextmanager
def _optimizer_aside(model: keras.Model) -> Iterator[None]:
    """Detaches the optimizer, so that weight files are written and read without its variables."""
    optimizer, model.optimizer = model.optimizer, None
    try:
        yield
    finally:
        model.optimizer = optimizer


def _numbered(owner: keras.Model | keras.optimizers.Optimizer) -> list[tuple[int, object]]:
    if not isinstance(owner, keras.Model):
        return list(enumerate(owner.variables))
    # The states of random generators (dropout) are variables, but no weights.
    seeds = [v for v in owner.variables if "seed_generator" in v.path]
    return list(enumerate([*owner.weights, *seeds]))


def _assign(owner: object, arrays: dict[str, np.ndarray], prefix: str, path: Path) -> None:
    for index, variable in _numbered(owner):
        array = arrays.get(f"{prefix}_{index:04d}")
        if array is None or array.shape != tuple(variable.shape):
            found = "nothing" if array is None else f"shape {array.shape}"
            raise ValueError(
                f"{path} holds {found} for {variable.path} of shape {tuple(variable.shape)}; "
                "it belongs to another model: choose another run directory"
            )
        variable.assign(array)
