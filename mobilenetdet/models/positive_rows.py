"""The anchors of a batch that learn an object."""

from __future__ import annotations

import keras
from keras import ops

from mobilenetdet.boxes.geometry import Tensor


class PositiveRows:
    """The anchors that learn an object, as P rows of an array.

    There are a few hundred of them among a hundred thousand anchors. A graph of TensorFlow can hold
    as many rows as there are. JAX needs to know their number beforehand: there all anchors
    are rows, and those without an object have a weight of 0.

    Attributes:
        weights: float32 [P], 1 where the row learns an object.
    """

    def __init__(self, positive: Tensor) -> None:
        """Chooses the rows of bool [B, A]."""
        flat = ops.reshape(positive, (-1,))
        self._batch = ops.shape(positive)[0]
        keeps_all = keras.backend.backend() != "tensorflow"
        self._index = None if keeps_all else ops.nonzero(flat)[0]
        weights = ops.cast(flat, "float32")
        self.weights = weights if keeps_all else ops.take(weights, self._index)

    def take(self, values: Tensor) -> Tensor:
        """Takes the rows of [B, A, ...]: [P, ...]."""
        flat = ops.reshape(values, (-1, *values.shape[2:]))
        return flat if self._index is None else ops.take(flat, self._index, axis=0)

    def take_objects(self, gt_index: Tensor, values: Tensor) -> Tensor:
        """Takes the object [B, N, ...] that each row learns, by its index [B, A]: [P, ...]."""
        count = ops.shape(values)[1]
        first = ops.arange(self._batch, dtype="int32")[:, None] * count
        return ops.take(
            ops.reshape(values, (-1, *values.shape[2:])), self.take(gt_index + first), axis=0
        )

    def sum(self, losses: Tensor) -> Tensor:
        """Sums losses [P] over the anchors that learn an object."""
        return ops.sum(losses * self.weights)
