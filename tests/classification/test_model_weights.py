"""Weights into classifiers: Keras' published files, those of detectors and of other classifiers."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from mobilenetdet.classification.model import build_classifier, load_classifier_weights
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.models.backbone_weights import load_backbone_weights
from mobilenetdet.models.detector import build_detector
from mobilenetdet.models.weight_file import read_weight_file


@pytest.mark.parametrize("source", ["classifier", "detector"])
@pytest.mark.parametrize("target", ["backbone", "classifier"])
def test_weights_move_between_classifier_and_detector(small_config, tmp_path, source, target):
    models = {"classifier": classifier(), "detector": detector(small_config)}
    path = tmp_path / "run.weights.h5"
    models[source].save_weights(path)
    if target == "backbone":
        fresh = detector(small_config, seed=1).backbone
        report = load_backbone_weights(fresh, str(path), alpha=0.25)
    else:
        fresh = classifier(seed=1, num_classes=5)
        report = load_classifier_weights(fresh, str(path), alpha=0.25)
    giver = models["classifier"] if source == "classifier" else models["detector"].backbone
    assert {"conv1", "conv_dw_5", "conv_pw_5_bn"} <= set(report.loaded)
    for name in report.loaded:
        pairs = (model.get_layer(name).get_weights() for model in (giver, fresh))
        for given, found in zip(*pairs, strict=True):
            np.testing.assert_array_equal(given, found)
    own = {layer.name for layer in fresh.layers if layer.weights}
    head = {"conv_preds"} & own
    # The detector's backbone stops at its last map.
    beyond = own - head - {layer.name for layer in models["detector"].backbone.layers}
    listed = {text.split(" ")[0] for text in report.mismatched} | set(report.missing)
    assert listed == (head if source == "classifier" else head | beyond)
    assert ("prediction" in report.unused) == (source == "detector")
    assert bool(report.mismatched) == (source == target == "classifier")


def classifier(*, seed: int = 0, num_classes: int = 3) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return build_classifier((32, 32, 3), num_classes=num_classes, alpha=0.25)


def detector(config: DetectionConfig, *, seed: int = 0) -> keras.Model:
    return build_detector(replace(config, train=replace(config.train, seed=seed)))[0]


def test_another_width_is_refused(small_config, tmp_path):
    path = tmp_path / "wide.weights.h5"
    build_classifier((32, 32, 3), num_classes=3, alpha=0.5).save_weights(path)
    with pytest.raises(ValueError, match="has alpha 0.5, and --model.alpha is 0.25"):
        load_backbone_weights(detector(small_config).backbone, str(path), alpha=0.25)
    with pytest.raises(ValueError, match="is alpha the same") as error:
        load_classifier_weights(classifier(), str(path), alpha=0.25)
    assert "narrow" not in str(error.value)  # a classifier cannot be told to


@pytest.mark.parametrize(
    ("file", "alpha"),
    [("mobilenet_2_5_224_tf_no_top.h5", 0.25), ("mobilenet_1_0_224_tf_no_top_partial.h5", 1.0)],
)
def test_published_backbone_weights_into_a_classifier(shared_dir, file, alpha):
    path = shared_dir / "weights" / file
    model = build_classifier((32, 32, 3), num_classes=10, alpha=alpha)
    head = model.get_layer("conv_preds").get_weights()
    report = load_classifier_weights(model, str(path), alpha=alpha)
    assert (len(report.loaded), report.missing) == (54, ["conv_preds"])
    assert not report.mismatched and not report.unused
    stored = read_weight_file(path)
    for name in report.loaded:
        for array, found in zip(stored[name], model.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(array, found)
    np.testing.assert_array_equal(head[0], model.get_layer("conv_preds").get_weights()[0])


@pytest.mark.parametrize(
    ("shape", "num_classes", "alpha", "name"),
    [
        ((224, 224, 3), 1000, 1.0, "mobilenet_1_0_224_tf.h5"),
        ((160, 160, 3), 1000, 0.5, "mobilenet_5_0_160_tf.h5"),
        # Without a file of that size, the best one; without those classes, without their layer.
        ((96, 96, 3), 1000, 0.25, "mobilenet_2_5_224_tf.h5"),
        ((160, 128, 3), 1000, 0.25, "mobilenet_2_5_224_tf.h5"),
        ((None, None, 3), 1000, 0.25, "mobilenet_2_5_224_tf.h5"),
        ((128, 128, 3), 10, 0.75, "mobilenet_7_5_128_tf_no_top.h5"),
    ],
)
def test_imagenet_weights_of_classifiers(downloads, shape, num_classes, alpha, name):
    inputs = keras.Input(shape)
    x = keras.layers.Conv2D(2, 1, use_bias=False, name="conv")(inputs)
    x = keras.layers.Dense(4, name="dense")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, keras.layers.Dense(num_classes, name="conv_preds")(x))
    report = load_classifier_weights(model, "imagenet", alpha=alpha)
    assert [asked["name"] for asked in downloads] == [name]
    assert (report.loaded, report.missing) == (["conv", "dense"], ["conv_preds"])


def test_none_loads_nothing():
    assert load_classifier_weights(classifier(), "none", alpha=0.3) is None
