"""Trains a small network for some steps on one and on several virtual devices, and compares them.

A program, since virtual devices are made before anything is computed:
`device_steps.py detector|squeezedet|student|classifier NUM_DEVICES`. It prints a JSON object.
"""

import contextlib
import io
import json
import sys
from dataclasses import replace

import numpy as np

from mobilenetdet.boxes.box_status import IGNORED, OBJECT, PADDING
from mobilenetdet.config.detection import (
    DataConfig,
    DetectionConfig,
    LevelConfig,
    ModelConfig,
    SqueezeDetHeadConfig,
    SsdHeadConfig,
    TrainConfig,
)
from mobilenetdet.distribution.devices import synchronise_batch_norm, use_devices

HEIGHT, WIDTH, BATCH, STEPS, EPOCHS = 64, 96, 4, 5, 4
# So small that rounding, in another order on each number of devices, does not grow in twenty steps.
RATE = 3e-5
NUM_IMAGES = BATCH * (STEPS - 1) + 2  # the last batch of an epoch is half a batch


def train_config(devices):
    return TrainConfig(
        epochs=EPOCHS, batch_size=BATCH, learning_rate=RATE, schedule="constant", clip_norm=0.1,
        warmup_epochs=0.0, ema=0.9, optimizer="sgd", momentum=0.0, devices=devices,
    )  # fmt: skip


def detector_config(kind, devices):
    anchors = ((24.0, 20.0), (12.0, 30.0))
    model = ModelConfig(
        alpha=0.25, weights="none", levels=(LevelConfig(8, anchors),), pyramid_channels=0
    )
    head = SqueezeDetHeadConfig(blocks=1, channels=16, negative_normaliser="negatives")
    if kind in ("detector", "student"):
        levels = (LevelConfig(8, anchors), LevelConfig(16, ((40.0, 40.0),)))
        model = replace(model, levels=levels, pyramid_channels=16)
        head = SsdHeadConfig(blocks=1, channels=16)
    data = DataConfig(image_height=HEIGHT, image_width=WIDTH)
    train = train_config(devices)
    if kind == "student":
        train = replace(train, teachers=("made in `make_detector`",))
    return DetectionConfig(data=data, model=model, head=head, train=train)


def detection_batches():
    """Elements like those of `train_batches`; one image holds nothing."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (NUM_IMAGES, HEIGHT, WIDTH, 3)).astype(np.uint8)
    corners = rng.uniform(0, (WIDTH - 40, HEIGHT - 40), (NUM_IMAGES, 3, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(14, 36, corners.shape)], -1)
    status = np.full((NUM_IMAGES, 3), OBJECT, np.int32)
    status[:, 2], status[3] = IGNORED, PADDING
    return images, {
        "boxes": boxes.astype(np.float32),
        "classes": rng.integers(0, 3, (NUM_IMAGES, 3)).astype(np.int32),
        "box_status": status,
        "num_dropped": np.ones(NUM_IMAGES, np.int32),
    }


def make_detector(kind, devices):
    import keras

    from mobilenetdet.models.detector import build_detector
    from mobilenetdet.training.optimizers import make_optimizer
    from mobilenetdet.training.teachers import Teachers

    config = detector_config(kind, devices)
    model, _ = build_detector(config)
    if kind == "student":
        model.teacher = Teachers([build_detector(config, seed=seed)[0] for seed in (1, 2)])
    jit = keras.backend.backend() == "jax"
    model.compile(make_optimizer(config.train, RATE), jit_compile=jit)
    return model


def make_classifier(devices):
    from mobilenetdet.classification.config import (
        ClassifierConfig,
        ClassifierModelConfig,
        ClassifierTrainConfig,
        ImageDataConfig,
    )
    from mobilenetdet.classification.train import compiled_classifier

    train = ClassifierTrainConfig(
        epochs=EPOCHS, batch_size=BATCH, warmup_epochs=0.0, schedule="constant",
        learning_rate=RATE, clip_norm=0.1, optimizer="sgd", momentum=0.0, devices=devices,
    )  # fmt: skip
    model = ClassifierModelConfig(alpha=0.25, weights="none", dropout=0.0, small_images=True)
    config = ClassifierConfig(data=ImageDataConfig(), model=model, train=train)
    return compiled_classifier(config, STEPS)


def class_batches():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (NUM_IMAGES, 32, 32, 3)).astype(np.uint8)
    return images, rng.integers(0, 10, NUM_IMAGES).astype(np.int32)


def fit(kind, devices):
    """Trains; returns the losses of the epochs, the weights and the averaged weights."""
    import keras
    import tensorflow as tf

    from mobilenetdet.training.ema import EmaWeights

    images = class_batches() if kind == "classifier" else detection_batches()
    with use_devices(devices, BATCH) as chosen:
        batches = tf.data.Dataset.from_tensor_slices(images).batch(BATCH).repeat(EPOCHS)
        with chosen.scope():
            model = (
                make_classifier(devices) if kind == "classifier" else make_detector(kind, devices)
            )
        if len(chosen.names) > 1:
            synchronise_batch_norm(model)
        ema = EmaWeights(model, 0.9, every=1)
        batches = chosen.divisible(batches, weigh=kind == "classifier")
        history = model.fit(
            batches, epochs=EPOCHS, steps_per_epoch=STEPS, verbose=0,
            shuffle=False, callbacks=[ema],
        ).history  # fmt: skip
        weights = [np.array(keras.ops.convert_to_numpy(v)) for v in model.weights]
    return history, weights, ema.averages


def compare(kind, count):
    many = fit(kind, f"cpu:{count}")
    one = fit(kind, "cpu:1")
    differences = {
        name: max(float(np.abs(a - b).max()) for a, b in zip(one[index], many[index], strict=True))
        for index, name in ((1, "weights"), (2, "averages"))
    }
    differences |= {
        name: float(np.abs(np.subtract(one[0][name], many[0][name])).max()) for name in one[0]
    }
    return differences | {"first loss": one[0]["loss"][0], "last loss": one[0]["loss"][-1]}


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        found = compare(sys.argv[1], int(sys.argv[2]))
    print(json.dumps(found | {"printed": printed.getvalue()}))
