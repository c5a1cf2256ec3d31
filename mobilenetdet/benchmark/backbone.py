"""Times of the backbone's train step, beside Keras 2's and Keras 3's own layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from mobilenetdet.benchmark.steps import LEARNING_RATE, finish, require_tensorflow
from mobilenetdet.benchmark.timing import (
    REFERENCE,
    Rounds,
    Step,
    median_milliseconds,
    tf_keras_installed,
)
from mobilenetdet.models.layers import (
    DepthwiseConv2D,
    FusedBatchNormalization,
    PointwiseConv2D,
    layer_policy,
)
from mobilenetdet.models.mobilenet_v1 import build_mobilenet_v1

OURS, OURS_WITH_KERAS_LAYERS = "mobilenetdet", "mobilenetdet, Keras' layers"
_KERAS_LAYERS: dict[type, type] = {
    FusedBatchNormalization: keras.layers.BatchNormalization,
    PointwiseConv2D: keras.layers.Conv2D,
    DepthwiseConv2D: keras.layers.DepthwiseConv2D,
}


@dataclass(frozen=True)
class BackboneTime:
    """One train step of MobileNetV1 alpha 1.0: forward, backward, update.

    Attributes:
        network: whose layers ran.
        batch_size: images a step.
        image_size: (height, width), pixels.
        precision: Keras' name of the arithmetic.
        milliseconds: median.
        ratio: to `REFERENCE` on the same input in float32; None without tf_keras.
    """

    network: str
    batch_size: int
    image_size: tuple[int, int]
    precision: str
    milliseconds: float
    ratio: float | None


def time_backbone(
    batch_size: int, image_size: tuple[int, int], precisions: tuple[str, ...], rounds: Rounds
) -> list[BackboneTime]:
    """Times a train step of our backbone, of the same with Keras' own layers, and of tf_keras.

    Args:
        batch_size: images a step.
        image_size: (height, width), pixels.
        precisions: of ours; tf_keras runs in float32.
        rounds: how often.

    Raises:
        ValueError: Keras does not run on TensorFlow.
    """
    require_tensorflow()
    rng = np.random.default_rng(0)
    pixels = rng.uniform(-1, 1, (batch_size, *image_size, 3))
    images = ops.convert_to_tensor(pixels, dtype="float32")
    steps: dict[tuple[str, str], Step] = {}  # by network and precision
    if tf_keras_installed():
        steps[REFERENCE, "float32"] = _tf_keras_step(images)
    for precision in precisions:
        with layer_policy(precision):
            taps = build_mobilenet_v1((*image_size, 3), strides=(32,))
        ours = keras.Model(taps.input, taps.output["stride_32"])
        for network, model in ((OURS_WITH_KERAS_LAYERS, with_keras_layers(ours)), (OURS, ours)):
            optimizer = keras.optimizers.SGD(LEARNING_RATE)
            steps[network, precision] = _train_step(model, optimizer, images)
    found = median_milliseconds(steps, rounds)
    results = []
    for (network, precision), milliseconds in found.items():
        reference = found.get((REFERENCE, "float32"))
        ratio = milliseconds / reference if reference else None
        results.append(
            BackboneTime(network, batch_size, image_size, precision, milliseconds, ratio)
        )
    return results


def with_keras_layers(model: keras.Model) -> keras.Model:
    """Rebuilds a functional model, with fresh weights, of the layers that ours derive from."""

    def plain(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = _KERAS_LAYERS.get(type(layer), type(layer))
        return kind.from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=plain)


def _tf_keras_step(images: Any) -> Step:
    import tf_keras

    shape = tuple(images.shape[1:])
    model = tf_keras.applications.MobileNet(input_shape=shape, include_top=False, weights=None)
    return _train_step(model, tf_keras.optimizers.SGD(LEARNING_RATE), images)


def _train_step(model: Any, optimizer: Any, images: Any) -> Step:
    """Returns one step for Keras 2 and 3; `train_on_batch` of Keras 2 makes a dataset each time."""
    import tensorflow as tf

    @tf.function(jit_compile=False)
    def step(images: tf.Tensor) -> tf.Tensor:
        """Runs forward, backward and update, for a loss that costs nothing."""
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(tf.cast(model(images, training=True), tf.float32)))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return lambda: finish(step(images))
