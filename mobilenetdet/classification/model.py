"""MobileNetV1 as an image classifier.

Layer names and variable shapes are those of `keras.applications.MobileNet` with its top, so that
its weight files load unchanged.
"""

from __future__ import annotations

import os
from pathlib import Path

import keras

from mobilenetdet.classification.config import ClassifierConfig
from mobilenetdet.config.storage import read_config
from mobilenetdet.files.text import why_no_file
from mobilenetdet.models.backbone_weights import (
    PUBLISHED_SIZES,
    download_imagenet_weights,
    load_mobilenet_layers,
)
from mobilenetdet.models.layers import layer_policy
from mobilenetdet.models.mobilenet_v1 import STRIDES, Activation, build_blocks
from mobilenetdet.models.weight_file import check_weight_file
from mobilenetdet.models.weights import LoadReport, refuse_non_finite
from mobilenetdet.runs import open_run

_PUBLISHED_CLASSES = 1000
# The layer whose shape follows the number of classes.
HEAD_LAYER = "conv_preds"
# For images of 32x32: of the five halvings the first and the one of block 6 are left out. The last
# map is 4x4, and eight of the thirteen blocks work at 8x8: 136 M multiply-adds. With the last left
# out instead of the fourth they work at 4x4 (65 M), with the second at 16x16 and 8x8 (176 M).
SMALL_IMAGE_STRIDES = (1, *STRIDES[1:6], 1, *STRIDES[7:])


def build_classifier(
    input_shape: tuple[int | None, int | None, int],
    *,
    num_classes: int,
    alpha: float = 1.0,
    dropout: float = 1e-3,
    activation: Activation = "relu6",
    small_images: bool = False,
    batch_norm_momentum: float = 0.99,
) -> keras.Model:
    """Builds the network with fresh weights; see `load_classifier_weights`.

    Args:
        input_shape: (height, width, 3); height and width may be None.
        num_classes: number of logits.
        alpha: width multiplier.
        dropout: share of the pooled features that a training step drops.
        activation: ReLU6 as published, or a leaky ReLU.
        small_images: leaves the first and the fourth halving out, for images of 32x32.
        batch_norm_momentum: share of the running statistics that a training step keeps.

    Returns:
        A model from RGB images [B, H, W, 3], uint8 or float, to float32 logits [B, num_classes].

    Raises:
        ValueError: no class, or alpha not above 0.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}; it must be above 0")
    images = x = keras.Input(input_shape, name="input_layer")
    # In float32: bfloat16 rounds 1 / 127.5 by 0.4 %.
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name="scale")(x)
    x = build_blocks(
        x,
        alpha=alpha,
        strides=SMALL_IMAGE_STRIDES if small_images else STRIDES,
        activation=activation,
        batch_norm_momentum=batch_norm_momentum,
    )[-1]
    x = keras.layers.GlobalAveragePooling2D(keepdims=True, name="global_average_pooling2d")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)  # [B, 1, 1, F]
    # The logits are few, and a softmax wants them exact.
    x = keras.layers.Conv2D(num_classes, 1, dtype="float32", name=HEAD_LAYER)(x)
    logits = keras.layers.Reshape((num_classes,), dtype="float32", name="reshape_2")(x)
    return keras.Model(images, logits, name="classifier")


def load_classifier(
    source: str | os.PathLike[str],
    *,
    weights: Path | None = None,
    image_size: tuple[int, int] | None = None,
) -> tuple[keras.Model, ClassifierConfig]:
    """Loads a trained classifier, in float32.

    Args:
        source: run directory.
        weights: a weight file; by default the best of the run, or the last.
        image_size: height and width of the input, pixels; by default those of the run.

    Returns:
        The model, see `build_classifier`, and its config.

    Raises:
        FileNotFoundError: there is no such run, or no weights.
        ValueError: it is no run of a classifier, or the weights do not fit or are no numbers.
    """
    run = open_run(source)
    config = read_config(run.config_file, ClassifierConfig)
    path = run.find_weights() if weights is None else weights
    if not path.is_file():
        raise FileNotFoundError(f"weight file {path} {why_no_file(path)}")
    check_weight_file(path)
    with layer_policy("float32"):
        model = build_classifier(
            (*(image_size or config.input_shape[:2]), 3),
            num_classes=config.data.num_classes,
            alpha=config.model.alpha,
            activation=config.model.activation,
            small_images=config.model.small_images,
        )
    try:
        model.load_weights(path)
    except (ValueError, OSError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} does not fit the config of the run: {error}") from None
    refuse_non_finite(model, str(path))
    return model, config


def load_classifier_weights(
    classifier: keras.Model, weights: str, *, alpha: float
) -> LoadReport | None:
    """Fills a classifier; a head with another number of classes than the file's stays fresh.

    Args:
        classifier: from `build_classifier`.
        weights: "imagenet" (Keras' file for the classifier's input size if there is one, else that
            for 224x224), the path of a Keras weight file of a classifier, a backbone or a
            detector, or "none".
        alpha: width multiplier of the classifier; it chooses the ImageNet file.

    Returns:
        What was loaded, with the head under `missing` or `mismatched` if it stays fresh; None for
        "none".

    Raises:
        ValueError: no ImageNet file for this alpha; no layer, or one other than the head's of
            another shape in the file.
        FileNotFoundError: the file does not exist or cannot be downloaded.
    """
    if weights == "none":
        return None
    path = Path(weights)
    if weights == "imagenet":
        height, width = classifier.input_shape[1:3]
        published = height == width and height in PUBLISHED_SIZES
        path = download_imagenet_weights(
            alpha,
            size=height if published else max(PUBLISHED_SIZES),
            top=classifier.output_shape[-1] == _PUBLISHED_CLASSES,
        )
    return load_mobilenet_layers(classifier, path, may_differ=(HEAD_LAYER,))
