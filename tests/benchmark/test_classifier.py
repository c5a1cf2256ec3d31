import keras
import numpy as np
import pytest
import tensorflow as tf

from mobilenetdet.benchmark import classifier as benchmark
from mobilenetdet.benchmark.classifier import (
    FOLDED,
    FUSED,
    NOT_FUSED,
    _directions,
    time_classifier,
)
from mobilenetdet.benchmark.timing import Rounds


@pytest.fixture
def small(monkeypatch) -> None:
    """A network of few layers in the place of MobileNetV1."""

    def build(input_shape, *, num_classes, alpha):
        images = keras.Input(input_shape)
        x = keras.layers.Conv2D(4, 3, use_bias=False, name="conv1")(images)
        x = keras.layers.BatchNormalization(name="conv1_bn")(x)
        x = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = keras.layers.Conv2D(num_classes, 1, name="conv_preds")(x)
        return keras.Model(images, keras.layers.Reshape((num_classes,))(x))

    monkeypatch.setattr("mobilenetdet.classification.model.build_classifier", build)
    monkeypatch.setattr(benchmark, "NUM_CLASSES", 3)


def test_float_rows_have_both_directions_and_exported_ones_none_backward(small):
    rows, left_out = time_classifier((32, 64), Rounds(0, 1), formats=("frozen_graph",))
    on_cpu = [row for row in rows if row.device == "CPU"]
    assert [(row.batch_norm, row.precision) for row in on_cpu] == [
        (FUSED, "float32"), (NOT_FUSED, "float32"), (FOLDED, "float32"),
    ]  # fmt: skip
    assert all(row.forward_milliseconds > 0 and row.image_size == (32, 64) for row in rows)
    assert all((row.forward_backward_milliseconds or 1) > 0 for row in rows)
    assert [row.forward_backward_milliseconds is None for row in on_cpu] == [False, False, True]
    assert on_cpu[0].engine == f"TensorFlow {tf.__version__}"
    assert left_out == ["frozen_graph has no int8; litert, onnx and openvino have"]


def test_backward_gives_the_gradients_of_all_weights():
    model = keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Dense(1)])
    forward, backward = _directions(model, "CPU")
    images = tf.ones((1, 2, 2, 3))
    np.testing.assert_allclose(forward(images), model(images))
    output = model.get_weights()[0].sum()  # the loss is its square
    kernel, bias = backward(images)
    np.testing.assert_allclose(kernel, np.full((3, 1), 2 * output), rtol=1e-5)
    np.testing.assert_allclose(bias, [2 * output], rtol=1e-5)


@pytest.mark.slow
def test_eight_bits_of_the_real_network():
    for package in ("ai_edge_litert", "litert_quantizer", "openvino", "nncf"):
        pytest.importorskip(package, reason="the extra [export] is not installed")
    rows, left_out = time_classifier((64, 64), Rounds(0, 1), alpha=0.25)
    exported = [row for row in rows if row.batch_norm == FOLDED]
    assert [row.precision for row in exported] == ["float32", "int8"] * 2 and not left_out
    assert [row.engine.split()[0] for row in exported] == ["LiteRT"] * 2 + ["OpenVINO"] * 2
