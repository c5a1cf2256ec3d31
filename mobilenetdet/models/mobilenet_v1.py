"""MobileNetV1 (arXiv 1704.04861) with feature taps.

Layer names and variable shapes are those of `keras.applications.MobileNet`, so that its weight
files load unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras

from mobilenetdet.models.layers import (
    DepthwiseConv2D,
    FusedBatchNormalization,
    PointwiseConv2D,
    Tensor,
)

# (channels at alpha 1, stride) of the 13 depthwise-separable blocks.
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)
# The last block of each stride.
TAP_BLOCKS = {8: 5, 16: 11, 32: 13}


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
    if alpha <= 0:
        raise ValueError(f"alpha is {alpha}; it must be above 0")
    inputs = keras.Input(input_shape)
    momentum = batch_norm_momentum
    x = _convolution(inputs, round_channels(32, alpha), momentum)
    taps = {}
    for index, (channels, stride) in enumerate(BLOCKS[: TAP_BLOCKS[max(strides)]], start=1):
        channels = round_channels(channels, alpha)
        x = _separable_block(x, channels, stride=stride, index=index, momentum=momentum)
        taps[index] = x
    outputs = {f"stride_{s}": taps[TAP_BLOCKS[s]] for s in sorted(strides)}
    return keras.Model(inputs, outputs, name="mobilenet_v1")


def round_channels(channels: int, alpha: float) -> int:
    """Scales a number of channels as Keras does: truncated, at least 1."""
    return max(1, int(channels * alpha))


def freeze_blocks(backbone: keras.Model, num_blocks: int) -> None:
    """Stops training of the first blocks; the stem goes with the first.

    Frozen batch normalisation keeps its running statistics, too.
    """
    if num_blocks == 0:
        return
    for layer in backbone.layers:
        if _block_of(layer.name) <= num_blocks:
            layer.trainable = False


def freeze_batch_norm(backbone: keras.Model) -> None:
    """Keeps statistics, scale and offset of every batch normalisation as they are."""
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def _block_of(layer_name: str) -> int:
    parts = [part for part in layer_name.split("_") if part.isdigit()]
    return int(parts[0]) if parts else 0


def _convolution(x: Tensor, channels: int, momentum: float) -> Tensor:
    x = keras.layers.Conv2D(channels, 3, strides=2, padding="same", use_bias=False, name="conv1")(x)
    x = FusedBatchNormalization(momentum=momentum, name="conv1_bn")(x)
    return keras.layers.ReLU(6.0, name="conv1_relu")(x)


def _separable_block(
    x: Tensor, channels: int, *, stride: int, index: int, momentum: float
) -> Tensor:
    even = all(side is not None and side % 2 == 0 for side in x.shape[1:3])
    padding = "same"
    if stride == 2 and not even:
        # Keras pads below and right only; for even sides "same" does that without a copy.
        x = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{index}")(x)
        padding = "valid"
    x = DepthwiseConv2D(
        3, strides=stride, padding=padding, use_bias=False, name=f"conv_dw_{index}"
    )(x)
    x = FusedBatchNormalization(momentum=momentum, name=f"conv_dw_{index}_bn")(x)
    x = keras.layers.ReLU(6.0, name=f"conv_dw_{index}_relu")(x)
    x = PointwiseConv2D(channels, use_bias=False, name=f"conv_pw_{index}")(x)
    x = FusedBatchNormalization(momentum=momentum, name=f"conv_pw_{index}_bn")(x)
    return keras.layers.ReLU(6.0, name=f"conv_pw_{index}_relu")(x)
