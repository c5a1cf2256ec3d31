"""Batch normalisation folded into the convolutions before it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.models.detector import Detector, build_detector
from mobilenetdet.models.layers import layer_policy

# A normalisation is named after the convolution before it.
_SUFFIX = "_bn"
_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
_NORMALISATION = keras.layers.BatchNormalization
# Smallest largest weight of a channel over its bias before int8. Eight of the 32 channels of the
# ImageNet weights' first layer have no weights left, but a bias: the scale of their int8 weights
# would be 0, in steps of which the bias is stored. What is added is a hundredth of a step.
_INT8_FLOOR = 1e-4


def fold_detector(
    detector: Detector, config: DetectionConfig | None = None, *, for_int8: bool = False
) -> Detector:
    """Returns a copy whose convolutions do what their batch normalisation did, in float32.

    Args:
        detector: stays as it is.
        config: to build the copy with; by default that of the detector. The size of the input may
            differ, and all that has no part in the weights.
        for_int8: gives channels without weights tiny ones, see `_INT8_FLOOR`.

    Raises:
        ValueError: see `Folding`.
    """
    config = detector.config if config is None else config
    original, _ = build_detector(config, load_weights=False, precision="float32")
    original.set_weights(detector.get_weights())
    folding = Folding(for_int8=for_int8)
    with layer_policy("float32"):
        folded = Detector(config)
        folded.backbone = folding.copy_model(original.backbone)
        if original.pyramid is not None:
            folded.pyramid = folding.copy_model(original.pyramid)
        if original.extra_layers is not None:
            folded.extra_layers = folding.copy_model(original.extra_layers)
        _fold_head(original.head, folded.head, folding)
        with warnings.catch_warnings():
            # The layers that were replaced stay without variables.
            warnings.filterwarnings("ignore", "`build\\(\\)` was called", UserWarning)
            folded(keras.KerasTensor((1, *config.image_size, 3), dtype="uint8"))
    folding.copy_weights()
    return folded


def fold_model(model: keras.Model, *, for_int8: bool = False) -> keras.Model:
    """Returns a copy of a functional model with its batch normalisation folded.

    Args:
        model: stays as it is.
        for_int8: see `fold_detector`.

    Raises:
        ValueError: see `Folding`.
    """
    folding = Folding(for_int8=for_int8)
    folded = folding.copy_model(model)
    folding.copy_weights()
    return folded


class Folding:
    """Copies layers, the normalising ones as layers that do nothing.

    Raises:
        ValueError: a normalisation follows no convolution of its name without bias.
    """

    def __init__(self, *, for_int8: bool = False) -> None:
        """Begins without layers; `for_int8` as in `fold_detector`."""
        self._for_int8 = for_int8
        self._pairs: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []
        self._norms: dict[int, keras.layers.BatchNormalization] = {}

    def copy_model(self, model: keras.Model) -> keras.Model:
        """Copies a functional or sequential model."""
        self._find_norms(model.layers)
        if isinstance(model, keras.Sequential):
            return keras.Sequential([self._copy(layer) for layer in model.layers], name=model.name)
        return keras.models.clone_model(model, clone_function=self._copy, call_function=_call)

    def copy_layers(self, layers: Sequence[keras.layers.Layer]) -> list[keras.layers.Layer]:
        """Copies layers that are called one after the other."""
        self._find_norms(layers)
        return [self._copy(layer) for layer in layers]

    def keep(self, old: keras.layers.Layer, new: keras.layers.Layer) -> None:
        """Gives a layer the weights of another when the others get theirs."""
        self._pairs.append((old, new))

    def copy_weights(self) -> None:
        """Fills the copies, which have their variables by now."""
        for old, new in self._pairs:
            norm = self._norms.get(id(old))
            weights = old.get_weights() if norm is None else _folded_weights(old, norm)
            if self._for_int8 and norm is not None:
                weights[0] = _lifted(*weights, output_axis=_output_axis(old))
            new.set_weights(weights)

    def _find_norms(self, layers: Sequence[keras.layers.Layer]) -> None:
        by_name = {layer.name: layer for layer in layers}
        for layer in layers:
            if isinstance(layer, _NORMALISATION):
                before = by_name.get(layer.name.removesuffix(_SUFFIX))
                if not isinstance(before, _CONVOLUTIONS) or before.use_bias:
                    raise ValueError(f"{layer.name} follows no convolution that it folds into")
                self._norms[id(before)] = layer

    def _copy(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, _NORMALISATION):
            return keras.layers.Identity(name=layer.name)
        options = layer.get_config()
        if id(layer) in self._norms:
            options["use_bias"] = True
        new = type(layer).from_config(options)
        if layer.weights:
            self.keep(layer, new)
        return new


def _fold_head(original: keras.layers.Layer, folded: keras.layers.Layer, folding: Folding) -> None:
    if hasattr(original, "towers"):
        folded.towers = [folding.copy_model(tower) if _has_layers(tower) else tower
                         for tower in original.towers]  # fmt: skip
        predictors = ("class_predictors", "box_predictors")
        pairs = [zip(getattr(original, n), getattr(folded, n), strict=True) for n in predictors]
        for old, new in (pair for each in pairs for pair in each):
            folding.keep(old, new)
    else:
        folded.blocks = folding.copy_layers(original.blocks)
        folding.keep(original.prediction, folded.prediction)


def _call(layer: keras.layers.Layer, *args: object, **options: object) -> object:
    """Calls a copied layer, without the mask that the normalisation was called with."""
    return args[0] if isinstance(layer, keras.layers.Identity) else layer(*args, **options)


def _has_layers(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.Sequential)


def _folded_weights(
    convolution: keras.layers.Layer, norm: keras.layers.BatchNormalization
) -> list[np.ndarray]:
    """Kernel and bias that convolve and normalise at once; computed in float64."""
    (kernel,) = (np.asarray(values, np.float64) for values in convolution.get_weights())
    gamma, beta, mean, variance = (
        ops.convert_to_numpy(values).astype(np.float64)
        for values in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    scale = gamma / np.sqrt(variance + norm.epsilon)  # [C]
    if isinstance(convolution, keras.layers.DepthwiseConv2D):
        kernel = kernel * scale.reshape(kernel.shape[2:])  # [h, w, inputs, multiplier]
    else:
        kernel = kernel * scale  # [h, w, inputs, outputs]
    return [kernel.astype(np.float32), (beta - mean * scale).astype(np.float32)]


def _output_axis(convolution: keras.layers.Layer) -> int:
    """The axis of a kernel along which its outputs lie; depthwise ones have one for each input."""
    return 2 if isinstance(convolution, keras.layers.DepthwiseConv2D) else 3


def _lifted(kernel: np.ndarray, bias: np.ndarray, *, output_axis: int) -> np.ndarray:
    """Raises the first weight of each channel whose weights are nothing beside its bias."""
    kernel = np.moveaxis(kernel.copy(), output_axis, 0)  # [C, ...]
    flat = kernel.reshape(len(kernel), -1)
    floor = _INT8_FLOOR * np.abs(bias)
    dead = np.abs(flat).max(axis=1) < floor
    flat[dead, 0] = floor[dead]
    return np.moveaxis(flat.reshape(kernel.shape), 0, output_axis)
