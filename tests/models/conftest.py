"""What the model tests need to run on TensorFlow and on JAX."""

import functools
from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import ops

from mobilenetdet.boxes.kinds import PADDING

BACKEND = keras.backend.backend()

if BACKEND == "jax":
    import jax

    # These tests compile many small functions and run each of them a few times.
    jax.config.update("jax_disable_most_optimizations", True)


# Row, kind, class, box.
Objects = list[tuple[int, int, int, tuple[float, float, float, float]]]


@pytest.fixture(scope="session")
def pack_targets() -> Callable[..., dict[str, np.ndarray]]:
    """Gives pack_targets(objects of each image, number of rows): the targets of a batch."""
    return _pack_targets


def _pack_targets(images: list[Objects], count: int) -> dict[str, np.ndarray]:
    boxes = np.zeros((len(images), count, 4), np.float32)
    classes = np.full((len(images), count), -1, np.int32)
    kinds = np.full((len(images), count), PADDING, np.int32)
    for index, objects in enumerate(images):
        for row, kind, klass, box in objects:
            boxes[index, row], kinds[index, row], classes[index, row] = box, kind, klass
    return {"boxes": boxes, "classes": classes, "kinds": kinds}


@pytest.fixture
def tensorflow_only() -> None:
    """Skips a test of what is done on TensorFlow alone."""
    if BACKEND != "tensorflow":
        pytest.skip("about TensorFlow's kernels")


@pytest.fixture(scope="session")
def compiled() -> Callable[[Callable], Callable]:
    """Compiles a function where that is much faster than running it as it is: on JAX."""
    if BACKEND == "jax":
        import jax

        return functools.cache(jax.jit)
    return lambda function: function


@pytest.fixture(scope="session")
def gradients() -> Callable[..., list[np.ndarray]]:
    """Gives gradients(function, *arrays) of a scalar function, one for each array of floats."""
    return _tensorflow_gradients if BACKEND == "tensorflow" else _jax_gradients


def _tensorflow_gradients(function: Callable, *arrays: np.ndarray) -> list[np.ndarray]:
    import tensorflow as tf

    tensors = [tf.convert_to_tensor(array) for array in arrays]
    floats = [tensor for tensor in tensors if tensor.dtype.is_floating]
    with tf.GradientTape() as tape:
        tape.watch(floats)
        value = function(*tensors)
    found = tape.gradient(value, floats, unconnected_gradients="zero")
    return [ops.convert_to_numpy(gradient) for gradient in found]


def _jax_gradients(function: Callable, *arrays: np.ndarray) -> list[np.ndarray]:
    floats = tuple(i for i, array in enumerate(arrays) if np.issubdtype(array.dtype, np.floating))
    return [ops.convert_to_numpy(g) for g in _jax_gradient_of(function, floats)(*arrays)]


@functools.cache
def _jax_gradient_of(function: Callable, argnums: tuple[int, ...]) -> Callable:
    import jax

    return jax.jit(jax.grad(function, argnums=argnums))


@pytest.fixture(scope="session")
def randomise() -> Callable[..., None]:
    """Gives randomise(model, seed): weights under which activations neither vanish nor saturate."""
    return _randomise


def _randomise(model: keras.Model, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        shapes = [v.shape for v in layer.weights]
        if isinstance(layer, keras.layers.BatchNormalization):
            values = [rng.uniform(0.5, 1.5, s) for s in shapes]
            values[1], values[2] = (rng.normal(size=s) * 0.2 for s in shapes[1:3])
        else:
            fans = [_fan_in(layer.name, shape) for shape in shapes]
            values = [
                rng.normal(size=s) * (2 / n) ** 0.5 for s, n in zip(shapes, fans, strict=True)
            ]
        layer.set_weights(values)


def _fan_in(layer_name: str, shape: tuple[int, ...]) -> int:
    if len(shape) == 1:  # a bias
        return 1
    return shape[0] * shape[1] * (1 if "_dw_" in layer_name else shape[2])
