"""Times of a detector's train step and inference: medians over single steps, on TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from mobilenetdet.benchmark.steps import LEARNING_RATE, finish, require_tensorflow
from mobilenetdet.benchmark.timing import Rounds, median_milliseconds
from mobilenetdet.boxes.box_status import OBJECT
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.inference.detection_model import detect
from mobilenetdet.models.detector import build_detector
from mobilenetdet.training.optimizers import make_optimizer

# A batch of KITTI: some six objects a frame, the rows padded to those of its fullest frame.
_OBJECTS, _ROWS = 6, 16


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
        decode_nms_milliseconds: median from there to the detections, without the price of a call.
    """

    preset: str
    image_size: tuple[int, int]
    precision: str
    forward_milliseconds: float
    decode_nms_milliseconds: float


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

    config = config.for_training()
    batch_size = batch_size or config.train.batch_size
    detector = build_detector(config, load_weights=False)[0]
    optimizer = make_optimizer(config.train, LEARNING_RATE)
    detector.compile(optimizer=optimizer, jit_compile=False)
    images, targets = random_batch(config, batch_size)
    predictions = {k: tf.stop_gradient(v) for k, v in detector(images, training=True).items()}

    @tf.function(jit_compile=False)
    def loss_and_gradient() -> list[tf.Tensor]:
        """Runs matching, loss and its gradient with respect to the raw predictions."""
        with tf.GradientTape() as tape:
            tape.watch(predictions)
            loss = detector.compute_loss(y=targets, y_pred=predictions)
        return [loss, *tape.gradient(loss, predictions).values()]

    steps = {
        "step": lambda: detector.train_on_batch(images, targets),
        "loss": lambda: finish(loss_and_gradient()),
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

    detector = build_detector(config, load_weights=False)[0]
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
        """Decodes boxes and scores and suppresses duplicates."""
        return detect(detector, predictions, config.postprocess)

    @tf.function(jit_compile=False)
    def do_nothing(predictions: dict[str, tf.Tensor]) -> tf.Tensor:
        """Costs what any call costs; it is subtracted, as detection makes one call in all."""
        return predictions["deltas"][0, 0, 0]

    def run_forward() -> None:
        """Runs the forward pass, which leaves the caches as decoding finds them in use."""
        finish(forward(images))

    steps = {
        "forward": run_forward,
        "decode": lambda: finish(decode(predictions)),
        "forward again": run_forward,
        "call": lambda: finish(do_nothing(predictions)),
    }
    times = median_milliseconds(steps, rounds)
    return InferenceTime(
        preset,
        config.image_size,
        config.train.precision,
        forward_milliseconds=times["forward"],
        decode_nms_milliseconds=times["decode"] - times["call"],
    )


def random_batch(
    config: DetectionConfig, batch_size: int, seed: int = 0
) -> tuple[Any, dict[str, Any]]:
    """Makes a batch as the input pipeline yields it: noise, with six objects an image.

    Returns:
        uint8 images [B, H, W, 3] and "boxes" [B, N, 4], "classes" and "box_status" [B, N].
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
        "box_status": np.tile(is_object * OBJECT, (batch_size, 1)).astype(np.int32),
    }
    as_tensors = {name: ops.convert_to_tensor(value) for name, value in targets.items()}
    return ops.convert_to_tensor(images), as_tensors
