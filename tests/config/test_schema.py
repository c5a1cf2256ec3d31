import dataclasses

import pytest

from mobilenetdet.config.detection import (
    DetectionConfig,
    GreedyNms,
    SoftNms,
    SqueezeDetHeadConfig,
    SsdHeadConfig,
)
from mobilenetdet.config.schema import config_keys, section_keys, tagged_unions, without_tags


def test_keys_are_the_leaves_of_all_kinds():
    keys = config_keys(DetectionConfig)
    assert {"train.batch_size", "model.levels", "data.records_dir"} <= set(keys)
    assert {"head.box_weight", "head.confidence_positive_weight", "head.class_loss.gamma"} < set(
        keys
    )
    assert {"postprocess.suppression.max_iou", "postprocess.suppression.rounds"} < set(keys)
    assert len(keys) == len(set(keys))
    plain = [item.name for item in dataclasses.fields(DetectionConfig().train)]
    assert [key for key in keys if key.startswith("train.")] == [f"train.{name}" for name in plain]


def test_sections_are_no_leaves():
    assert section_keys(DetectionConfig) == {
        *("data", "augment", "model", "head", "head.class_loss", "matching", "postprocess"),
        *("postprocess.suppression", "train", "eval"),
    }
    assert not section_keys(DetectionConfig) & set(config_keys(DetectionConfig))


def test_unions_by_their_tags():
    unions = tagged_unions(DetectionConfig)
    assert list(unions) == ["head", "head.class_loss", "postprocess.suppression"]  # outer first
    assert unions["head"] == {"squeezedet": SqueezeDetHeadConfig, "ssd": SsdHeadConfig}
    assert unions["postprocess.suppression"] == {"greedy": GreedyNms, "soft": SoftNms}
    assert list(unions["head.class_loss"]) == ["focal", "quality_focal", "softmax", "tfa_focal"]


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (("train", "epochs"), ("train", "epochs")),
        (("head", "ssd", "class_loss", "focal", "alpha"), ("head", "class_loss", "alpha")),
        (("head", "ssd", "ssd"), ("head", "ssd")),  # a tag once, then a key
        (("model", "levels", 0, "stride"), ("model", "levels", 0, "stride")),
        (("unknown", "soft"), ("unknown", "soft")),
        ((), ()),
    ],
)
def test_tags_are_left_out_of_locations(location, expected):
    assert without_tags(DetectionConfig, location) == expected
