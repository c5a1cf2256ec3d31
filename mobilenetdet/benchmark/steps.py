"""Shared by all timed steps: the backend check, waiting for results."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

# Small enough to leave the weights as they are, so that every step does the same work.
LEARNING_RATE = 1e-6


def require_tensorflow() -> None:
    """Refuses another backend.

    Raises:
        ValueError: Keras does not run on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"the benchmark times TensorFlow, and KERAS_BACKEND is {keras.backend.backend()!r}"
        )


def finish(outputs: Any) -> None:
    """Waits for results that a GPU may still be working on."""
    keras.tree.map_structure(ops.convert_to_numpy, outputs)
