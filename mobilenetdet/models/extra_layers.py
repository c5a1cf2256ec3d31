"""SSD's extra layers: maps coarser than the backbone's."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from mobilenetdet.models.layers import (
    DepthwiseConv2D,
    FusedBatchNormalization,
    PointwiseConv2D,
)

# Channels of the 1x1 convolution that squeezes, and of what it gives.
_SQUEEZED, _CHANNELS = 128, 256


def build_extra_layers(
    map_shape: tuple[int | None, int | None, int],
    *,
    stride: int,
    strides: Sequence[int],
    batch_norm_momentum: float = 0.99,
) -> keras.Model:
    """Builds maps of half the size each, behind the last one of the backbone.

    Each is a 1x1 convolution that squeezes the channels and a depthwise-separable one with stride 2
    (SSD, arXiv 1512.02325, with the separable layers of SSDLite, arXiv 1801.04381).

    Args:
        map_shape: (height, width, channels) of the last map.
        stride: of that map.
        strides: of the maps to return; each a power of two times `stride`.
        batch_norm_momentum: share of the running statistics that a training step keeps.

    Returns:
        A model from that map to {"stride_64": [B, H / 64, W / 64, C], ...}.
    """
    momentum = batch_norm_momentum
    inputs = x = keras.Input(map_shape, name="input_layer_1")
    outputs = {}
    while stride < max(strides):
        stride *= 2
        name = f"extra_{stride}"
        x = PointwiseConv2D(_SQUEEZED, use_bias=False, name=f"{name}_squeeze")(x)
        x = _normalise(x, f"{name}_squeeze", momentum)
        x = DepthwiseConv2D(3, strides=2, padding="same", use_bias=False, name=f"{name}_dw")(x)
        x = _normalise(x, f"{name}_dw", momentum)
        x = PointwiseConv2D(_CHANNELS, use_bias=False, name=f"{name}_pw")(x)
        x = _normalise(x, f"{name}_pw", momentum)
        if stride in strides:
            outputs[f"stride_{stride}"] = x
    return keras.Model(inputs, outputs, name="extra_layers")


def _normalise(x: object, name: str, momentum: float) -> object:
    x = FusedBatchNormalization(momentum=momentum, name=f"{name}_bn")(x)
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(x)
