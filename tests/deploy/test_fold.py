"""Folding changes no output, and leaves nothing to fold."""

import keras
import numpy as np
import pytest
from fixtures.exportable import KINDS, picture
from keras import ops

from mobilenetdet.deploy.fold import Folding, fold_detector, fold_model
from mobilenetdet.models.layers import innermost_layers
from mobilenetdet.models.mobilenet_v1 import build_mobilenet_v1


def raw(detector, image: np.ndarray) -> dict[str, np.ndarray]:
    found = detector(image[None], training=False)
    return {name: ops.convert_to_numpy(values) for name, values in found.items()}


@pytest.mark.parametrize("name", KINDS)
def test_a_folded_detector_predicts_the_same(small_detector, name: str):
    detector = small_detector(name).runtime.detector
    before = [w.numpy().copy() if hasattr(w, "numpy") else w for w in detector.weights[:5]]
    folded, image = fold_detector(detector), picture()
    for key, values in raw(detector, image).items():
        np.testing.assert_allclose(raw(folded, image)[key], values, atol=2e-4)
    for old, weight in zip(before, detector.weights, strict=False):
        np.testing.assert_array_equal(old, ops.convert_to_numpy(weight))


def test_another_size_has_the_same_weights(small_detector):
    from dataclasses import replace

    model = small_detector("squeezedet")
    data = replace(model.config.data, image_height=32, image_width=160)
    folded = fold_detector(model.runtime.detector, replace(model.config, data=data))
    assert raw(folded, picture(size=(32, 160)))["deltas"].shape == (1, 2 * 10 * 2, 4)


def test_a_classifier_folds_too():
    model = build_mobilenet_v1((32, 32, 3), alpha=0.25)
    folded = fold_model(model)
    norms = [n for n in innermost_layers(folded) if isinstance(n, keras.layers.BatchNormalization)]
    assert not norms
    image = picture(size=(32, 32))[None] / 127.5 - 1
    for key, values in model(image).items():
        np.testing.assert_allclose(folded(image)[key], values, atol=1e-5)


def test_what_cannot_be_folded_is_named():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="a")(inputs)  # with a bias of its own
    model = keras.Model(inputs, keras.layers.BatchNormalization(name="a_bn")(x))
    with pytest.raises(ValueError, match="a_bn follows no convolution that it folds into"):
        Folding().copy_model(model)


def test_channels_without_weights_get_tiny_ones_for_int8():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, use_bias=False, name="a")(inputs)
    model = keras.Model(inputs, keras.layers.BatchNormalization(name="a_bn")(x))
    kernel = np.random.default_rng(0).normal(0, 1, (3, 3, 3, 4))
    kernel[..., 1] = 0
    model.get_layer("a").set_weights([kernel])
    model.get_layer("a_bn").beta.assign([1.0, -2.0, 0.0, 0.0])
    folding = Folding(for_int8=True)
    folded = folding.copy_model(model)
    folding.copy_weights()
    lifted, bias = folded.get_layer("a").get_weights()
    assert np.abs(lifted[..., 1]).max() == pytest.approx(1e-4 * abs(bias[1]))
    exact = fold_model(model).get_layer("a").get_weights()[0]
    assert not exact[..., 1].any()
    np.testing.assert_array_equal(lifted[..., [0, 2, 3]], exact[..., [0, 2, 3]])
