"""Weights that are numbers: checked before they are saved, and when they are loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import keras
import numpy as np
from keras import ops


def first_non_finite(arrays: Iterable[tuple[str, np.ndarray]]) -> str | None:
    """Returns the name of the first array that holds NaN or infinity, or None.

    Example: of `[("a", [1.0]), ("b", [nan])]` it is "b".
    """
    return next((name for name, array in arrays if not np.isfinite(array).all()), None)


def named_weights(model: keras.Model) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the path and the values of each weight that is a number with a fraction."""
    for variable in model.weights:
        if "float" in str(variable.dtype):
            yield variable.path, ops.convert_to_numpy(variable)


def refuse_non_finite(model: keras.Model, source: str) -> None:
    """Refuses weights that were loaded and are of no use.

    Raises:
        ValueError: one holds NaN or infinity; names the source and the first such weight.
    """
    if bad := first_non_finite(named_weights(model)):
        raise ValueError(non_finite_text(source, bad))


def non_finite_text(source: str, name: str) -> str:
    """Says that a file holds weights of no use."""
    return (
        f"{source}: {name} holds NaN or infinity, so these weights are of no use; their training "
        "has diverged, or the file is damaged: take other weights"
    )
