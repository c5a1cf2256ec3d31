"""Contents of weight files and checkpoints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobilenetdet.files.text import why_no_file
from mobilenetdet.models.weight_file import read_weight_file
from mobilenetdet.runs import BEST_WEIGHTS, LAST_WEIGHTS, STATE_FILE

# Parts of a run's state, by how the names of their arrays begin.
STATE_PARTS = {"model": "weights", "optimizer": "optimizer", "ema": "averages"}


@dataclass(frozen=True)
class ArrayShape:
    """Shape and dtype of an array."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def count(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        """Size in memory."""
        return self.count * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class FileSummary:
    """Contents of a weight file or checkpoint.

    Attributes:
        path: of the file.
        arrays: by layer (weight files), or by array (states of runs).
        epoch: complete epochs, None for weight files.
        best: best value of the validation metric so far, below 0 before the first, None for weight
            files.
    """

    path: Path
    arrays: dict[str, list[ArrayShape]]
    epoch: int | None = None
    best: float | None = None

    @property
    def is_state(self) -> bool:
        """Whether this is the state of a run."""
        return self.epoch is not None

    def part(self, prefix: str) -> dict[str, list[ArrayShape]]:
        """Returns the arrays of one of `STATE_PARTS`."""
        return {
            name: shapes for name, shapes in self.arrays.items() if name.startswith(f"{prefix}_")
        }


def count_values(arrays: Mapping[str, Sequence[ArrayShape]]) -> tuple[int, int]:
    """Returns the number of values and of bytes of some arrays together."""
    shapes = [shape for group in arrays.values() for shape in group]
    return sum(s.count for s in shapes), sum(s.num_bytes for s in shapes)


def find_checkpoints(path: Path) -> list[Path]:
    """Lists the files of a run directory that hold weights; a file stands for itself.

    Raises:
        FileNotFoundError: nothing there.
    """
    if not path.is_dir():
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} {why_no_file(path)}; give a weight file or a run directory"
            )
        return [path]
    names = (BEST_WEIGHTS, LAST_WEIGHTS, STATE_FILE)
    found = [path / name for name in names if (path / name).is_file()]
    if not found:
        raise FileNotFoundError(f"{path} holds none of {', '.join(names)}; is it a run directory?")
    return found


def summarize_checkpoint(path: Path) -> FileSummary:
    """Reads a Keras weight file or the state of a run.

    Raises:
        FileNotFoundError: no such file.
        ValueError: of another kind, or damaged.
    """
    if path.suffix == ".npz":
        return _summarize_state(path)
    if path.suffix not in (".h5", ".keras"):
        raise ValueError(
            f"{path} is neither a Keras weight file (.h5, .weights.h5, .keras) nor a run's "
            f"{STATE_FILE}"
        )
    layers = read_weight_file(path)
    return FileSummary(path, {name: list(map(_describe, layers[name])) for name in layers})


def _summarize_state(path: Path) -> FileSummary:
    # Not at the top: it imports Keras, which takes seconds and says more than is asked for.
    from mobilenetdet.training.checkpoint import read_state

    arrays, progress = read_state(path)
    shapes = {name: [_describe(array)] for name, array in arrays.items()}
    return FileSummary(path, shapes, progress["epoch"], progress["best"])


def _describe(array: np.ndarray) -> ArrayShape:
    return ArrayShape(array.shape, str(array.dtype))
