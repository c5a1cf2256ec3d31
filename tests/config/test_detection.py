import dataclasses
import json

import pytest

from mobilenetdet.config.detection import (
    AugmentConfig,
    DataConfig,
    DetectionConfig,
    EvalConfig,
    LossConfig,
    MatchingConfig,
    ModelConfig,
    PostprocessConfig,
    TrainConfig,
)
from mobilenetdet.config.presets import PRESETS, make_preset
from mobilenetdet.config.storage import config_keys, from_json, read_config, to_json, with_changes

SECTIONS = {
    "data": DataConfig,
    "augment": AugmentConfig,
    "model": ModelConfig,
    "matching": MatchingConfig,
    "loss": LossConfig,
    "postprocess": PostprocessConfig,
    "train": TrainConfig,
    "eval": EvalConfig,
}


def message_of(tree: dict) -> str:
    with pytest.raises(ValueError) as error:
        from_json(json.dumps(tree), "config.json")
    return str(error.value)


@pytest.mark.parametrize("name", PRESETS)
def test_json_round_trip(name):
    config = make_preset(name)
    assert from_json(to_json(config), "config.json") == config


def test_changed_leaves_come_back_with_their_types():
    config = DetectionConfig(
        data=DataConfig(classes=("Van", "Truck"), image_height=64, image_width=96),
        model=ModelConfig(anchors=((10.0, 20.0),), strides=(8,), weights="some/file.h5"),
        train=TrainConfig(schedule="step", precision="mixed_bfloat16", ema=0.0),
    )
    restored = from_json(to_json(config), "config.json")
    assert restored == config
    assert restored.model.anchors == ((10.0, 20.0),)
    assert isinstance(restored.data.classes, tuple)
    assert restored.image_size == (64, 96)
    assert restored.num_classes == 2


@pytest.mark.parametrize(
    ("size", "scale", "expected"),
    [
        ((512, 1664), 0.75, (384, 1248)),
        ((64, 96), 1.0, (64, 96)),
        ((64, 160), 0.5, (32, 64)),  # 80 lies between 64 and 96
        ((32, 64), 0.1, (32, 32)),
    ],
)
def test_training_images_are_scaled_to_multiples_of_32(size, scale, expected):
    config = DetectionConfig(
        data=DataConfig(image_height=size[0], image_width=size[1]),
        train=TrainConfig(image_scale=scale),
    )
    small = config.for_training()
    assert small.image_size == expected and config.image_size == size
    assert small.for_training() == small


def test_absent_leaves_take_their_defaults():
    config = from_json('{"train": {"epochs": 3}}', "config.json")
    assert config == DetectionConfig(train=TrainConfig(epochs=3))


def test_configs_cannot_be_changed_and_are_hashable():
    config = DetectionConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.train.epochs = 3
    assert hash(config) == hash(DetectionConfig())


def test_keys_are_the_leaves():
    keys = config_keys()
    assert {"train.batch_size", "model.anchors", "data.records_dir"} <= set(keys)
    assert len(keys) == sum(len(dataclasses.fields(kind)) for kind in SECTIONS.values())


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (
            {"train": {"batchsize": 8}},
            "unknown key train.batchsize; did you mean train.batch_size?",
        ),
        ({"model": {"aplha": 1.0}}, "unknown key model.aplha; did you mean model.alpha?"),
        ({"trian": {"epochs": 8}}, "unknown key trian; did you mean train?"),
        ({"data": {"classes": ["Car"], "x_y_z": 1}}, "unknown key data.x_y_z"),
    ],
)
def test_unknown_keys_name_the_nearest(tree, expected):
    assert message_of(tree).splitlines() == [
        "config.json is not a detection config:",
        f"  {expected}",
    ]


@pytest.mark.parametrize(
    ("section", "leaf", "value", "expected"),
    [
        ("train", "epochs", "many", "train.epochs: Input should be a valid integer"),
        ("train", "epochs", 1.5, "train.epochs: Input should be a valid integer"),
        ("train", "learning_rate", None, "train.learning_rate: Input should be a valid number"),
        ("train", "schedule", "linear", "train.schedule: Input should be 'cosine', 'exponential'"),
        ("train", "precision", "float64", "train.precision: Input should be 'float32'"),
        ("data", "classes", "Car", "data.classes: Input should be a valid"),
        ("data", "classes", ["Car", 2], "data.classes.1: Input should be a valid string"),
        ("data", "image_height", [384], "data.image_height: Input should be a valid integer"),
        ("model", "strides", [4], "model.strides.0: Input should be 8, 16, 32, 64 or 128"),
        ("model", "anchors", [[1, 2, 3]], "model.anchors.0: "),
        ("augment", "enabled", "perhaps", "augment.enabled: Input should be a valid boolean"),
        ("eval", "protocol", "2018", "eval.protocol: Input should be 'current' or 'pre2017'"),
    ],
)
def test_wrong_types_name_key_and_value(section, leaf, value, expected):
    (line,) = message_of({section: {leaf: value}}).splitlines()[1:]
    assert line.startswith(f"  {expected}")
    assert ", not " in line


