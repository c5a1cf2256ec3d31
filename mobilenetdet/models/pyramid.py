"""A light feature pyramid: coarse maps tell the fine ones what they see."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from mobilenetdet.models.layers import FusedBatchNormalization, PointwiseConv2D, separable_layers


def build_pyramid(
    map_shapes: Mapping[int, tuple[int | None, int | None, int]],
    *,
    stride: int,
    channels: int,
    batch_norm_momentum: float = 0.99,
) -> keras.Model:
    """Builds the top-down part of a feature pyramid network (arXiv 1612.03144).

    Each map gets its own 1x1 convolution to a common number of channels. From the coarsest down,
    a map is enlarged twice and added to the next finer one; a depthwise-separable convolution
    smooths the result.

    Args:
        map_shapes: (height, width, channels) of the maps by stride, each twice as fine as the next.
        stride: of the map to return, one of those.
        channels: of the pyramid.
        batch_norm_momentum: share of the running statistics that a training step keeps.

    Returns:
        A model from {"stride_8": [B, H / 8, W / 8, C], ...} to [B, H / stride, W / stride,
        channels].

    Raises:
        ValueError: no map of that stride, or a gap between two.
    """
    if stride not in map_shapes:
        raise ValueError(f"there is no map of stride {stride}; there are {sorted(map_shapes)}")
    strides = sorted((s for s in map_shapes if s >= stride), reverse=True)
    gaps = [(a, b) for a, b in zip(strides, strides[1:], strict=False) if a != 2 * b]
    if gaps:
        raise ValueError(f"strides {sorted(strides)}: each must be twice the one before")
    momentum = batch_norm_momentum
    inputs = {_name(s): keras.Input(map_shapes[s], name=_name(s)) for s in strides}
    summed = None
    for s in strides:
        lateral = PointwiseConv2D(channels, use_bias=False, name=f"lateral_{s}")(inputs[_name(s)])
        lateral = FusedBatchNormalization(momentum=momentum, name=f"lateral_{s}_bn")(lateral)
        if summed is not None:
            enlarged = keras.layers.UpSampling2D(2, name=f"enlarged_{2 * s}")(summed)
            lateral = keras.layers.Add(name=f"sum_{s}")([lateral, enlarged])
        summed = lateral
    smooth = summed
    for layer in separable_layers(channels, f"smooth_{stride}", momentum):
        smooth = layer(smooth)
    return keras.Model(inputs, smooth, name="pyramid")


def _name(stride: int) -> str:
    return f"stride_{stride}"
