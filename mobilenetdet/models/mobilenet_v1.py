"""MobileNetV1 (arXiv 1704.04861) with feature taps.

Layer names and variable shapes are those of `keras.applications.MobileNet`, so that its weight
files load unchanged.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import keras

from mobilenetdet.models.layers import (
    DepthwiseConv2D,
    FusedBatchNormalization,
    PointwiseConv2D,
    Tensor,
    nested_layers,
)

Activation = Literal["relu6", "leaky_relu"]

# Channels at alpha 1 of the stem and of the 13 depthwise-separable blocks.
STEM_CHANNELS = 32
BLOCK_CHANNELS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
# Name of the first convolution, with which those of its normalisation and activation begin.
STEM_LAYER = "conv1"
# Strides of the stem and of the blocks; the maps shrink to 1/32.
STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
# The last block of each stride.
TAP_BLOCKS = {8: 5, 16: 11, 32: 13}
# Slope of the leaky ReLU below zero, Darknet's.
_LEAKY_SLOPE = 0.1


def build_mobilenet_v1(
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    *,
    alpha: float = 1.0,
    strides: Sequence[int] = (8, 16, 32),
    batch_norm_momentum: float = 0.99,
) -> keras.Model:
    """Builds the convolutional part of MobileNetV1.

    Args:
        input_shape: (height, width, channels); height and width may be None.
        alpha: width multiplier.
        strides: which maps to return, out of 8, 16 and 32; blocks beyond the largest are not built.
        batch_norm_momentum: share of the running statistics that a training step keeps.

    Returns:
        A model from float images [B, H, W, 3], scaled to -1..1, to a dict of feature maps
        {"stride_16": [B, H / 16, W / 16, C], ...}.

    Raises:
        ValueError: an unknown stride, or alpha not above 0.
    """
    unknown = sorted(set(strides) - set(TAP_BLOCKS))
    if unknown or not strides:
        raise ValueError(f"feature strides {tuple(strides)}: choose from {tuple(TAP_BLOCKS)}")
    inputs = keras.Input(input_shape, name="input_layer")
    taps = build_blocks(
        inputs,
        alpha=alpha,
        strides=STRIDES[: TAP_BLOCKS[max(strides)] + 1],
        batch_norm_momentum=batch_norm_momentum,
    )
    outputs = {f"stride_{s}": taps[TAP_BLOCKS[s] - 1] for s in sorted(strides)}
    return keras.Model(inputs, outputs, name="mobilenet_v1")


def build_blocks(
    images: Tensor,
    *,
    alpha: float = 1.0,
    strides: Sequence[int] = STRIDES,
    activation: Activation = "relu6",
    batch_norm_momentum: float = 0.99,
) -> list[Tensor]:
    """Applies the stem and the blocks of MobileNetV1, as new layers of a functional model.

    Args:
        images: [B, H, W, 3], scaled to -1..1.
        alpha: width multiplier.
        strides: of the stem and of each block; as many blocks are built.
        activation: after every normalisation; layers keep the names of Keras' ReLUs.
        batch_norm_momentum: share of the running statistics that a training step keeps.

    Returns:
        The map after each block.

    Raises:
        ValueError: alpha is not above 0.
    """
    if not 0 < alpha < math.inf:
        raise ValueError(f"alpha is {alpha}; it must be above 0")
    normalise = _Normalise(batch_norm_momentum, activation)
    stem_stride, *block_strides = strides
    x = keras.layers.Conv2D(
        round_channels(STEM_CHANNELS, alpha),
        3,
        strides=stem_stride,
        padding="same",
        use_bias=False,
        name=STEM_LAYER,
    )(images)
    x = normalise(x, STEM_LAYER)
    maps = []
    # Fewer strides than blocks: a backbone without its last ones.
    for index, (channels, stride) in enumerate(
        zip(BLOCK_CHANNELS, block_strides, strict=False), start=1
    ):
        channels = round_channels(channels, alpha)
        x = _separable_block(x, channels, stride=stride, index=index, normalise=normalise)
        maps.append(x)
    return maps


def round_channels(channels: int, alpha: float) -> int:
    """Scales a number of channels as Keras does: truncated, at least 1."""
    return max(1, int(channels * alpha))


def freeze_blocks(model: keras.Model, num_blocks: int) -> None:
    """Freezes the stem and the first blocks of a backbone or a classifier; 0 freezes neither.

    Frozen batch normalisation keeps its running statistics, too.
    """
    if num_blocks == 0:
        return
    for layer in model.layers:
        block = block_of(layer.name)
        if block is not None and block <= num_blocks:
            layer.trainable = False


def freeze_batch_norm(model: keras.Model) -> None:
    """Freezes statistics, scale and offset of every batch normalisation in a model."""
    for layer in nested_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def block_of(layer_name: str) -> int | None:
    """Returns the block that a layer is in, 0 for the stem, None for layers of neither."""
    if layer_name.startswith(STEM_LAYER):
        return 0
    match = re.match(r"conv_(?:dw|pw)_(\d+)", layer_name)
    return int(match[1]) if match else None


@dataclass(frozen=True)
class _Normalise:
    """Batch normalisation and activation, as they follow every convolution."""

    momentum: float
    activation: Activation

    def __call__(self, x: Tensor, name: str) -> Tensor:
        x = FusedBatchNormalization(momentum=self.momentum, name=f"{name}_bn")(x)
        if self.activation == "leaky_relu":
            return keras.layers.LeakyReLU(_LEAKY_SLOPE, name=f"{name}_relu")(x)
        return keras.layers.ReLU(6.0, name=f"{name}_relu")(x)


def _separable_block(
    x: Tensor, channels: int, *, stride: int, index: int, normalise: _Normalise
) -> Tensor:
    even = all(side is not None and side % 2 == 0 for side in x.shape[1:3])
    padding = "same"
    if stride == 2 and not even:
        # Keras pads below and right only; for even sides "same" does that without a copy.
        x = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{index}")(x)
        padding = "valid"
    depthwise, pointwise = f"conv_dw_{index}", f"conv_pw_{index}"
    x = DepthwiseConv2D(3, strides=stride, padding=padding, use_bias=False, name=depthwise)(x)
    x = normalise(x, depthwise)
    x = PointwiseConv2D(channels, use_bias=False, name=pointwise)(x)
    return normalise(x, pointwise)
