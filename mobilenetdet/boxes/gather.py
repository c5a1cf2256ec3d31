"""Gathering along axis 1, the top-k anchors, and the anchors with an object."""

from __future__ import annotations

import keras
from keras import ops

from mobilenetdet.boxes.geometry import Tensor

# Anchors a group in the search for the largest values: the first that needs no padding, which
# would copy all of them, or the first of all.
_GROUPS = (32, *range(48, 15, -1))


def batched_gather(values: Tensor, index: Tensor) -> Tensor:
    """Gathers rows along axis 1, like `tf.gather(..., batch_dims=1)`.

    One flat `ops.take` over the rows of all images: `ops.take_along_axis` gathers value by value
    and transposes first, which is several times slower.

    Args:
        values: [B, M, ...].
        index: int [B, K], rows of each image.

    Returns:
        [B, K, ...].

    Example: of ((a, b, c), (d, e, f)) the index ((2, 0), (1, 1)) takes ((c, a), (e, e)).
    """
    batch, count = ops.shape(values)[:2]
    first = ops.arange(batch, dtype="int32")[:, None] * count
    flat = ops.reshape(values, (-1, *values.shape[2:]))
    return ops.take(flat, first + ops.cast(index, "int32"), axis=0)


def top_k_anchors(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Finds the largest values along the last axis, of equals the first: `ops.top_k`, but faster.

    The largest k values lie in the k groups that have the largest maxima. On a CPU that is several
    times faster than a heap of k over a hundred thousand anchors.

    Args:
        values: float [B, N, A], none below -1; A is known.
        count: k, at most A.

    Returns:
        The values [B, N, k], falling, and their int32 indices.
    """
    (batch, rows), length = ops.shape(values)[:2], values.shape[-1]
    size = next((size for size in _GROUPS if length % size == 0), _GROUPS[0])
    padding = -length % size
    if padding:
        values = ops.pad(values, ((0, 0), (0, 0), (0, padding)), constant_values=-2.0)
    num_groups = (length + padding) // size
    groups = ops.reshape(values, (batch, rows, num_groups, size))
    # In a graph of TensorFlow the number of rows is a tensor.
    fewer = min if isinstance(count, int) else ops.minimum
    _, best = ops.top_k(ops.max(groups, axis=-1), fewer(count, num_groups))
    best = ops.sort(ops.cast(best, "int32"), axis=-1)  # [B, N, k]
    best = ops.reshape(best, (batch * rows, -1))
    as_images = ops.reshape(groups, (batch * rows, num_groups, size))
    members = batched_gather(as_images, best)  # [B * N, k, group]
    # Multiplied before the axis is added: where a tensor is reshaped twice, LiteRT 2.3 computes in
    # place on one of the two, and the other changes with it.
    places = (best * size)[..., None] + ops.arange(size, dtype="int32")
    flat = (batch, rows, -1)
    top, inner = ops.top_k(ops.reshape(members, flat), count)
    inner = ops.cast(inner, "int32")
    return top, ops.take_along_axis(ops.reshape(places, flat), inner, axis=-1)


class PositiveAnchors:
    """The P positive anchors of a batch, and gathering values at them.

    Of a hundred thousand anchors a few hundred are positive, so losses are computed at these alone.
    TensorFlow's graphs allow a P that differs from batch to batch. JAX needs static shapes: there P
    is B * A, and anchors that are not positive have weight 0.

    Attributes:
        weights: float32 [P], 1 for a positive anchor, else 0.
    """

    def __init__(self, positive: Tensor) -> None:
        """Selects the positive anchors, bool [B, A]."""
        flat = ops.reshape(positive, (-1,))
        self._batch, self._num_anchors = ops.shape(positive)
        keeps_all = keras.backend.backend() != "tensorflow"
        self._index = None if keeps_all else ops.nonzero(flat)[0]
        weights = ops.cast(flat, "float32")
        self.weights = weights if keeps_all else ops.take(weights, self._index)

    def take(self, values: Tensor) -> Tensor:
        """Gathers values [B, A, ...] at the positive anchors: [P, ...]."""
        flat = ops.reshape(values, (-1, *values.shape[2:]))
        return flat if self._index is None else ops.take(flat, self._index, axis=0)

    def take_pairs(self, values: Tensor) -> Tensor:
        """Gathers pairwise values [B, N, A] at the positive anchors: [P, N]."""
        if self._index is None:
            return ops.reshape(ops.transpose(values, (0, 2, 1)), (-1, ops.shape(values)[1]))
        count, num_anchors = ops.shape(values)[1], self._num_anchors
        image = self._index // num_anchors
        first = image * count * num_anchors + self._index % num_anchors
        steps = ops.arange(count, dtype="int32") * num_anchors
        return ops.take(ops.reshape(values, (-1,)), first[:, None] + steps)

    def put(self, values: Tensor) -> Tensor:
        """Scatters int32 values [P] back to their anchors: [B, A], 0 elsewhere."""
        shape = (self._batch, self._num_anchors)
        if self._index is not None:
            nothing = ops.zeros((self._batch * self._num_anchors,), dtype="int32")
            values = ops.scatter_update(nothing, self._index[:, None], values)
        return ops.reshape(values, shape)

    def take_objects(self, gt_index: Tensor, values: Tensor) -> Tensor:
        """Gathers values [B, N, ...] of the objects matched by index [B, A]: [P, ...]."""
        count = ops.shape(values)[1]
        first = ops.arange(self._batch, dtype="int32")[:, None] * count
        return ops.take(
            ops.reshape(values, (-1, *values.shape[2:])), self.take(gt_index + first), axis=0
        )

    def sum(self, losses: Tensor) -> Tensor:
        """Sums losses [P] over the positive anchors."""
        return ops.sum(losses * self.weights)
