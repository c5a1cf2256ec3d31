import dataclasses
import re

import pytest

from mobilenetdet.classification.config import ClassifierConfig
from mobilenetdet.config.detection import (
    AddonsFocalLoss,
    AugmentConfig,
    DataConfig,
    DetectionConfig,
    EvalConfig,
    FocalLoss,
    GreedyNms,
    LevelConfig,
    MatchingConfig,
    ModelConfig,
    PostprocessConfig,
    QualityFocalLoss,
    SoftmaxLoss,
    SoftNms,
    SqueezeDetHeadConfig,
    SsdHeadConfig,
    TrainConfig,
)
from mobilenetdet.config.storage import with_changes

SECTIONS = {
    "data": DataConfig,
    "augment": AugmentConfig,
    "model": ModelConfig,
    "head": SqueezeDetHeadConfig,
    "matching": MatchingConfig,
    "postprocess": PostprocessConfig,
    "train": TrainConfig,
    "eval": EvalConfig,
}


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


def test_a_config_that_is_given_away_says_nothing_of_the_machine():
    places = {
        "data.records_dir": "/home/me/records",
        "model.weights": "/home/me/imagenet.h5",
        "model.detector_weights": "/home/me/runs/a/last.weights.h5",
        "train.devices": "2",
        "train.coordinator": "10.0.0.1:9876",
        "train.num_processes": 2,
        "train.process_id": 1,
    }
    shared = with_changes(DetectionConfig(), places).for_sharing()
    assert shared.data.records_dir == "" and shared.train == TrainConfig()
    assert (shared.model.weights, shared.model.detector_weights) == (
        "imagenet.h5",
        "last.weights.h5",
    )
    # The default place is everybody's.
    assert DetectionConfig().for_sharing() == DetectionConfig()
    classifier = with_changes(
        ClassifierConfig(),
        {"data.data_dir": "/home/me/cifar", "model.weights": "/home/me/a.h5"},
    )
    assert classifier.for_sharing().data.data_dir == ""
    assert classifier.for_sharing().model.weights == "a.h5"


def test_configs_cannot_be_changed_and_are_hashable():
    config = DetectionConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.train.epochs = 3
    assert hash(config) == hash(DetectionConfig())


