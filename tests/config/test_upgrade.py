import json
from pathlib import Path

import pytest

from mobilenetdet.config.detection import (
    DetectionConfig,
    FocalLoss,
    GreedyNms,
    LevelConfig,
    SoftNms,
    SqueezeDetHeadConfig,
    SsdHeadConfig,
)
from mobilenetdet.config.presets import PRESETS, make_preset
from mobilenetdet.config.schema import config_keys
from mobilenetdet.config.storage import from_json, read_config, with_changes
from mobilenetdet.config.upgrade import REMOVED, RENAMED, REPLACED

# Files that the last version with format 1 wrote, one a preset, and one of a trained run.
FORMAT_1 = Path(__file__).parent / "format_1"
# What was changed in presets since.
CHANGED = {
    "ssd_fpn_025": {"model.frozen_blocks": 3, "train.schedule": "cosine"},
    "squeezedet_paper": {
        **{"data.min_object_height": 12.0, "data.max_occlusion": 2, "data.max_truncation": 0.7},
        **{"augment.shift_scale": 0.5, "augment.shift": 0.05},
        **{"postprocess.suppression.max_iou": 0.45, "postprocess.max_candidates": 256},
    },
}


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "ssd_fpn_050"])
def test_presets_of_format_1_are_those_of_today(name):
    former = with_changes(make_preset(name), CHANGED.get(name, {}))
    assert read_config(FORMAT_1 / f"{name}.json") == former


def test_a_run_of_format_1_is_read():
    config = read_config(FORMAT_1 / "trained_ssd_fpn.json")
    preset = make_preset("ssd_fpn")
    assert config.head == preset.head and config.model.levels == preset.model.levels
    assert config.model.detector_weights == "last.weights.h5"
    assert config.postprocess.suppression == SoftNms(sigma=0.5, rounds=5)
    assert config.postprocess.calibration[1] == (1.8103038540105048, -0.2833706598103285)
    assert (config.train.epochs, config.train.learning_rate) == (7, 3e-4)


def test_tables_name_keys_that_are_there_today_and_none_of_them_twice():
    keys = set(config_keys(DetectionConfig))
    assert set(RENAMED.values()) <= keys and len(set(RENAMED.values())) == len(RENAMED)
    assert set(REPLACED.values()) <= keys
    assert not keys & (set(RENAMED) | set(REPLACED) | set(REMOVED))


def test_tables_name_every_key_of_format_1():
    old = json.loads((FORMAT_1 / "ssd.json").read_text())
    leaves = {f"{section}.{leaf}" for section, leaves in old.items() for leaf in leaves}
    known = set(config_keys(DetectionConfig)) | set(RENAMED) | set(REPLACED) | set(REMOVED)
    assert leaves <= known


@pytest.mark.parametrize(
    ("tree", "section", "expected"),
    [
        (
            {"loss": {"box": 4.0, "focal_gamma": 1.0}},  # focal_gamma had no effect
            "head",
            SqueezeDetHeadConfig(box_weight=4.0),
        ),
        (
            # What a file leaves out had other defaults.
            {"model": {"head": "ssd"}, "loss": {"focal_alpha": 0.5, "confidence_positive": 3.0}},
            "head",
            SsdHeadConfig(
                blocks=2,
                channels=512,
                box_loss="squared",
                box_weight=20.0,
                class_weight=3.0,
                class_loss=FocalLoss(alpha=0.5),
            ),
        ),
    ],
)
def test_settings_without_effect_are_left_out(tree, section, expected):
    assert getattr(from_json(json.dumps(tree), "config.json"), section) == expected


@pytest.mark.parametrize(
    ("former", "expected"),
    [
        ({"nms_iou": 0.3}, GreedyNms(max_iou=0.3)),
        ({"nms_iou": 0.3, "soft_nms_sigma": 0.0, "soft_nms_rounds": 2}, GreedyNms(max_iou=0.3)),
        (
            {"nms_iou": 0.3, "soft_nms_sigma": 0.2, "soft_nms_rounds": 2},
            SoftNms(sigma=0.2, rounds=2),
        ),
        ({"soft_nms_sigma": 0.2}, SoftNms(sigma=0.2)),
    ],
)
def test_sigma_decided_the_suppression(former, expected):
    config = from_json(json.dumps({"postprocess": former}), "config.json")
    assert config.postprocess.suppression == expected


def test_levels_divide_the_anchors():
    anchors = [[float(i), float(i)] for i in range(1, 6)]
    model = {"head": "ssd", "strides": [8, 16, 64], "anchors": anchors}
    tree = {"model": model | {"anchors_per_stride": [2, 1, 2]}}
    levels = from_json(json.dumps(tree), "config.json").model.levels
    assert levels == (
        LevelConfig(8, ((1, 1), (2, 2))),
        LevelConfig(16, ((3, 3),)),
        LevelConfig(64, ((4, 4), (5, 5))),
    )
    one = from_json(json.dumps({"model": {"anchors": anchors}}), "config.json")
    assert one.model.anchor_levels == ((16, tuple(map(tuple, anchors))),)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"strides": [8, 16], "head": "ssd"}, "divide 9 anchors among 2 strides"),
        ({"strides": [8, 16], "anchors_per_stride": [5, 5]}, "divide 9 anchors among 2"),
        ({"anchors_per_stride": [8]}, "divide 9 anchors among 1"),
        ({"strides": [8, 16], "anchors_per_stride": [5, 4]}, "single level for the head squeeze"),
        ({"strides": [8, 16], "head": "ssd", "anchors_per_stride": [9, 0]}, "anchors"),
    ],
)
def test_anchors_that_do_not_fit_their_strides(model, message):
    with pytest.raises(ValueError, match=f"config.json.*(?s:.)*{message}"):
        from_json(json.dumps({"model": model}), "config.json")


@pytest.mark.parametrize("key", REMOVED)
def test_options_that_are_gone_may_be_off(key):
    section, leaf = key.split(".")
    assert from_json(json.dumps({section: {leaf: 0.0}}), "config.json") == DetectionConfig()
    with pytest.raises(ValueError, match=f"config.json: {key} is 0.3, but the option is gone"):
        from_json(json.dumps({section: {leaf: 0.3}}), "config.json")


def test_former_keys_change_a_config():
    config = with_changes(
        make_preset("ssd_fpn"),
        {"loss.class_loss": "focal", "loss.focal_gamma": 1.5, "postprocess.soft_nms_sigma": 0},
    )
    assert config.head.class_loss == FocalLoss(gamma=1.5)
    assert config.postprocess.suppression == GreedyNms()
    assert config.model == make_preset("ssd_fpn").model


def test_a_former_key_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="suppression.max_iou is no setting.*belongs to greedy"):
        with_changes(make_preset("ssd_fpn"), {"postprocess": {"nms_iou": 0.5}})