OUT_OF_RANGE = [
    ("data", {"image_height": 375}, "data.image_height is 375; it must be a multiple of 32"),
    ("data", {"image_width": 0}, "data.image_width is 0; it must be a multiple of 32"),
    ("data", {"image_width": -32}, "data.image_width is -32"),
    ("data", {"classes": ()}, "data.classes is (); it must be one or more distinct names"),
    ("data", {"classes": ("Car", "car")}, "data.classes is ('Car', 'car')"),
    ("data", {"shuffle_buffer": 0}, "data.shuffle_buffer is 0; it must be positive"),
    ("augment", {"flip": 1.5}, "augment.flip is 1.5; it must be between 0 and 1"),
    ("augment", {"flip": 2}, "augment.flip is 2"),
    ("augment", {"brightness": -0.1}, "augment.brightness is -0.1"),
    ("augment", {"min_visibility": 1.1}, "augment.min_visibility is 1.1"),
    ("augment", {"min_box_size": -1.0}, "augment.min_box_size is -1.0; it must be 0 or more"),
    ("augment", {"crop_min_scale": 0.0}, "augment.crop_min_scale is 0.0; it must be above 0"),
    ("model", {"alpha": 0.0}, "model.alpha is 0.0; it must be above 0"),
    ("model", {"anchors": ()}, "model.anchors is (); it must be one or more"),
    ("model", {"anchors": ((10.0, 0.0),)}, "model.anchors is ((10.0, 0.0),)"),
    ("model", {"batch_norm_momentum": 1.0}, "model.batch_norm_momentum is 1.0; it must be in [0,"),
    ("model", {"dropout": 1.0}, "model.dropout is 1.0; it must be in [0, 1)"),
    ("model", {"dropout": -0.5}, "model.dropout is -0.5"),
    ("model", {"frozen_blocks": 14}, "model.frozen_blocks is 14; it must be 0 to 13"),
    ("model", {"frozen_blocks": -1}, "model.frozen_blocks is -1"),
    ("model", {"pyramid_channels": -1}, "model.pyramid_channels is -1; it must be 0 or more"),
    ("model", {"head_blocks": 9}, "model.head_blocks is 9; it must be 0 to 8"),
    ("model", {"head_channels": 0}, "model.head_channels is 0; it must be above 0"),
    (
        "matching",
        {"ignore_iou": 0.7, "positive_iou": 0.6},
        "matching.ignore_iou, positive_iou is (0.7, 0.6); it must be 0 < ignore <= positive <= 1",
    ),
    ("matching", {"ignore_iou": 0.0}, "it must be 0 < ignore <= positive <= 1"),
    ("matching", {"positive_iou": 1.1}, "it must be 0 < ignore <= positive <= 1"),
    ("matching", {"dont_care_overlap": 0.0}, "matching.dont_care_overlap is 0.0"),
    ("matching", {"dont_care_overlap": 1.1}, "it must be in (0, 1]"),
    ("loss", {"box": -1.0}, "loss.box is -1.0; it must be 0 or more"),
    ("loss", {"confidence_positive": -1.0}, "loss.confidence_positive is -1.0"),
    ("loss", {"confidence_negative": -1.0}, "loss.confidence_negative is -1.0"),
    ("loss", {"classification": -1.0}, "loss.classification is -1.0"),
    ("postprocess", {"score_threshold": 1.5}, "postprocess.score_threshold is 1.5"),
    ("postprocess", {"nms_iou": -0.1}, "postprocess.nms_iou is -0.1; it must be between 0 and 1"),
    ("postprocess", {"max_detections": 0}, "postprocess.max_detections is 0; it must be above 0"),
    (
        "postprocess",
        {"max_candidates": 9, "max_detections": 10},
        "postprocess.max_candidates is 9; it must be at least 10",
    ),
    ("train", {"epochs": 0}, "train.epochs is 0; it must be above 0"),
    ("train", {"batch_size": 0}, "train.batch_size is 0; it must be above 0"),
    ("train", {"learning_rate": 0.0}, "train.learning_rate is 0.0"),
    ("train", {"learning_rate": float("nan")}, "train.learning_rate is nan"),
    ("train", {"decay_rate": 0.0}, "train.decay_rate is 0.0"),
    ("train", {"decay_epochs": -1.0}, "train.decay_epochs is -1.0"),
    ("train", {"weight_decay": -1e-4}, "train.weight_decay is -0.0001; it must be 0 or more"),
    ("train", {"clip_norm": -1.0}, "train.clip_norm is -1.0"),
    ("train", {"eval_every": -1}, "train.eval_every is -1"),
    ("train", {"warmup_epochs": -1.0}, "train.warmup_epochs is -1.0; it must be 0 or more"),
    (
        "train",
        {"epochs": 2, "warmup_epochs": 2.0},
        "train.warmup_epochs is 2.0; it must be below train.epochs, 2",
    ),
    ("train", {"backbone_rate": 0.0}, "train.backbone_rate is 0.0; it must be above 0, at most 1"),
    ("train", {"momentum": 1.0}, "train.momentum is 1.0; it must be in [0, 1)"),
    ("train", {"ema": -0.1}, "train.ema is -0.1"),
    ("eval", {"batch_size": 0}, "eval.batch_size is 0; it must be above 0"),
    ("eval", {"num_overlays": -1}, "eval.num_overlays is -1; it must be 0 or more"),
    ("eval", {"overlay_score": 2.0}, "eval.overlay_score is 2.0; it must be between 0 and 1"),
]


