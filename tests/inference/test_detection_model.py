from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from mobilenetdet.config.detection import (
    DataConfig,
    DetectionConfig,
    LevelConfig,
    ModelConfig,
    PostprocessConfig,
    SqueezeDetHeadConfig,
    SsdHeadConfig,
)
from mobilenetdet.inference.detection_model import DetectionModel, average_mirrored
from mobilenetdet.models.detector import Detector, build_detector

HEIGHT, WIDTH = 64, 128
SHAPES = ((32.0, 20.0), (12.0, 28.0))
SQUEEZEDET = DetectionConfig(
    data=DataConfig(image_height=HEIGHT, image_width=WIDTH),
    model=ModelConfig(
        alpha=0.25,
        weights="none",
        levels=(LevelConfig(16, SHAPES),),
        batch_norm_momentum=0.01,
    ),
    head=SqueezeDetHeadConfig(blocks=1, channels=16),
)


def ssd(*strides: int, **data: int) -> DetectionConfig:
    """The same with SSD's head and one shape a level."""
    levels = tuple(LevelConfig(stride, SHAPES[i % 2 :][:1]) for i, stride in enumerate(strides))
    return replace(
        SQUEEZEDET,
        data=replace(SQUEEZEDET.data, **data),
        model=replace(SQUEEZEDET.model, levels=levels),
        head=SsdHeadConfig(blocks=1, channels=16),
    )


def make_detector(config: DetectionConfig, images: np.ndarray) -> Detector:
    """A detector that predicts something else at every cell, unlike a fresh one."""
    detector, _ = build_detector(config)
    rng = np.random.default_rng(0)
    for weight in detector.head.weights:
        if "kernel" in weight.path:
            weight.assign(rng.normal(0, 0.5, weight.shape))
    detector(images, training=True)  # so that the normalised features have a variance of 1
    return detector


def detect(detector: Detector, images: np.ndarray, *, mirror: bool) -> dict[str, np.ndarray]:
    config = PostprocessConfig(mirror=mirror, max_detections=8, max_candidates=16)
    found = DetectionModel(detector, config)(images)
    return {name: ops.convert_to_numpy(value) for name, value in found.items()}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (2, HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.mark.parametrize("config", [SQUEEZEDET, ssd(16, 32)], ids=["squeezedet", "ssd"])
def test_the_mirror_image_has_the_mirrored_detections(images, config):
    detector = make_detector(config, images)
    found = detect(detector, images, mirror=True)
    mirrored = detect(detector, images[:, :, ::-1], mirror=True)
    real = found["scores"] > 0
    assert np.count_nonzero(real) > 8
    np.testing.assert_allclose(mirrored["scores"], found["scores"], rtol=1e-4)
    np.testing.assert_array_equal(mirrored["classes"], found["classes"])
    back = mirrored["boxes"][..., [2, 1, 0, 3]] * [-1, 1, -1, 1] + [WIDTH, 0, WIDTH, 0]
    np.testing.assert_allclose(back[real], found["boxes"][real], atol=0.05)
    # Without it the network sees two different images.
    once = detect(detector, images, mirror=False)
    other = detect(detector, images[:, :, ::-1], mirror=False)
    assert not np.allclose(once["scores"], other["scores"], rtol=1e-2)


def test_each_anchor_is_averaged_with_its_mirror_image():
    # Three cells in a row with two shapes each.
    order = np.array([4, 5, 2, 3, 0, 1])
    rng = np.random.default_rng(0)
    first = {"deltas": rng.normal(size=(1, 6, 4)), "confidence_logits": rng.normal(size=(1, 6))}
    second = {name: rng.normal(size=value.shape) for name, value in first.items()}
    first, second = (
        {name: value.astype(np.float32) for name, value in of.items()} for of in (first, second)
    )
    found = average_mirrored(first, second, order)
    for anchor, other in enumerate(order):
        dx, *rest = second["deltas"][0, other]
        expected = (first["deltas"][0, anchor] + [-dx, *rest]) / 2
        np.testing.assert_allclose(found["deltas"][0, anchor], expected, rtol=1e-6)
        expected = (
            first["confidence_logits"][0, anchor] + second["confidence_logits"][0, other]
        ) / 2
        np.testing.assert_allclose(found["confidence_logits"][0, anchor], expected, rtol=1e-6)


def test_anchors_without_a_mirror_image_are_refused(images):
    detector = make_detector(ssd(32, 64, image_width=96), images[:, :, :96])
    with pytest.raises(ValueError, match=r"stride 64.*data\.image_width a multiple of 64"):
        DetectionModel(detector, PostprocessConfig(mirror=True))
    assert isinstance(DetectionModel(detector, PostprocessConfig()), keras.Model)


class TwoBoxes(keras.Model):
    """Stands for a detector: finds the same car and pedestrian in every image."""

    image_size = (HEIGHT, WIDTH)
    anchors = None

    class Head:
        def boxes(self, predictions, anchors, index):
            boxes = ops.convert_to_tensor([[0.0, 0, 20, 20], [10, 10, 90, 60]])
            return ops.take(boxes, index, axis=0) + predictions[:, None, None]

        def scores(self, predictions):
            scores = ops.convert_to_tensor([[0.9, 0.1], [0.1, 0.8]])
            return scores + predictions[:, None, None]

    head = Head()

    def call(self, images, training=None):
        return 0.0 * ops.sum(ops.cast(images, "float32"), axis=(1, 2, 3))


def test_detection_model_runs_compiled(tensorflow_only):
    model = DetectionModel(TwoBoxes(), PostprocessConfig(score_threshold=0.5))
    model.compile(jit_compile=False)
    found = model.predict_on_batch(np.zeros((3, HEIGHT, WIDTH, 3), np.uint8))
    classes = ops.convert_to_numpy(found["classes"])
    assert classes.tolist() == [[0, 1, -1, -1]] * 3
    np.testing.assert_array_equal(
        ops.convert_to_numpy(found["boxes"])[2, :2], [[0, 0, 20, 20], [10, 10, 90, 60]]
    )
