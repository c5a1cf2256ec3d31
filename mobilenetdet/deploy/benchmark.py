"""Times of training and inference: medians over single steps, on the TensorFlow backend."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from mobilenetdet.boxes.kinds import OBJECT
from mobilenetdet.config import DetectionConfig
from mobilenetdet.deploy.timing import (
    NOT_INSTALLED,
    Rounds,
    Step,
    median_milliseconds,
    package_version,
)
from mobilenetdet.models.detector import Detector, build_detector
from mobilenetdet.models.layers import DepthwiseConv2D, FusedBatchNormalization, PointwiseConv2D
from mobilenetdet.models.mobilenet_v1 import build_mobilenet_v1
from mobilenetdet.models.postprocess import select_detections
from mobilenetdet.training.optimizers import make_optimizer

REFERENCE = "tf_keras.applications.MobileNet"
OURS, OURS_WITH_KERAS_LAYERS = "mobilenetdet", "mobilenetdet, Keras' layers"
_KERAS_LAYERS: dict[type, type] = {
    FusedBatchNormalization: keras.layers.BatchNormalization,
    PointwiseConv2D: keras.layers.Conv2D,
    DepthwiseConv2D: keras.layers.DepthwiseConv2D,
}
# A batch of KITTI: some six objects a frame, the rows padded to those of its fullest frame.
_OBJECTS, _ROWS = 6, 16
# Small enough to leave the weights as they are, so that every step does the same work.
_LEARNING_RATE = 1e-6


@dataclass(frozen=True)
class BackboneTime:
    """One train step of MobileNetV1 alpha 1.0: forward, backward, update.

    Attributes:
        network: whose layers ran.
        batch_size: images a step.
        image_size: (height, width), pixels.
        precision: Keras' name of the arithmetic.
        milliseconds: median.
        ratio: to `REFERENCE` on the same input in float32; None without tf_keras.
    """

    network: str
    batch_size: int
    image_size: tuple[int, int]
    precision: str
    milliseconds: float
    ratio: float | None


@dataclass(frozen=True)
class DetectorTime:
    """One train step of a whole detector, as `fit` runs it.

    Attributes:
        preset: name of the config.
        batch_size: images a step.
        image_size: (height, width), pixels.
        precision: Keras' name of the arithmetic.
        milliseconds: median of the step.
        loss_milliseconds: median of matching and loss alone, with their gradient.
        loss_share: the latter over the former.
    """

    preset: str
    batch_size: int
    image_size: tuple[int, int]
    precision: str
    milliseconds: float
    loss_milliseconds: float
    loss_share: float


@dataclass(frozen=True)
class InferenceTime:
    """One image through a detector, from uint8 pixels to detections.

    Attributes:
        preset: name of the config.
        image_size: (height, width), pixels.
        precision: Keras' name of the arithmetic.
        forward_milliseconds: median from the pixels to the raw predictions.
        decode_nms_milliseconds: median from there to the detections.
    """

    preset: str
    image_size: tuple[int, int]
    precision: str
    forward_milliseconds: float
    decode_nms_milliseconds: float


def time_backbone(
    batch_size: int, image_size: tuple[int, int], precisions: tuple[str, ...], rounds: Rounds
) -> list[BackboneTime]:
    """Times a train step of our backbone, of the same with Keras' own layers, and of tf_keras.

    Args:
        batch_size: images a step.
        image_size: (height, width), pixels.
        precisions: of ours; tf_keras runs in float32.
        rounds: how often.

    Raises:
        ValueError: Keras does not run on TensorFlow.
    """
    require_tensorflow()
    rng = np.random.default_rng(0)
    pixels = rng.uniform(-1, 1, (batch_size, *image_size, 3))
    images = ops.convert_to_tensor(pixels, dtype="float32")
    steps: dict[tuple[str, str], Step] = {}  # by network and precision
    if tf_keras_installed():
        steps[REFERENCE, "float32"] = _tf_keras_step(images)
    for precision in precisions:
        with _policy(precision):
            taps = build_mobilenet_v1((*image_size, 3), strides=(32,))
        ours = keras.Model(taps.input, taps.output["stride_32"])
        for network, model in ((OURS_WITH_KERAS_LAYERS, with_keras_layers(ours)), (OURS, ours)):
            optimizer = keras.optimizers.SGD(_LEARNING_RATE)
            steps[network, precision] = _train_step(model, optimizer, images)
    found = median_milliseconds(steps, rounds)
    results = []
    for (network, precision), milliseconds in found.items():
        reference = found.get((REFERENCE, "float32"))
        ratio = milliseconds / reference if reference else None
        results.append(
            BackboneTime(network, batch_size, image_size, precision, milliseconds, ratio)
        )
    return results


def time_detector(
    preset: str, config: DetectionConfig, rounds: Rounds, batch_size: int | None = None
) -> DetectorTime:
    """Times a train step of a whole detector, and the part of matching and loss in it.

    Args:
        preset: name for the result.
        config: the weights are fresh, `model.weights` is not loaded.
        rounds: how often.
        batch_size: images a step; by default the config's.

    Raises:
        ValueError: Keras does not run on TensorFlow.
    """
    require_tensorflow()
    import tensorflow as tf

    batch_size = batch_size or config.train.batch_size
    detector = _fresh_detector(config)
    optimizer = make_optimizer(config.train, _LEARNING_RATE)
    detector.compile(optimizer=optimizer, jit_compile=False)
    images, targets = random_batch(config, batch_size)
    predictions = {k: tf.stop_gradient(v) for k, v in detector(images, training=True).items()}

    @tf.function(jit_compile=False)
    def loss_and_gradient() -> list[tf.Tensor]:
        """Matching, loss and its gradient with respect to the raw predictions."""
        with tf.GradientTape() as tape:
            tape.watch(predictions)
            loss = detector.compute_loss(y=targets, y_pred=predictions)
        return [loss, *tape.gradient(loss, predictions).values()]

    steps = {
        "step": lambda: detector.train_on_batch(images, targets),
        "loss": lambda: _finish(loss_and_gradient()),
    }
    found = median_milliseconds(steps, rounds)
    return DetectorTime(
        preset,
        batch_size,
        config.image_size,
        config.train.precision,
        milliseconds=found["step"],
        loss_milliseconds=found["loss"],
        loss_share=found["loss"] / found["step"],
    )


def time_inference(preset: str, config: DetectionConfig, rounds: Rounds) -> InferenceTime:
    """Times one image through a detector, and its decoding and NMS.

    Args:
        preset: name for the result.
        config: the weights are fresh, `model.weights` is not loaded.
        rounds: how often.

    Raises:
        ValueError: Keras does not run on TensorFlow.
    """
    require_tensorflow()
    import tensorflow as tf

    detector = _fresh_detector(config)
    images = random_batch(config, 1)[0]
    forward = tf.function(lambda x: detector(x, training=False), jit_compile=False)
    rng = np.random.default_rng(0)
    # A fresh head predicts the same everywhere; NMS takes as long as the boxes are unlike.
    predictions = {
        name: tf.constant(rng.normal(size=value.shape, scale=0.5), tf.float32)
        for name, value in forward(images).items()
    }

    @tf.function(jit_compile=False)
    def decode(predictions: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Boxes, scores and NMS."""
        head = detector.head
        boxes = head.boxes(predictions, detector.anchors)
        scores = head.scores(predictions)
        return select_detections(boxes, scores, config.image_size, config.postprocess)

    steps = {
        "forward": lambda: _finish(forward(images)),
        "decode": lambda: _finish(decode(predictions)),
    }
    found = median_milliseconds(steps, rounds)
    return InferenceTime(
        preset, config.image_size, config.train.precision, found["forward"], found["decode"]
    )


