"""Times of MobileNetV1 as a classifier for one image: the table of the SqueezeDet/MobileNet code.

Forward, and forward with backward, in float32 with the fused kernel of batch normalisation and
without it; forward in float32 and in 8 bits as exported, where normalisation is folded away.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from mobilenetdet.benchmark.backbone import with_keras_layers
from mobilenetdet.benchmark.steps import finish, require_tensorflow
from mobilenetdet.benchmark.timing import Rounds, Step, median_milliseconds
from mobilenetdet.deploy.calibration_images import CalibrationImages
from mobilenetdet.deploy.classifier import INFO_FILE, TrainedClassifier, export_classifier
from mobilenetdet.deploy.export_plan import ExportFormat, ExportPlan
from mobilenetdet.inference.exported import open_exported

FUSED, NOT_FUSED, FOLDED = "fused", "not fused", "folded"
NUM_CLASSES = 1000
# Exported files are timed in these, which both have 8 bits and run on any processor.
_FORMATS: tuple[ExportFormat, ...] = ("litert", "openvino")
# Times do not depend on the ranges of the activations, so noise will do.
_NUM_CALIBRATION_IMAGES = 2


@dataclass(frozen=True)
class ClassifierTime:
    """One image through MobileNetV1 with 1000 classes.

    Attributes:
        engine: what ran it, with its version.
        device: CPU or GPU.
        image_size: (height, width), pixels.
        precision: float32 or int8.
        batch_norm: fused, not fused, or folded into the convolutions.
        forward_milliseconds: median from the pixels to the logits.
        forward_backward_milliseconds: median of that in training mode and the gradients of all
            weights, without an update; None for exported files, which have no gradients.
    """

    engine: str
    device: str
    image_size: tuple[int, int]
    precision: str
    batch_norm: str
    forward_milliseconds: float
    forward_backward_milliseconds: float | None = None


# What a row is, without its times; the last entry of a step's key tells the direction.
_Row = tuple[str, str, str, str]


def time_classifier(
    image_size: tuple[int, int],
    rounds: Rounds,
    *,
    alpha: float = 1.0,
    formats: Sequence[ExportFormat] = _FORMATS,
) -> tuple[list[ClassifierTime], list[str]]:
    """Times one image through MobileNetV1, all ways by turns.

    Args:
        image_size: (height, width), pixels.
        rounds: how often.
        alpha: width multiplier.
        formats: of exported files.

    Returns:
        A row for each way, and the formats that are left out and why.

    Raises:
        ValueError: Keras does not run on TensorFlow.
    """
    require_tensorflow()
    # Not at the top: detectors can be timed without the classifier.
    from mobilenetdet.classification.model import build_classifier

    model = build_classifier((*image_size, 3), num_classes=NUM_CLASSES, alpha=alpha)
    steps: dict[tuple[_Row, str], Step] = {}
    for device in _devices():
        steps |= _keras_steps(model, image_size, device)
    left_out: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in formats:
            for precision in ("float32", "int8"):
                try:
                    plan = ExportPlan(formats=(name,), precisions=(precision,))
                    plan.require_packages()
                except ValueError as error:
                    left_out.append(str(error))
                    continue
                steps |= _exported_step(model, image_size, plan, Path(folder))
        times = median_milliseconds(steps, rounds)
    rows = dict.fromkeys(row for row, _ in steps)
    return [
        ClassifierTime(
            engine,
            device,
            image_size,
            precision,
            batch_norm,
            times[(engine, device, precision, batch_norm), "forward"],
            times.get(((engine, device, precision, batch_norm), "backward")),
        )
        for engine, device, precision, batch_norm in rows
    ], left_out


def _devices() -> list[str]:
    import tensorflow as tf

    return ["CPU", *(["GPU"] if tf.config.list_physical_devices("GPU") else [])]


def _keras_steps(
    model: keras.Model, image_size: tuple[int, int], device: str
) -> dict[tuple[_Row, str], Step]:
    """Forward, and forward with backward, of a copy on a device, by both kinds of layers."""
    import tensorflow as tf

    engine, steps = f"TensorFlow {tf.__version__}", {}
    with tf.device(f"/{device}:0"):
        pixels = np.random.default_rng(0).integers(0, 256, (1, *image_size, 3))
        images = ops.convert_to_tensor(pixels, dtype="float32")
        for batch_norm, copy in (
            (FUSED, keras.models.clone_model(model)),
            (NOT_FUSED, with_keras_layers(model)),
        ):
            row = (engine, device, "float32", batch_norm)
            for direction, run in zip(
                ("forward", "backward"), _directions(copy, device), strict=True
            ):
                steps[row, direction] = _step(run, images)
    return steps


def _step(run: Any, images: Any) -> Step:
    return lambda: finish(run(images))


def _directions(model: keras.Model, device: str) -> Iterator[Any]:
    """Yields functions of images: to the logits, and to the gradients of all weights."""
    import tensorflow as tf

    @tf.function(jit_compile=False)
    def forward(images: tf.Tensor) -> tf.Tensor:
        """Classifies."""
        with tf.device(f"/{device}:0"):
            return model(images, training=False)

    @tf.function(jit_compile=False)
    def backward(images: tf.Tensor) -> list[tf.Tensor]:
        """Runs forward and backward, for a loss that costs nothing."""
        with tf.device(f"/{device}:0"), tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(images, training=True)))
        return tape.gradient(loss, model.trainable_variables)

    yield forward
    yield backward


def _exported_step(
    model: keras.Model, image_size: tuple[int, int], plan: ExportPlan, folder: Path
) -> dict[tuple[_Row, str], Step]:
    """Exports a file and opens it; the first of the plan alone."""
    ((name, precision, _),) = plan.files()
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (_NUM_CALIBRATION_IMAGES, *image_size, 3), dtype=np.uint8)
    names = tuple(map(str, range(NUM_CLASSES)))
    paths = export_classifier(
        TrainedClassifier(model, image_size, names, {}),
        folder / name,
        plan,
        CalibrationImages.of_arrays(image_size, list(noise)),
    )
    (path,) = (each for each in paths if each.name != INFO_FILE)
    runtime = open_exported(path)
    row = (runtime.engine, "CPU", precision, FOLDED)
    return {(row, "forward"): lambda: runtime.infer(noise[:1])}