OUT_OF_RANGE = [
    ("data", {"image_height": 375}, "data.image_height is 375; it must be a multiple of 32"),
    ("data", {"image_width": 0}, "data.image_width is 0; it must be above 0"),
    ("data", {"image_width": -32}, "data.image_width is -32"),
    ("data", {"classes": ()}, "data.classes is (); it must be one or more distinct names"),
    ("data", {"classes": ("Car", "car")}, "data.classes is ('Car', 'car')"),
    ("data", {"shuffle_buffer": 0}, "data.shuffle_buffer is 0; it must be above 0"),
    ("augment", {"flip": 1.5}, "augment.flip is 1.5; it must be at most 1"),
    ("augment", {"flip": 2}, "augment.flip is 2"),
    ("augment", {"brightness": -0.1}, "augment.brightness is -0.1"),
    ("augment", {"min_visibility": 1.1}, "augment.min_visibility is 1.1"),
    ("augment", {"min_box_size": -1.0}, "augment.min_box_size is -1.0; it must be 0 or more"),
    ("augment", {"crop_min_scale": 0.0}, "augment.crop_min_scale is 0.0; it must be above 0"),
    ("model", {"alpha": 0.0}, "model.alpha is 0.0; it must be above 0"),
    ("model", {"levels": ()}, "model.levels is (); it must be one or more levels, finest"),
    ("model", {"batch_norm_momentum": 1.0}, "model.batch_norm_momentum is 1.0; it must be below 1"),
    ("model", {"frozen_blocks": 14}, "model.frozen_blocks is 14; it must be at most 13"),
    ("model", {"frozen_blocks": -1}, "model.frozen_blocks is -1"),
    ("model", {"pyramid_channels": -1}, "model.pyramid_channels is -1; it must be 0 or more"),
    (
        "matching",
        {"ignore_iou": 0.7, "positive_iou": 0.6},
        "matching.ignore_iou is 0.7; it must be at most matching.positive_iou, 0.6",
    ),
    ("matching", {"ignore_iou": 0.0}, "matching.ignore_iou is 0.0; it must be above 0"),
    ("matching", {"positive_iou": 1.1}, "matching.positive_iou is 1.1; it must be at most 1"),
    ("matching", {"dont_care_overlap": 0.0}, "matching.dont_care_overlap is 0.0"),
    (
        "matching",
        {"dont_care_overlap": 1.1},
        "matching.dont_care_overlap is 1.1; it must be at most 1",
    ),
    ("head", {"dropout": 1.0}, "head.dropout is 1.0; it must be below 1"),
    ("head", {"dropout": -0.5}, "head.dropout is -0.5"),
    ("head", {"blocks": 9}, "head.blocks is 9; it must be at most 8"),
    ("head", {"channels": 0}, "head.channels is 0; it must be above 0"),
    ("head", {"box_weight": -1.0}, "head.box_weight is -1.0; it must be 0 or more"),
    ("head", {"confidence_positive_weight": -1.0}, "head.confidence_positive_weight is -1.0"),
    ("head", {"confidence_negative_weight": -1.0}, "head.confidence_negative_weight is -1.0"),
    ("head", {"class_weight": -1.0}, "head.class_weight is -1.0"),
    ("postprocess", {"score_threshold": 1.5}, "postprocess.score_threshold is 1.5"),
    ("postprocess", {"vote_sigma": -0.1}, "postprocess.vote_sigma is -0.1"),
    ("postprocess", {"max_detections": 0}, "postprocess.max_detections is 0; it must be above 0"),
    (
        "postprocess",
        {"max_candidates": 9, "max_detections": 10},
        "postprocess.max_candidates is 9; it must be at least postprocess.max_detections, 10",
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
    ("train", {"backbone_rate": 0.0}, "train.backbone_rate is 0.0; it must be above 0"),
    ("train", {"momentum": 1.0}, "train.momentum is 1.0; it must be below 1"),
    ("train", {"ema": -0.1}, "train.ema is -0.1"),
    ("eval", {"batch_size": 0}, "eval.batch_size is 0; it must be above 0"),
    ("eval", {"num_overlays": -1}, "eval.num_overlays is -1; it must be 0 or more"),
    ("eval", {"drawing_score": 2.0}, "eval.drawing_score is 2.0; it must be at most 1"),
]


def test_a_calibration_has_a_rising_line_for_each_class():
    lines = ((1.0, 0.5), (2.0, 0.0))
    with pytest.raises(ValueError, match="empty, or one pair for each of .*Cyclist"):
        DetectionConfig(postprocess=PostprocessConfig(calibration=lines))
    lines += ((0.0, 0.0),)
    with pytest.raises(ValueError, match=r"postprocess.calibration.2.0 is 0.0; it must be above 0"):
        PostprocessConfig(calibration=lines)


@pytest.mark.parametrize(("section", "values", "expected"), OUT_OF_RANGE)
def test_values_out_of_range_are_refused(section, values, expected):
    with pytest.raises(ValueError) as error:
        SECTIONS[section](**values)
    assert str(error.value).startswith(expected)
    # The same where a file or an option changes a config.
    with pytest.raises(ValueError) as changed:
        with_changes(DetectionConfig(), {section: values}, "my.json")
    assert str(changed.value).splitlines() == [
        "my.json is not a detection config:",
        f"  {error.value}",
    ]


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (FocalLoss, {"alpha": 1.1}, "head.class_loss.alpha is 1.1; it must be at most 1"),
        (FocalLoss, {"gamma": -1.0}, "head.class_loss.gamma is -1.0; it must be 0 or more"),
        (AddonsFocalLoss, {"alpha": -0.1}, "head.class_loss.alpha is -0.1; it must be 0 or more"),
        (AddonsFocalLoss, {"gamma": -1.0}, "head.class_loss.gamma is -1.0"),
        (QualityFocalLoss, {"gamma": -1.0}, "head.class_loss.gamma is -1.0"),
        (QualityFocalLoss, {"alpha": 0.5}, "unknown key head.class_loss.alpha"),
        (SoftmaxLoss, {"hard_negatives": -1}, "head.class_loss.hard_negatives is -1; it must be 0"),
        (SoftmaxLoss, {"gamma": 2.0}, "unknown key head.class_loss.gamma"),
        (SqueezeDetHeadConfig, {"class_loss": FocalLoss()}, "unknown key head.class_loss"),
        (SsdHeadConfig, {"confidence_positive_weight": 1}, "unknown key head.confidence_positive"),
        (SsdHeadConfig, {"box_weight": -1}, "head.box_weight is -1; it must be 0 or more"),
        (SsdHeadConfig, {"class_weight": -1}, "head.class_weight is -1; it must be 0 or more"),
        (GreedyNms, {"max_iou": -0.1}, "postprocess.suppression.max_iou is -0.1; it must be 0 or"),
        (GreedyNms, {"max_iou": 1.1}, "postprocess.suppression.max_iou is 1.1; it must be at most"),
        (GreedyNms, {"sigma": 0.5}, "unknown key postprocess.suppression.sigma"),
        (SoftNms, {"sigma": 0.0}, "postprocess.suppression.sigma is 0.0; it must be above 0"),
        (SoftNms, {"rounds": -1}, "postprocess.suppression.rounds is -1; it must be 0 or more"),
        (SoftNms, {"max_iou": 0.5}, "unknown key postprocess.suppression.max_iou"),
        (
            LevelConfig,
            {"stride": 8, "anchors": ()},
            "model.levels.anchors is (); it must be one or more",
        ),
        (
            LevelConfig,
            {"stride": 8, "anchors": ((10.0, 0.0),)},
            "model.levels.anchors.0.1 is 0.0; it must be above 0",
        ),
        (
            LevelConfig,
            {"stride": 4, "anchors": ((1, 2),)},
            "model.levels.stride: Input should be 8",
        ),
        (LevelConfig, {"stride": 8}, "model.levels.anchors is missing"),
    ],
)
def test_each_kind_has_its_own_settings(kind, values, expected):
    with pytest.raises(ValueError) as error:
        kind(**values)
    assert str(error.value).startswith(expected)


