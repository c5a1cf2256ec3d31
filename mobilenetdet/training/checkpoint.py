"""Checkpoints: the whole state of a run in one file for resuming, and weight files for users."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from mobilenetdet.files.atomic_write import atomic_write
from mobilenetdet.models.weight_file import (
    check_weight_file,
    first_non_finite,
    non_finite_text,
    refuse_inflated,
    weights_to_bytes,
)
from mobilenetdet.models.weights import named_weights, refuse_non_finite
from mobilenetdet.runs import LAST_WEIGHTS, STATE_FILE
from mobilenetdet.training.ema import EmaWeights
from mobilenetdet.training.optimizers import inner_optimizer


@dataclass(frozen=True)
class RunFacts:
    """Identifies the data and the measurement that a checkpoint belongs to.

    Attributes:
        steps: of an epoch; the learning rate goes by the number of steps.
        records: identifies the content of the training records, "" where that is not known.
        measured_by: identifies how and on what the best figure was measured, or "".
        teachers: identifies the weights that are learnt from, or "".
    """

    steps: int = 0
    records: str = ""
    measured_by: str = ""
    teachers: str = ""


class RunState:
    """Everything that changes during a run: weights, optimizer, averages, epoch, history.

    Attributes:
        facts: of the run as it goes on now.
        epoch: epochs that are complete.
        best: the best validation figure so far, -1 before the first.
        best_is_stale: whether that was measured in another way than metrics to come.
        history: one dict of numbers a complete epoch.
    """

    def __init__(
        self, model: keras.Model, ema: EmaWeights, run_dir: Path, facts: RunFacts = RunFacts()
    ) -> None:
        """Describes a run before its first epoch; see `restore`."""
        self.model, self.ema, self.run_dir, self.facts = model, ema, run_dir, facts
        self.epoch, self.best, self.best_is_stale = 0, -1.0, False
        self.history: list[dict[str, float]] = []

    def save(self) -> None:
        """Writes the state; a crash in between leaves the previous one.

        Raises:
            ValueError: a weight is NaN or infinite; nothing is written.
        """
        self._refuse_non_finite()
        progress = {
            "epoch": self.epoch,
            "best": self.best,
            "history": self.history,
            "facts": asdict(self.facts),
        }
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
            ValueError: it is damaged, was written by another model or optimizer, or belongs to
                other training records or teachers.
        """
        path = self.run_dir / STATE_FILE
        if not path.is_file():
            return False
        arrays, progress = read_state(path)
        before = progress["facts"]
        if before.records and self.facts.records not in ("", before.records):
            raise ValueError(
                f"{path} belongs to records with another content ({before.records}, not "
                f"{self.facts.records}); name those with --data.records_dir (of a classifier "
                "--data.data_dir), or choose another --run_dir"
            )
        if before.teachers and self.facts.teachers not in ("", before.teachers):
            pairs = itertools.zip_longest(before.teachers.split(), self.facts.teachers.split())
            others = [str(number) for number, (old, new) in enumerate(pairs, 1) if old != new]
            raise ValueError(
                f"{path} belongs to other train.teachers (number {', '.join(others)}: weights "
                f"{before.teachers}, not {self.facts.teachers}); name those of its "
                "config.json, as they were then, or choose another --run_dir"
            )
        for prefix, owner in (("model", self.model), ("optimizer", self._optimizer)):
            _assign(owner, arrays, prefix, path)
        if self.ema.momentum:
            self.ema.restore(arrays, str(path))
        self._refuse_non_finite(path)
        self.epoch, self.best = progress["epoch"], progress["best"]
        self.history = progress["history"]
        if before.steps not in (0, self.facts.steps):
            self._count_steps_anew()
        self.best_is_stale = before.measured_by not in ("", self.facts.measured_by)
        return True

    def describe_resume(self, epochs: int) -> str:
        """Says where a run of so many epochs goes on."""
        if self.epoch < epochs:
            return f"resuming after epoch {self.epoch} of {epochs}"
        done = f"all {self.epoch} epochs are" if self.epoch > 1 else "the only epoch is"
        return f"{done} done; --train.epochs {2 * self.epoch} trains on"

    def save_weights(self, name: str) -> None:
        """Writes the averaged weights for later commands, loadable under every backend.

        What the optimizer knows is in the state, and would be twice as large as they are.

        Raises:
            ValueError: a weight is NaN or infinite; nothing is written.
        """
        with self.ema.applied(), _optimizer_aside(self.model):
            self._refuse_non_finite()
            content = weights_to_bytes(self.model)
        with atomic_write(self.run_dir / name) as temporary:
            temporary.write_bytes(content)

    def load_weights(self, name: str) -> None:
        """Loads weights that `save_weights` wrote, for measuring; the state stays on disk.

        Raises:
            ValueError: the file is damaged, or a weight is NaN or infinite.
        """
        path = self.run_dir / name
        check_weight_file(path)
        with _optimizer_aside(self.model):
            try:
                self.model.load_weights(path)
            except (ValueError, OSError, KeyError, RuntimeError) as error:
                raise ValueError(f"{path} is damaged ({error}); copy it again") from None
        refuse_non_finite(self.model, str(path))

    def _refuse_non_finite(self, source: Path | None = None) -> None:
        """Refuses weights and averages that are no numbers, read from a file or to be written."""
        averages = zip(self.ema.variables, self.ema.averages, strict=False)
        bad = first_non_finite(named_weights(self.model)) or first_non_finite(
            (f"average of {variable.path}", average) for variable, average in averages
        )
        if bad and source:
            raise ValueError(non_finite_text(str(source), bad))
        if bad:
            raise ValueError(diverged_text(bad))

    def _count_steps_anew(self) -> None:
        """Sets the number of steps to that of so many epochs of today's length."""
        optimizer = self._optimizer
        for each in {id(o): o for o in (optimizer, inner_optimizer(optimizer))}.values():
            each.iterations.assign(self.epoch * self.facts.steps)

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


