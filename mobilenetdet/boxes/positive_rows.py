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
        self._batch, self._num_anchors = ops.shape(positive)
        keeps_all = keras.backend.backend() != "tensorflow"
        self._index = None if keeps_all else ops.nonzero(flat)[0]
        weights = ops.cast(flat, "float32")
        self.weights = weights if keeps_all else ops.take(weights, self._index)

    def take(self, values: Tensor) -> Tensor:
        """Takes the rows of [B, A, ...]: [P, ...]."""
        flat = ops.reshape(values, (-1, *values.shape[2:]))
        return flat if self._index is None else ops.take(flat, self._index, axis=0)

    def take_pairs(self, values: Tensor) -> Tensor:
        """Takes from [B, N, A] what belongs to each row and each object of its image: [P, N]."""
        if self._index is None:
            return ops.reshape(ops.transpose(values, (0, 2, 1)), (-1, ops.shape(values)[1]))
        count, num_anchors = ops.shape(values)[1], self._num_anchors
        image = self._index // num_anchors
        first = image * count * num_anchors + self._index % num_anchors
        steps = ops.arange(count, dtype="int32") * num_anchors
        return ops.take(ops.reshape(values, (-1,)), first[:, None] + steps)

    def put(self, values: Tensor) -> Tensor:
        """Puts int32 values [P] where their rows came from: [B, A], 0 elsewhere."""
        shape = (self._batch, self._num_anchors)
        if self._index is not None:
            nothing = ops.zeros((self._batch * self._num_anchors,), dtype="int32")
            values = ops.scatter_update(nothing, self._index[:, None], values)
        return ops.reshape(values, shape)

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
