from collections.abc import Iterator

import keras
import pytest
import tensorflow as tf
from keras import ops

from mobilenetdet.benchmark.detector import random_batch, time_detector, time_inference
from mobilenetdet.benchmark.timing import Rounds
from mobilenetdet.boxes.box_status import OBJECT
from mobilenetdet.config.detection import (
    DataConfig,
    DetectionConfig,
    LevelConfig,
    ModelConfig,
    SqueezeDetHeadConfig,
    TrainConfig,
)

CONFIG = DetectionConfig(
    data=DataConfig(image_height=64, image_width=64, classes=("Car", "Pedestrian")),
    model=ModelConfig(alpha=0.25, weights="none", levels=(LevelConfig(16, ((32.0, 20.0),)),)),
    head=SqueezeDetHeadConfig(blocks=0),
    train=TrainConfig(batch_size=2, precision="mixed_bfloat16"),
)


@pytest.fixture
def eager() -> Iterator[None]:
    """Runs functions as they are: tracing them takes longer than these tests should."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_detector_and_inference_are_timed_and_leave_the_policy(eager):
    before = keras.config.dtype_policy()
    detector = time_detector("tiny", CONFIG, Rounds(0, 1))
    inference = time_inference("tiny", CONFIG, Rounds(0, 1))
    assert keras.config.dtype_policy() is before
    assert (detector.preset, detector.batch_size, detector.image_size) == ("tiny", 2, (64, 64))
    assert detector.precision == inference.precision == "mixed_bfloat16"
    assert detector.loss_share == detector.loss_milliseconds / detector.milliseconds
    assert 0 < detector.loss_share < 1
    assert inference.forward_milliseconds > 0 and inference.decode_nms_milliseconds > 0


def test_batches_look_like_those_of_the_pipeline():
    images, targets = random_batch(CONFIG, 3)
    assert images.shape == (3, 64, 64, 3) and images.dtype == "uint8"
    box_status = ops.convert_to_numpy(targets["box_status"])
    classes, boxes = (ops.convert_to_numpy(targets[name]) for name in ("classes", "boxes"))
    assert boxes.shape == (3, 16, 4) and (box_status.sum(axis=1) == 6 * OBJECT).all()
    assert (
        set(classes[box_status == OBJECT]) == {0, 1} and (classes[box_status != OBJECT] == -1).all()
    )
    assert (boxes[box_status == OBJECT][:, 2:] > boxes[box_status == OBJECT][:, :2]).all()
    assert not boxes[box_status != OBJECT].any()


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="KERAS_BACKEND is 'jax'"):
        time_inference("tiny", CONFIG, Rounds(0, 1))