def _numbered(owner: keras.Model | keras.optimizers.Optimizer) -> list[tuple[int, Any]]:
    if not isinstance(owner, keras.Model):
        return list(enumerate(owner.variables))
    # The states of random generators (dropout) are variables, but no weights.
    seeds = [v for v in owner.variables if "seed_generator" in v.path]
    return list(enumerate([*owner.weights, *seeds]))


def _assign(owner: object, arrays: dict[str, np.ndarray], prefix: str, path: Path) -> None:
    for index, variable in _numbered(owner):
        array = arrays.get(f"{prefix}_{index:04d}")
        if array is None or array.shape != tuple(variable.shape) or array.dtype.kind not in "fiub":
            found = "nothing" if array is None else f"{array.dtype} of shape {array.shape}"
            raise ValueError(
                f"{path} holds {found} for {variable.path} of shape {tuple(variable.shape)}; "
                "it belongs to another model: choose another run directory"
            )
        variable.assign(array)


def read_state(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads the arrays of a state, and its progress: epoch, best, history, facts (`RunFacts`).

    Raises:
        ValueError: the file is damaged, or no state.
    """
    path.open("rb").close()  # what the system refuses is no damage
    try:
        with zipfile.ZipFile(path) as archive:
            refuse_inflated(archive, path)
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        progress = _checked_progress(json.loads(str(arrays.pop("progress"))))
    except Exception as error:  # what zipfile and numpy raise depends on where it is damaged
        raise ValueError(
            f"{path} is damaged, or not the state of a run ({error}); copy it again, or begin "
            f"another run with the weights in {LAST_WEIGHTS}"
        ) from None
    return arrays, progress


def _checked_progress(progress: dict[str, Any]) -> dict[str, Any]:
    """Refuses values of other types, which would be found out hours later.

    Raises:
        KeyError: one is absent.
        TypeError: one is of another type.
        ValueError: one is out of range.
    """
    epoch, best, history = int(progress["epoch"]), float(progress["best"]), progress["history"]
    if epoch < 0 or not math.isfinite(best):
        raise ValueError(f"after epoch {epoch}, best {best:g}")
    if history and [row["epoch"] for row in history] != list(range(1, epoch + 1)):
        raise ValueError(f"the history is not that of {epoch} epochs")
    for row in history:
        if not all(type(value) in (int, float) for value in row.values()):
            raise TypeError("the history holds what is no number")
    facts = RunFacts(**progress.get("facts", {}))
    if "+" in str(facts.records):  # an earlier version wrote a classifier's test images there, too
        records, _, tests = facts.records.partition("+")
        facts = replace(facts, records=records, measured_by=tests)
    texts = (facts.records, facts.measured_by, facts.teachers)
    if type(facts.steps) is not int or not all(type(text) is str for text in texts):
        raise TypeError(f"{facts} is of other types")
    return {"epoch": epoch, "best": best, "history": history, "facts": facts}


def diverged_text(name: str) -> str:
    """Says that training has left the numbers, and what helps."""
    return (
        f"{name} is NaN or infinite: training has diverged. The run directory keeps the state "
        "after the last complete epoch, if there was one; lower train.learning_rate, or clip the "
        "gradients (more: train.clip_norm, 0 is not at all), and give the command again, or train "
        "in float32 (where it was mixed_float16, in another --run_dir)"
    )
