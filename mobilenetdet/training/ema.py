"""Exponential moving average (EMA) of the weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import numpy as np
from keras import ops


class EmaWeights(keras.callbacks.Callback):
    """Averages the weights every few steps, batch normalisation statistics included.

    Keras' own `use_ema` fails in a second `fit` on JAX, so the averages are kept here. The
    momentum rises with the updates, min(momentum, (1 + update) / (10 + update)), so that a short
    run is not dominated by its initial weights. The averages are numpy arrays: some hundred small
    operations one by one cost ten times as much in an eager framework.
    """

    def __init__(self, model: keras.Model, momentum: float, *, every: int = 4) -> None:
        """Averages the weights of a built model.

        Args:
            model: the model that `fit` trains.
            momentum: share that the average keeps over one step; 0 means no averaging.
            every: steps between two updates; four steps change little.
        """
        super().__init__()
        self.momentum, self.every, self.step = momentum, every, 0
        self.variables = [v for v in model.weights if "float" in str(v.dtype)]
        self.averages = self._current() if momentum else []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Moves the averages towards the weights."""
        self.step += 1
        if not self.momentum or self.step % self.every:
            return
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        update = self.step // self.every
        keep = min(self.momentum**self.every, (1 + update) / (10 + update))
        for average, variable in zip(self.averages, self.variables, strict=True):
            average += (1.0 - keep) * (ops.convert_to_numpy(variable) - average)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Swaps the averages into the model inside the `with` block."""
        if not self.momentum:
            yield
            return
        weights = self._current()
        self._assign(self.averages)
        try:
            yield
        finally:
            self._assign(weights)

    def state(self) -> dict[str, np.ndarray]:
        """Returns the averages and the step as arrays, for `restore`."""
        arrays = {f"ema_{i:04d}": average.copy() for i, average in enumerate(self.averages)}
        return {**arrays, "ema_step": np.array(self.step)}

    def restore(self, state: dict[str, np.ndarray], source: str = "the state") -> None:
        """Restores the averages and the step from `state`.

        Args:
            state: what `state` returned.
            source: of it, for the message.

        Raises:
            ValueError: an average is absent or has another shape; names its weight.
        """
        step = state.get("ema_step")
        found = [state.get(f"ema_{i:04d}") for i in range(len(self.averages))]
        for variable, average, array in zip(self.variables, self.averages, found, strict=True):
            if array is None or array.shape != average.shape or array.dtype.kind != "f":
                raise ValueError(
                    f"{source} holds no average of {variable.path} of shape {average.shape}; it "
                    "belongs to another model: choose another run directory"
                )
        if step is None or step.shape or step.dtype.kind not in "iu":
            raise ValueError(f"{source} does not say after which step it is; copy it again")
        self.step, self.averages = int(step), [array.copy() for array in found]

    def _current(self) -> list[np.ndarray]:
        # A copy: the buffer of a variable is reused by the next step.
        return [np.array(ops.convert_to_numpy(variable)) for variable in self.variables]

    def _assign(self, values: list[np.ndarray]) -> None:
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)
