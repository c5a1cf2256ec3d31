"""Input pipelines are taken as they are: AutoGraph writes a file for each one it translates."""

import tempfile
from dataclasses import replace

import keras
import pytest
import tensorflow as tf

from mobilenetdet.classification.batches import open_images
from mobilenetdet.classification.config import ClassifierConfig, ImageDataConfig
from mobilenetdet.classification.evaluate import make_predictor
from mobilenetdet.classification.presets import make_classifier_preset
from mobilenetdet.classification.train import compiled_classifier
from mobilenetdet.data.pipeline import eval_batches, train_batches
from mobilenetdet.distribution.devices import Devices


@pytest.fixture
def written(monkeypatch):
    """The files that AutoGraph has asked for."""
    found = []
    make_file = tempfile.NamedTemporaryFile

    def spy(*args, **options):
        if "autograph" in options.get("prefix", ""):
            found.append(options["prefix"])
        return make_file(*args, **options)

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", spy)
    return found


def first(batches):
    return next(batches.as_numpy_iterator())


def test_what_is_not_excepted_is_translated(written):
    first(tf.data.Dataset.range(2).map(lambda value: value + 1))
    assert len(written) == 1


@pytest.mark.parametrize("num_shares", [1, 3])
def test_batches_of_detectors(small_config, written, num_shares):
    train = replace(small_config.train, record_shares=num_shares, batch_size=3)
    config = replace(small_config, train=train)
    batches = train_batches(config, num_epochs=1)
    list(Devices(("cpu:0", "cpu:1")).divisible(batches).as_numpy_iterator())
    list(eval_batches(config, "val", range(1)).as_numpy_iterator())
    assert not written


def test_batches_of_classifiers(small_cifar10, class_records, written):
    for folder, options in (
        (small_cifar10, {}),
        (class_records, {"dataset": "imagenet", "image_size": 32, "num_classes": 4}),
    ):
        config = make_classifier_preset("cifar10")
        data = ImageDataConfig(data_dir=str(folder), **options)
        config = ClassifierConfig(data=data, train=replace(config.train, batch_size=8))
        images = open_images(config)
        first(Devices(("cpu:0", "cpu:1")).divisible(images.train_batches(0, 1), weigh=True))
        first(images.test_batches())
    assert not written


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="about TensorFlow's functions")
def test_the_forward_pass_of_a_classifier(written):
    config = make_classifier_preset("cifar10")
    config = replace(config, model=replace(config.model, alpha=0.25))
    predict = make_predictor(compiled_classifier(config, 1))
    assert predict(tf.zeros([2, 32, 32, 3], tf.uint8).numpy()).shape == (2, 10)
    assert not written
