"""A light feature pyramid network: coarse maps are upsampled and added to finer ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras

from mobilenetdet.models.layers import FusedBatchNormalization, PointwiseConv2D, separable_layers


def build_pyramid(
    map_shapes: Mapping[int, tuple[int | None, int | None, int]],
    *,
    strides: Sequence[int],
    channels: int,
    batch_norm_momentum: float = 0.99,
) -> keras.Model:
    """Builds the top-down part of a feature pyramid network (arXiv 1612.03144).

    Each map gets its own 1x1 convolution to a common number of channels. From the coarsest down,
    a map is enlarged twice and added to the next finer one; a depthwise-separable convolution
    smooths each map that is returned.

    Args:
        map_shapes: (height, width, channels) of the maps by stride, each twice as fine as the next.
        strides: of the maps to return, out of those; finer ones are not built.
        channels: of the pyramid.
        batch_norm_momentum: share of the running statistics that a training step keeps.

    Returns:
        A model from {"stride_8": [B, H / 8, W / 8, C], ...} to a dict of the same kind, with
        `channels` in each map.

    Raises:
        ValueError: no map of a stride, or a gap between two.
    """
    absent = sorted(set(strides) - set(map_shapes))
    if absent or not strides:
        raise ValueError(f"there is no map of strides {absent}; there are {sorted(map_shapes)}")
    built = sorted((s for s in map_shapes if s >= min(strides)), reverse=True)
    if any(coarse != 2 * fine for coarse, fine in zip(built, built[1:], strict=False)):
        raise ValueError(f"strides {sorted(built)}: each must be twice the one before")
    momentum = batch_norm_momentum
    inputs = {_name(s): keras.Input(map_shapes[s], name=_name(s)) for s in built}
    summed, outputs = None, {}
    for s in built:
        lateral = PointwiseConv2D(channels, use_bias=False, name=f"lateral_{s}")(inputs[_name(s)])
        lateral = FusedBatchNormalization(momentum=momentum, name=f"lateral_{s}_bn")(lateral)
        if summed is not None:
            enlarged = keras.layers.UpSampling2D(2, name=f"enlarged_{2 * s}")(summed)
            lateral = keras.layers.Add(name=f"sum_{s}")([lateral, enlarged])
        summed = lateral
        if s in strides:
            smooth = summed
            for layer in separable_layers(channels, f"smooth_{s}", momentum):
                smooth = layer(smooth)
            outputs[_name(s)] = smooth
    return keras.Model(inputs, outputs, name="pyramid")


def _name(stride: int) -> str:
    return f"stride_{stride}"
