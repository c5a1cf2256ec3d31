"""What a model costs: parameters, and multiply-adds of one image."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from mobilenetdet.models.layers import Tensor, nested_layers

# Layers whose multiply-adds count: those of normalisation fold into them, others are few.
_COUNTED = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
# Running averages: numbers that a file holds, but nothing that training learns.
_STATISTICS = ("moving_mean", "moving_variance")


@dataclass(frozen=True)
class ModelCost:
    """What a model holds and computes.

    Attributes:
        parameters: numbers that training can change, frozen ones included.
        statistics: numbers of batch normalisation's running averages.
        macs: multiply-adds of convolutions and dense layers, for one image.
        macs_by_layer: the same by the name of the layer, as far as it has any.
    """

    parameters: int
    statistics: int
    macs: int
    macs_by_layer: dict[str, int]


def measure_cost(model: keras.Model, image_size: tuple[int, int]) -> ModelCost:
    """Counts parameters and multiply-adds; runs the model once on a black image.

    A layer that runs on several maps counts for each of them.

    Args:
        model: any built model of images [B, H, W, 3], a classifier, backbone or `Detector`.
        image_size: height and width of the image, pixels.
    """
    macs: dict[str, int] = {}
    with _macs_recorded(model, macs):
        model(np.zeros((1, *image_size, 3), np.float32), training=False)
    sizes = [(v.name in _STATISTICS, math.prod(v.shape)) for v in model.weights]
    return ModelCost(
        parameters=sum(size for statistic, size in sizes if not statistic),
        statistics=sum(size for statistic, size in sizes if statistic),
        macs=sum(macs.values()),
        macs_by_layer=macs,
    )


def measure_classifiers(
    alphas: Sequence[float], sizes: Sequence[int], *, num_classes: int = 1000
) -> dict[tuple[float, int], ModelCost]:
    """Measures MobileNetV1 as a classifier; needs the package's `classification`.

    Returns:
        The cost for each (alpha, side of the square image in pixels).
    """
    # Not at the top: detectors can be measured without the classifier.
    from mobilenetdet.classification.model import build_classifier

    costs: dict[tuple[float, int], ModelCost] = {}
    for alpha in alphas:
        model = build_classifier((None, None, 3), num_classes=num_classes, alpha=alpha)
        costs |= {(alpha, size): measure_cost(model, (size, size)) for size in sizes}
    return costs


@contextlib.contextmanager
def _macs_recorded(model: keras.Model, macs: dict[str, int]) -> Iterator[None]:
    """Adds up the multiply-adds of every call inside the `with` block, by layer name."""
    layers = [layer for layer in nested_layers(model) if isinstance(layer, _COUNTED)]
    for layer in layers:
        layer.call = functools.partial(_call_and_count, layer, layer.call, macs)
    try:
        yield
    finally:
        for layer in layers:
            del layer.call  # uncovers the method of the class


def _call_and_count(
    layer: keras.layers.Layer, call: Callable, macs: dict[str, int], *args: Any, **options: Any
) -> Tensor:
    outputs = call(*args, **options)
    # Every element of the kernel is used once at each position of one output channel.
    positions = math.prod(outputs.shape[1:-1])
    macs[layer.name] = macs.get(layer.name, 0) + math.prod(layer.kernel.shape) * positions
    return outputs
