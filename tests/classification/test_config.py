import inspect
import json

import pytest

from mobilenetdet.classification.config import (
    ClassifierConfig,
    ClassifierModelConfig,
    ClassifierTrainConfig,
    ImageDataConfig,
)
from mobilenetdet.classification.presets import CLASSIFIER_PRESETS, make_classifier_preset
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.schema import config_keys
from mobilenetdet.config.storage import from_json, read_config, to_json
from mobilenetdet.distribution.cluster import Cluster

SHARED = ClassifierTrainConfig(record_shares=2)
IMAGENET_PRESET = make_classifier_preset("imagenet")


class TwoProcesses(Cluster):
    """Processes that agree on everything."""

    def agree(self, values):
        pass


SECTIONS = {
    "data": ImageDataConfig,
    "model": ClassifierModelConfig,
    "train": ClassifierTrainConfig,
}


def message_of(tree: dict) -> str:
    with pytest.raises(ValueError) as error:
        from_json(json.dumps(tree), "config.json", ClassifierConfig)
    return str(error.value)


@pytest.mark.parametrize("name", CLASSIFIER_PRESETS)
def test_presets_come_back_from_json_and_say_what_they_are(name):
    config = make_classifier_preset(name)
    assert from_json(to_json(config), "config.json", ClassifierConfig) == config
    first, *rest = inspect.getdoc(CLASSIFIER_PRESETS[name]).split("\n\n")
    assert first.endswith(".")
    assert rest, f"{name}: state data, hardware, time and result, or that it was not run"


def test_the_originals_decay():
    train = make_classifier_preset("cifar10_original").train
    assert (train.schedule, train.decay_rate, train.decay_epochs) == ("exponential", 0.99, 1.0)


def test_unknown_presets_name_the_nearest():
    with pytest.raises(ValueError, match="unknown preset 'cifar'; did you mean cifar10"):
        make_classifier_preset("cifar")


def test_keys_are_those_of_the_kind():
    keys = config_keys(ClassifierConfig)
    assert {"data.cutout", "model.small_images", "train.label_smoothing"} <= set(keys)
    assert "train.tensorboard_images" not in keys  # a detector's
    assert "train.label_smoothing" not in config_keys(DetectionConfig)


def test_faults_name_the_kind_and_the_nearest_of_its_keys():
    assert message_of({"train": {"label_smooth": 0.1}, "data": {"image_size": "big"}}) == (
        "config.json is not a classifier config:\n"
        "  data.image_size: Input should be a valid integer, unable to parse string as an integer,"
        " not 'big'\n"
        "  unknown key train.label_smooth; did you mean train.label_smoothing?"
    )


def test_a_run_without_config_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match="mobilenetdet train_classifier has written"):
        read_config(tmp_path / "config.json", ClassifierConfig)


def test_cifar10_has_no_records_to_divide():
    assert "train.record_shares is 2; it must be 1 for cifar10, which has no records" in message_of(
        {"train": {"record_shares": 2}}
    )
    assert ClassifierConfig(data=ImageDataConfig(dataset="imagenet"), train=SHARED).has_records
    assert not ClassifierConfig().has_records


def test_what_imagenet_does_not_go_by_refuses_nothing():
    assert (
        ImageDataConfig(dataset="imagenet", image_size=224, cutout=64, crop_padding=40).cutout == 64
    )


def test_the_preset_for_enlarged_images_keeps_the_strides_of_its_weights():
    config = make_classifier_preset("cifar10_transfer")
    assert config.input_shape == (96, 96, 3) and not config.model.small_images
    assert config.model.weights == "imagenet"


def test_processes_that_train_on_cifar10_divide_no_records():
    for config, shares in ((make_classifier_preset("cifar10"), 1), (IMAGENET_PRESET, 2)):
        assert TwoProcesses(0, 2).settle(config).train.record_shares == shares
    with pytest.raises(ValueError, match="train.batch_size is 128; it must be a multiple of the 3"):
        TwoProcesses(0, 3).settle(make_classifier_preset("cifar10"))


IMAGENET = {"dataset": "imagenet"}
OUT_OF_RANGE = [
    ("data", {"image_size": 31}, "data.image_size is 31; it must be 32 or more"),
    ("data", {"num_classes": 7}, "data.num_classes is 7; it must be 10 for cifar10"),
    ("data", IMAGENET | {"image_size": 31}, "data.image_size is 31; it must be 32 or more"),
    ("data", IMAGENET | {"num_classes": 1}, "data.num_classes is 1; it must be 2 or more"),
    ("data", {"shuffle_buffer": 0}, "data.shuffle_buffer is 0; it must be above 0"),
    ("data", {"flip": 1.5}, "data.flip is 1.5; it must be at most 1"),
    ("data", {"colour": -0.5}, "data.colour is -0.5; it must be 0 or more"),
    ("data", {"min_area": 0.0}, "data.min_area is 0.0; it must be above 0"),
    ("data", {"crop_padding": -1}, "data.crop_padding is -1; it must be 0 or more"),
    ("data", {"crop_padding": 33}, "data.crop_padding is 33; it must be at most 32"),
    ("data", {"cutout": 33}, "data.cutout is 33; it must be at most 32"),
    ("data", IMAGENET | {"num_classes": 10**7}, "data.num_classes is 10000000; it must be at most"),
    ("model", {"alpha": 0.0}, "model.alpha is 0.0; it must be above 0"),
    ("model", {"alpha": 9.0}, "model.alpha is 9.0; it must be at most 8"),
    ("model", {"dropout": 1.0}, "model.dropout is 1.0; it must be below 1"),
    ("model", {"batch_norm_momentum": -1.0}, "model.batch_norm_momentum is -1.0"),
    ("model", {"frozen_blocks": 14}, "model.frozen_blocks is 14; it must be at most 13"),
    ("model", {"frozen_blocks": -1}, "model.frozen_blocks is -1; it must be 0 or more"),
    ("train", {"label_smoothing": 1.0}, "train.label_smoothing is 1.0; it must be below 1"),
    ("train", {"epochs": 0}, "train.epochs is 0; it must be above 0"),
]


@pytest.mark.parametrize(("section", "values", "expected"), OUT_OF_RANGE)
def test_values_out_of_range_are_refused(section, values, expected):
    with pytest.raises(ValueError) as error:
        SECTIONS[section](**values)
    assert expected in str(error.value)
    assert expected in message_of({section: values})


def test_random_weights_that_are_frozen_are_noted():
    (note,) = ClassifierModelConfig(frozen_blocks=4).notes()
    assert "frozen_blocks 4 keeps random weights" in note and "--model.frozen_blocks 0" in note
    assert ClassifierModelConfig(frozen_blocks=4, weights="imagenet").notes() == []
    assert ClassifierModelConfig().notes() == []
