"""Weights of MobileNetV1: Keras' ImageNet files, files of classifiers and detectors, wider ones."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from mobilenetdet.models.mobilenet_v1 import (
    BLOCK_CHANNELS,
    STEM_CHANNELS,
    STEM_LAYER,
    block_of,
    round_channels,
)
from mobilenetdet.models.weight_file import StoredLayers, read_weight_file
from mobilenetdet.models.weights import LoadReport, compare_layers, fill_layers, stored_alpha

_ORIGIN = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/"
_PUBLISHED_ALPHAS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
PUBLISHED_SIZES = (128, 160, 192, 224)
# Keras' default of BatchNormalization.
_EPSILON = 1e-3
_erf = np.vectorize(math.erf, otypes=[float])


def load_backbone_weights(
    backbone: keras.Model, weights: str, *, alpha: float, narrow: bool = False
) -> LoadReport | None:
    """Fills a backbone, from files of a backbone, of a classifier or of a whole detector.

    Args:
        backbone: from `build_mobilenet_v1`.
        weights: "imagenet", the path of a Keras weight file, or "none".
        alpha: width multiplier of the backbone; it chooses the ImageNet file.
        narrow: takes the channels that matter most out of a file for a wider backbone.

    Returns:
        What was loaded, or None for "none".

    Raises:
        ValueError: no ImageNet file for this alpha; no layer or a layer of another shape in the
            file, or one is missing before the last that it has.
        FileNotFoundError: the file does not exist or cannot be downloaded.
    """
    if weights == "none":
        return None
    if weights == "imagenet":
        return load_mobilenet_layers(backbone, download_imagenet_weights(alpha))
    if narrow:
        return load_mobilenet_layers(backbone, Path(weights), alpha=alpha)
    wider = stored_alpha(read_weight_file(weights))
    if wider is not None and wider > alpha:
        raise ValueError(
            f"{weights} has alpha {wider:g}, and --model.alpha is {alpha:g}; give a file of that "
            "width, or take its channels that matter most with --model.narrow_weights True"
        )
    return load_mobilenet_layers(backbone, Path(weights))


def download_imagenet_weights(alpha: float, *, size: int = 224, top: bool = False) -> Path:
    """Fetches one of Keras' ImageNet weight files of MobileNetV1, once; see ~/.keras.

    Args:
        alpha: width multiplier.
        size: side of the images it was trained on, pixels.
        top: whether with the layer that predicts the 1000 classes.

    Raises:
        ValueError: there is no such file.
        FileNotFoundError: it cannot be downloaded.
    """
    known = {"alpha": (alpha, _PUBLISHED_ALPHAS), "input size": (size, PUBLISHED_SIZES)}
    for what, (given, published) in known.items():
        if given not in published:
            listed = ", ".join(map(str, published))
            raise ValueError(
                f"no ImageNet weights for {what} {given}; choose from {listed} or 'none'"
            )
    name = f"mobilenet_{_PUBLISHED_ALPHAS[alpha]}_{size}_tf{'' if top else '_no_top'}.h5"
    try:
        return Path(keras.utils.get_file(name, _ORIGIN + name, cache_subdir="models"))
    except Exception as error:  # get_file raises what the network library does
        raise FileNotFoundError(
            f"cannot download {_ORIGIN}{name} ({error}); download it elsewhere and give its path "
            "as --model.weights, or train from scratch with --model.weights none "
            "--model.frozen_blocks 0"
        ) from None


def load_mobilenet_layers(
    model: keras.Model,
    path: str | Path,
    *,
    may_differ: Collection[str] = (),
    alpha: float | None = None,
) -> LoadReport:
    """Copies the layers of MobileNetV1, of which the file may lack the last blocks.

    A detector on fine maps alone has trained no others.

    Args:
        model: a backbone or a classifier.
        path: of the file.
        may_differ: see `load_h5_layers`.
        alpha: width multiplier of the model, to which layers of a wider one are narrowed, see
            `narrow_mobilenet`; None refuses them.

    Raises:
        FileNotFoundError: no such file.
        ValueError: see `load_h5_layers`; or the file lacks a layer before one that it has.
    """
    stored = read_weight_file(path)
    note, wider = "", stored_alpha(stored)
    if alpha is not None and wider is not None and wider > alpha:
        stored = narrow_mobilenet(stored, alpha)
        note = f"narrowed from alpha {wider:g} to {alpha:g}"
    report, _ = compare_layers(model, stored, str(path))
    blocks = [block_of(name) for name in report.loaded]
    last = max((block for block in blocks if block is not None), default=0)
    behind = [n for n in report.missing if (b := block_of(n)) is None or b > last]
    filled = fill_layers(model, stored, str(path), may_differ=may_differ, may_lack=behind)
    return replace(filled, note=note)


def narrow_mobilenet(stored: StoredLayers, alpha: float) -> StoredLayers:
    """Keeps the channels of a MobileNetV1 that matter most, as many as a narrower one has.

    Trained on, that begins better than random weights. Network slimming (arXiv 1708.06519) ranks
    channels by the scale of their batch normalisation, filter pruning (arXiv 1608.08710) by the
    norms of kernels. Here both decide: a channel matters as much as it moves what the next
    pointwise convolution gives.

    Args:
        stored: the layers of a weight file; it may lack the last blocks.
        alpha: width multiplier of the narrower network.

    Returns:
        The layers of the narrower backbone, in the order of their channels in the wider one.
        Layers that are none of a backbone are left out.

    Example:
        the stem's kernel is [3, 3, 3, 32] in Keras' file for alpha 1, [3, 3, 3, 16] for 0.5.
    """
    kept = np.arange(3)  # red, green, blue
    narrowed = {}
    names = [STEM_LAYER, *(f"conv_pw_{index}" for index in range(1, len(BLOCK_CHANNELS) + 1))]
    widths = [round_channels(channels, alpha) for channels in (STEM_CHANNELS, *BLOCK_CHANNELS)]
    for block, (name, width) in enumerate(zip(names, widths, strict=True)):
        if name not in stored:
            break
        if block:
            depthwise = f"conv_dw_{block}"
            narrowed[depthwise] = [stored[depthwise][0][:, :, kept]]
            narrowed[f"{depthwise}_bn"] = [array[kept] for array in stored[f"{depthwise}_bn"]]
        importance = _importance(stored, name, block + 1)
        chosen = np.sort(np.argsort(-importance, kind="stable")[:width])
        narrowed[name] = [stored[name][0][:, :, kept][..., chosen]]
        narrowed[f"{name}_bn"] = [array[chosen] for array in stored[f"{name}_bn"]]
        kept = chosen
    return narrowed


def _importance(stored: StoredLayers, name: str, next_block: int) -> np.ndarray:
    """How much each channel [C] that a convolution gives moves what the next block gives."""
    depthwise, pointwise = f"conv_dw_{next_block}_bn", f"conv_pw_{next_block}"
    if pointwise not in stored:
        return _typical_size(stored[f"{name}_bn"])
    gamma, _, _, variance = stored[f"{pointwise}_bn"]
    scaled = stored[pointwise][0][0, 0] * (gamma / np.sqrt(variance + _EPSILON))
    return _typical_size(stored[depthwise]) * np.linalg.norm(scaled, axis=1)


def _typical_size(batch_norm: list[np.ndarray]) -> np.ndarray:
    """Root mean square [C] of what a ReLU makes of normally distributed, normalised channels."""
    gamma, beta = np.abs(batch_norm[0].astype(float)), batch_norm[1].astype(float)
    ratio = beta / np.maximum(gamma, 1e-12)
    positive = 0.5 * (1 + _erf(ratio / math.sqrt(2)))
    density = np.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi)
    return np.sqrt(np.maximum((beta**2 + gamma**2) * positive + beta * gamma * density, 0))
