"""Devices that share a batch: sums over all of them.

On TensorFlow each replica of a strategy computes with its part of the batch, and what is a sum over
the batch has to be summed over the replicas. On JAX an array is that of the whole batch, wherever
its parts lie.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from mobilenetdet.boxes.geometry import Tensor


def num_replicas() -> int:
    """Returns how many replicas share the batch of the code that is running, 1 on JAX."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def sum_over_replicas(value: Tensor) -> Tensor:
    """Sums a tensor of each replica; on one device, and on JAX, it is returned as it is."""
    if num_replicas() == 1:
        return value
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    # In the scope of a strategy, but in none of its replicas: while a model is built.
    return value if context is None else context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def count_over_replicas(weights: Tensor) -> Tensor:
    """Sums weights over the whole batch, at least 1: what a loss is divided by."""
    return ops.maximum(ops.stop_gradient(sum_over_replicas(ops.sum(weights))), 1.0)


def fill_rows(images: np.ndarray) -> np.ndarray:
    """Repeats the last image until JAX can divide the batch among its devices.

    Args:
        images: [B, ...], B at least 1.

    Returns:
        [B', ...]; B' is B where there is one device.
    """
    distribution = keras.distribution.distribution()
    count = 1 if distribution is None else distribution.device_mesh.devices.size
    missing = -len(images) % count
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images
