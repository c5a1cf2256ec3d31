import keras
import numpy as np
import pytest
from keras import ops

from mobilenetdet.benchmark import backbone as backbone_benchmark
from mobilenetdet.benchmark.backbone import (
    OURS,
    OURS_WITH_KERAS_LAYERS,
    REFERENCE,
    time_backbone,
    with_keras_layers,
)
from mobilenetdet.benchmark.timing import Rounds
from mobilenetdet.models.mobilenet_v1 import build_mobilenet_v1


def test_with_keras_layers_is_the_same_network():
    ours = build_mobilenet_v1((64, 96, 3), alpha=0.25)
    plain = with_keras_layers(ours)
    assert {type(layer).__module__.split(".")[0] for layer in plain.layers} == {"keras"}
    assert [layer.name for layer in plain.layers[1:]] == [layer.name for layer in ours.layers[1:]]
    plain.set_weights(ours.get_weights())
    pixels = np.random.default_rng(0).uniform(-1, 1, (2, 64, 96, 3)).astype(np.float32)
    for training in (False, True):
        found, expected = ours(pixels, training=training), plain(pixels, training=training)
        assert list(found) == list(expected)
        # Normalising by the few values of a deep, small map makes rounding large.
        tolerance = 5e-3 if training else 1e-6
        for tap in found:
            np.testing.assert_allclose(found[tap], expected[tap], atol=tolerance)
    # The running statistics have moved alike.
    for ours_weight, weight in zip(ours.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours_weight, weight, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("installed", [True, False])
def test_backbones_are_compared_with_the_reference(monkeypatch, installed):
    images, asked = [], []

    def fake_step(*arguments: object) -> object:
        images.append(arguments[-1])
        return lambda: None

    def fake_median(steps: dict, rounds: Rounds) -> dict:
        asked.append(rounds)
        return {key: 10.0 * (index + 2) for index, key in enumerate(steps)}

    for name in ("_train_step", "_tf_keras_step"):
        monkeypatch.setattr(backbone_benchmark, name, fake_step)
    monkeypatch.setattr(backbone_benchmark, "median_milliseconds", fake_median)
    monkeypatch.setattr(backbone_benchmark, "tf_keras_installed", lambda: installed)
    rows = time_backbone(3, (32, 64), ("float32",), Rounds(1, 2))
    names = [REFERENCE, OURS_WITH_KERAS_LAYERS, OURS][0 if installed else 1 :]
    assert [row.network for row in rows] == names
    assert [row.ratio for row in rows] == ([1.0, 1.5, 2.0] if installed else [None, None])
    assert {(row.batch_size, row.image_size, row.precision) for row in rows} == {
        (3, (32, 64), "float32")
    }
    assert asked == [Rounds(1, 2)]
    assert {tuple(batch.shape) for batch in images} == {(3, 32, 64, 3)}


def test_a_train_step_trains():
    model = keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Dense(1)])
    before = model.get_weights()[0]
    step = backbone_benchmark._train_step(model, keras.optimizers.SGD(0.1), ops.ones((1, 2, 2, 3)))
    step()
    output = before.sum()  # the loss is its square
    np.testing.assert_allclose(model.get_weights()[0], before - 0.1 * 2 * output, rtol=1e-5)