def test_a_calibration_has_a_rising_line_for_each_class():
    lines = ((1.0, 0.5), (2.0, 0.0))
    with pytest.raises(ValueError, match="empty, or one pair for each of .*Cyclist"):
        DetectionConfig(postprocess=PostprocessConfig(calibration=lines))
    lines += ((0.0, 0.0),)
    with pytest.raises(ValueError, match="postprocess.calibration is .* slopes above 0"):
        PostprocessConfig(calibration=lines)


@pytest.mark.parametrize(("section", "values", "expected"), OUT_OF_RANGE)
def test_values_out_of_range_are_refused(section, values, expected):
    with pytest.raises(ValueError) as error:
        SECTIONS[section](**values)
    assert expected in str(error.value)
    # The same in a file; an integer that should be a number becomes one on the way.
    (line,) = message_of({section: values}).splitlines()[1:]
    assert line.replace("2.0;", "2;") == f"  {error.value}".replace("2.0;", "2;")


def test_every_fault_is_named():
    tree = {"train": {"batch_size": 0}, "model": {"aplha": 1}, "data": {"image_height": "high"}}
    lines = message_of(tree).splitlines()[1:]
    assert len(lines) == 3
    assert "  train.batch_size is 0; it must be above 0" in lines


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"'])
def test_text_that_is_no_config(text):
    with pytest.raises(ValueError, match=r"runs/a/config\.json is not a detection config"):
        from_json(text, "runs/a/config.json")


def test_read_config_of_a_file(tmp_path):
    config = DetectionConfig(train=TrainConfig(epochs=7))
    (tmp_path / "config.json").write_text(to_json(config))
    assert read_config(tmp_path / "config.json") == config
    assert read_config(str(tmp_path / "config.json")) == config


def test_settings_change_by_their_keys():
    config = with_changes(DetectionConfig(), {"train.epochs": 7, "data.image_width": 640})
    assert (config.train.epochs, config.data.image_width) == (7, 640)
    assert config.augment == DetectionConfig().augment
    with pytest.raises(ValueError, match="did you mean train.epochs"):
        with_changes(config, {"train.epoch": 7})


def test_missing_config_names_the_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json does not exist.*mobilenetdet train"):
        read_config(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strides": ()}, "model.strides"),
        ({"strides": (16, 8), "head": "ssd", "anchors_per_stride": (5, 4)}, "rising"),
        ({"strides": (8, 16), "anchors_per_stride": (5, 4)}, "one for the head squeezedet"),
        ({"strides": (8, 16), "head": "ssd"}, "2 numbers above 0 that add up to 9 anchors"),
        ({"strides": (8, 16), "head": "ssd", "anchors_per_stride": (5, 5)}, "add up to 9"),
        ({"strides": (8, 16), "head": "ssd", "anchors_per_stride": (9, 0)}, "above 0"),
        ({"anchors_per_stride": (8,)}, "add up to 9"),
        (
            {"strides": (64,), "head": "ssd", "pyramid_channels": 64},
            "at most 32 with a pyramid",
        ),
    ],
)
def test_maps_and_anchors_have_to_fit(options, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig(**options)


def test_levels_divide_the_anchors():
    anchors = tuple((float(i), float(i)) for i in range(1, 6))
    model = ModelConfig(
        head="ssd", strides=(8, 16, 64), anchors=anchors, anchors_per_stride=(2, 1, 2)
    )
    assert model.levels() == ((8, anchors[:2]), (16, anchors[2:3]), (64, anchors[3:]))
    assert ModelConfig(anchors=anchors).levels() == ((16, anchors),)
