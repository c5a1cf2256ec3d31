"""Keras layers with a faster training step on TensorFlow; policy and seed of new layers.

The layers have the variables, results and gradients of the Keras layers that they derive from; on
other backends they are those layers. What they change was measured for MobileNetV1 on x86 CPUs:

* Keras 3 composes batch normalisation of small operations; TensorFlow has it as one kernel.
* A 1x1 convolution in bfloat16 reaches the matrix units (AMX) as a matrix product only: its weight
  gradient is five to seven times as fast.
* The input gradient of a strided depthwise convolution is 13 to 18 times slower in bfloat16 than
  in float32.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

Tensor = Any


@contextlib.contextmanager
def layer_policy(name: str) -> Iterator[None]:
    """Sets Keras' policy for the layers that are made in the `with` block.

    Raises:
        ValueError: Keras is set to channels_first, by a keras.json for example.
    """
    if (found := keras.config.image_data_format()) != "channels_last":
        raise ValueError(
            f"Keras' image_data_format is {found}; set it to channels_last in ~/.keras/keras.json, "
            "or with keras.config.set_image_data_format"
        )
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextlib.contextmanager
def layer_seed(seed: int) -> Iterator[None]:
    """Seeds the layers that are made in the `with` block.

    Layers and initializers without a seed of their own draw one from Python's generator.
    """
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


def nested_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns all layers inside a layer or model, each once, outer ones before their inner ones."""
    found: dict[int, keras.layers.Layer] = {}
    waiting = [layer]
    while waiting:
        inner = _inner_layers(waiting.pop(0))
        fresh = {id(item): item for item in inner if id(item) not in found}
        found |= fresh
        waiting = [*fresh.values(), *waiting]
    return list(found.values())


def innermost_layers(model: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns the layers inside a layer or model that hold variables and no other layers."""
    return [layer for layer in nested_layers(model) if layer.weights and not _inner_layers(layer)]


def _inner_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns the layers that are attributes of a layer, or stand in lists or dicts there."""
    if isinstance(layer, keras.Model):
        return layer.layers
    values = keras.tree.flatten(list(vars(layer).values()))
    return list({id(v): v for v in values if isinstance(v, keras.layers.Layer)}.values())


def _on_tensorflow() -> bool:
    return keras.backend.backend() == "tensorflow"


@keras.saving.register_keras_serializable("mobilenetdet")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation by TensorFlow's fused kernel, for [B, H, W, C] tensors.

    Running statistics follow Keras 3: the biased variance of the batch. Inference in float32 stays
    with Keras: with ImageNet weights the fused kernel shifts outputs by up to 1e-4.
    """

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor = None) -> Tensor:
        """Normalises by the batch (training) or by the running statistics."""
        fusable = _on_tensorflow() and len(inputs.shape) == 4 and self.axis in (-1, 3)
        exact = not training and self.compute_dtype == "float32"
        plain = not fusable or exact or mask is not None or not (self.scale and self.center)
        # The kernel measures one device's part of the batch, Keras all of it where it is asked to.
        if plain or (training and self.trainable and self.synchronized):
            return super().call(inputs, training=training, mask=mask)
        if training and self.trainable:
            return self._normalise_by_batch(inputs)
        return self._fused(
            inputs,
            mean=ops.convert_to_tensor(self.moving_mean),
            variance=ops.convert_to_tensor(self.moving_variance),
            is_training=False,
        )[0]

    def _normalise_by_batch(self, inputs: Tensor) -> Tensor:
        outputs, mean, variance = self._fused(inputs, is_training=True)
        count = ops.cast(ops.prod(ops.shape(inputs)[:-1]), variance.dtype)
        # The kernel returns the unbiased variance.
        variance = variance * (count - 1.0) / count
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return outputs

    def _fused(self, inputs: Tensor, **options: Any) -> tuple[Tensor, Tensor, Tensor]:
        import tensorflow as tf

        return tf.compat.v1.nn.fused_batch_norm(
            inputs,
            ops.convert_to_tensor(self.gamma),
            ops.convert_to_tensor(self.beta),
            epsilon=self.epsilon,
            **options,
        )[:3]


@keras.saving.register_keras_serializable("mobilenetdet")
class PointwiseConv2D(keras.layers.Conv2D):
    """A 1x1 convolution, computed as a matrix product in training.

    Inference keeps the convolution, which exporters and graph optimisers recognise.
    """

    def __init__(self, filters: int, **options: Any) -> None:
        """Takes the options of `keras.layers.Conv2D`.

        Raises:
            ValueError: kernel size, strides, dilation or groups are not 1, or channels come first.
        """
        options.setdefault("kernel_size", 1)
        for name in ("kernel_size", "strides", "dilation_rate", "groups"):
            if options.get(name, 1) not in (1, (1, 1), [1, 1]):
                raise ValueError(f"{name} is {options[name]}; a pointwise convolution has 1")
        if options.get("data_format") == "channels_first":
            raise ValueError("data_format is channels_first; here channels come last")
        super().__init__(filters, **options)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Maps [B, H, W, C] to [B, H, W, filters]."""
        if not training or not _on_tensorflow():
            return super().call(inputs)
        shape = ops.shape(inputs)
        rows = ops.reshape(inputs, (-1, inputs.shape[-1]))
        kernel = ops.cast(ops.convert_to_tensor(self.kernel), inputs.dtype)[0, 0]
        outputs = ops.matmul(rows, kernel)
        if self.use_bias:
            outputs = outputs + ops.cast(ops.convert_to_tensor(self.bias), outputs.dtype)
        outputs = ops.reshape(outputs, (*shape[:-1], self.filters))
        return self.activation(outputs) if self.activation is not None else outputs


@keras.saving.register_keras_serializable("mobilenetdet")
class DepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """A depthwise convolution that trains in float32 where bfloat16 would be slow."""

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Maps [B, H, W, C] to [B, H', W', C * depth_multiplier]."""
        slow = _on_tensorflow() and self.compute_dtype == "bfloat16" and self.strides != (1, 1)
        if not (training and slow):
            return super().call(inputs)
        outputs = ops.depthwise_conv(
            ops.cast(inputs, "float32"),
            ops.cast(ops.convert_to_tensor(self.kernel), "float32"),
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
        )
        outputs = ops.cast(outputs, "bfloat16")
        if self.use_bias:
            outputs = outputs + ops.cast(ops.convert_to_tensor(self.bias), outputs.dtype)
        return self.activation(outputs) if self.activation is not None else outputs


def separable_layers(channels: int, name: str, momentum: float) -> list[keras.layers.Layer]:
    """Makes a depthwise-separable block: 3x3 and 1x1 convolutions, each normalised, with ReLU6.

    Args:
        channels: of the output.
        name: prefix of the layers' names.
        momentum: share of the running statistics that a training step keeps.
    """
    return [
        DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_dw"),
        FusedBatchNormalization(momentum=momentum, name=f"{name}_dw_bn"),
        keras.layers.ReLU(6.0, name=f"{name}_dw_relu"),
        PointwiseConv2D(channels, use_bias=False, name=f"{name}_pw"),
        FusedBatchNormalization(momentum=momentum, name=f"{name}_pw_bn"),
        keras.layers.ReLU(6.0, name=f"{name}_pw_relu"),
    ]