def with_keras_layers(model: keras.Model) -> keras.Model:
    """Rebuilds a functional model, with fresh weights, of the layers that ours derive from."""

    def plain(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = _KERAS_LAYERS.get(type(layer), type(layer))
        return kind.from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=plain)


def random_batch(
    config: DetectionConfig, batch_size: int, seed: int = 0
) -> tuple[Any, dict[str, Any]]:
    """Makes a batch as the input pipeline yields it: noise, with six objects an image.

    Returns:
        uint8 images [B, H, W, 3] and "boxes" [B, N, 4], "classes" and "kinds" [B, N].
    """
    rng = np.random.default_rng(seed)
    height, width = config.image_size
    images = rng.integers(0, 256, (batch_size, height, width, 3), dtype=np.uint8)
    centres = rng.uniform((0, 0), (width, height), (batch_size, _ROWS, 2))
    halves = rng.uniform(0.02, 0.15, (batch_size, _ROWS, 2)) * (width / 2, height)
    is_object = np.arange(_ROWS) < _OBJECTS
    boxes = np.concatenate([centres - halves, centres + halves], axis=-1)
    classes = rng.integers(0, config.num_classes, (batch_size, _ROWS))
    targets = {
        "boxes": (boxes * is_object[:, None]).astype(np.float32),
        "classes": np.where(is_object, classes, -1).astype(np.int32),
        "kinds": np.tile(is_object * OBJECT, (batch_size, 1)).astype(np.int32),
    }
    as_tensors = {name: ops.convert_to_tensor(value) for name, value in targets.items()}
    return ops.convert_to_tensor(images), as_tensors


def tf_keras_installed() -> bool:
    """Whether the reference for the backbone, Keras 2, is there."""
    return package_version("tf-keras") != NOT_INSTALLED


def require_tensorflow() -> None:
    """Refuses another backend.

    Raises:
        ValueError: Keras does not run on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"the benchmark times TensorFlow, and KERAS_BACKEND is {keras.backend.backend()!r}"
        )


def _tf_keras_step(images: Any) -> Step:
    import tf_keras

    shape = tuple(images.shape[1:])
    model = tf_keras.applications.MobileNet(input_shape=shape, include_top=False, weights=None)
    return _train_step(model, tf_keras.optimizers.SGD(_LEARNING_RATE), images)


def _train_step(model: Any, optimizer: Any, images: Any) -> Step:
    """The same step for Keras 2 and 3: `train_on_batch` of Keras 2 makes a dataset each time."""
    import tensorflow as tf

    @tf.function(jit_compile=False)
    def step(images: tf.Tensor) -> tf.Tensor:
        """Forward, backward and update, for a loss that costs nothing."""
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(tf.cast(model(images, training=True), tf.float32)))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return lambda: _finish(step(images))


def _fresh_detector(config: DetectionConfig) -> Detector:
    # Building a detector sets the policy of its config.
    with _policy(config.train.precision):
        return build_detector(config, load_weights=False)[0]


@contextlib.contextmanager
def _policy(precision: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _finish(outputs: Any) -> None:
    """Waits for results that a GPU may still be working on."""
    keras.tree.map_structure(ops.convert_to_numpy, outputs)
