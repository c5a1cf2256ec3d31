"""What the model tests need to run on TensorFlow and on JAX."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import ops

BACKEND = keras.backend.backend()

if BACKEND == "jax":
    import jax

    # These tests compile many small functions and run each of them a few times.
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture
def tensorflow_only() -> None:
    """Skips a test of what is done on TensorFlow alone."""
    if BACKEND != "tensorflow":
        pytest.skip("about TensorFlow's kernels")


@pytest.fixture
def gradients() -> Callable[..., list[np.ndarray]]:
    """Gives gradients(function, *arrays) of a scalar function, one for each array."""
    return _tensorflow_gradients if BACKEND == "tensorflow" else _jax_gradients


def _tensorflow_gradients(function: Callable, *arrays: np.ndarray) -> list[np.ndarray]:
    import tensorflow as tf

    tensors = [tf.convert_to_tensor(array) for array in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(*tensors)
    found = tape.gradient(value, tensors, unconnected_gradients="zero")
    return [ops.convert_to_numpy(gradient) for gradient in found]


def _jax_gradients(function: Callable, *arrays: np.ndarray) -> list[np.ndarray]:
    import jax

    found = jax.jit(jax.grad(function, argnums=tuple(range(len(arrays)))))(*arrays)
    return [ops.convert_to_numpy(gradient) for gradient in found]