def levels(*strides: int) -> tuple[LevelConfig, ...]:
    return tuple(LevelConfig(stride, ((10, 20),)) for stride in strides)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": ()}, "model.levels"),
        ({"levels": levels(16, 8)}, r"model.levels is \(16, 8\).*finest stride first"),
        ({"levels": levels(8, 8)}, "finest stride first"),
        ({"levels": levels(64), "pyramid_channels": 64}, "up to 32 with a pyramid"),
    ],
)
def test_levels_have_to_fit(options, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig(**options)


def test_several_levels_go_with_the_head_ssd():
    model = ModelConfig(levels=levels(8, 16))
    assert DetectionConfig(model=model, head=SsdHeadConfig()).model.strides == (8, 16)
    with pytest.raises(ValueError, match=r"model.levels is \(8, 16\).*single level for the head"):
        DetectionConfig(model=model)


def test_levels_as_the_grid_of_anchors_takes_them():
    model = ModelConfig(levels=(LevelConfig(8, ((1, 2),)), LevelConfig(16, ((3, 4), (5, 6)))))
    assert model.anchor_levels == ((8, ((1, 2),)), (16, ((3, 4), (5, 6))))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, []),
        (
            {"weights": "none", "freeze_batch_norm": True},
            ["model.freeze_batch_norm True keeps random weights"],
        ),
        (
            {"weights": "none", "freeze_batch_norm": True, "detector_weights": "runs/a"},
            [],
        ),
        (
            {"weights": "a.h5", "narrow_weights": True, "detector_weights": "runs/a"},
            ["model.weights a.h5 is not used", "model.narrow_weights is not used"],
        ),
        ({"narrow_weights": True}, ["model.narrow_weights is not used: model.weights names no"]),
        ({"weights": "none", "frozen_blocks": 3}, ["keeps random.*say --model.frozen_blocks 0"]),
    ],
)
def test_settings_without_use_are_said(settings, expected):
    notes = ModelConfig(**settings).notes()
    assert len(notes) == len(expected)
    assert all(re.search(part, note) for part, note in zip(expected, notes, strict=True))
