"""Some rows of each image's array."""

from __future__ import annotations

from keras import ops

from mobilenetdet.boxes.geometry import Tensor


def take_rows(values: Tensor, index: Tensor) -> Tensor:
    """Takes rows of [B, M, ...] by int [B, K], image by image: [B, K, ...].

    They are looked up whole in one list of the rows of all images. `ops.take_along_axis` would
    look up each value, and bring all of them into another order first.

    Example: of ((a, b, c), (d, e, f)) the index ((2, 0), (1, 1)) takes ((c, a), (e, e)).
    """
    batch, count = ops.shape(values)[:2]
    first = ops.arange(batch, dtype="int32")[:, None] * count
    flat = ops.reshape(values, (-1, *values.shape[2:]))
    return ops.take(flat, first + ops.cast(index, "int32"), axis=0)
