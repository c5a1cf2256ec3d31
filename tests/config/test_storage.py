import json
from pathlib import Path

import pytest

from mobilenetdet.classification.config import ClassifierConfig
from mobilenetdet.config.detection import (
    DataConfig,
    DetectionConfig,
    GreedyNms,
    LevelConfig,
    ModelConfig,
    PostprocessConfig,
    SoftmaxLoss,
    SqueezeDetHeadConfig,
    SsdHeadConfig,
    TrainConfig,
)
from mobilenetdet.config.presets import PRESETS, make_preset
from mobilenetdet.config.storage import (
    from_json,
    read_changes,
    read_config,
    to_json,
    with_changes,
)


def message_of(tree: dict) -> str:
    with pytest.raises(ValueError) as error:
        from_json(json.dumps(tree), "config.json")
    return str(error.value)


@pytest.mark.parametrize("name", PRESETS)
def test_json_round_trip(name):
    config = make_preset(name)
    assert from_json(to_json(config), "config.json") == config
    assert json.loads(to_json(config))["format"] == 2


def test_changed_leaves_come_back_with_their_types():
    config = DetectionConfig(
        data=DataConfig(classes=("Van", "Truck"), image_height=64, image_width=96),
        model=ModelConfig(levels=(LevelConfig(8, ((10.0, 20.0),)),), weights="some/file.h5"),
        head=SsdHeadConfig(class_loss=SoftmaxLoss(hard_negatives=2.0)),
        postprocess=PostprocessConfig(suppression=GreedyNms(max_iou=0.3)),
        train=TrainConfig(schedule="step", precision="mixed_bfloat16", ema=0.0),
    )
    restored = from_json(to_json(config), "config.json")
    assert restored == config
    assert restored.model.levels[0].anchors == ((10.0, 20.0),)
    assert isinstance(restored.data.classes, tuple)
    assert isinstance(restored.head.class_loss, SoftmaxLoss)
    assert restored.image_size == (64, 96)
    assert restored.num_classes == 2


def test_absent_leaves_take_their_defaults():
    config = from_json('{"train": {"epochs": 3}}', "config.json")
    assert config == DetectionConfig(train=TrainConfig(epochs=3))


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
        (
            {"head": {"kind": "ssd", "chanels": 8}},
            "unknown key head.chanels; did you mean head.channels?",
        ),
        (
            {"postprocess": {"suppression": {"kind": "soft", "max_iou": 0.5}}},
            "postprocess.suppression.max_iou is no setting of this postprocess.suppression.kind; "
            "it belongs to greedy",
        ),
        (
            {"head": {"kind": "squeezedet", "class_loss": {"kind": "focal"}}},
            "head.class_loss is no setting of this head.kind; it belongs to ssd",
        ),
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
        (
            "model",
            "levels",
            [{"stride": 4, "anchors": [[1, 2]]}],
            "model.levels.0.stride: Input should be 8, 16, 32, 64 or 128",
        ),
        ("model", "levels", [{"stride": 8, "anchors": [[1, 2, 3]]}], "model.levels.0.anchors.0: "),
        ("augment", "enabled", "perhaps", "augment.enabled: Input should be a valid boolean"),
        ("eval", "protocol", "2018", "eval.protocol: Input should be 'current' or 'pre2017'"),
    ],
)
def test_wrong_types_name_key_and_value(section, leaf, value, expected):
    (line,) = message_of({section: {leaf: value}}).splitlines()[1:]
    assert line.startswith(f"  {expected}")
    assert ", not " in line


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ({"kind": "yolo"}, "head.kind is 'yolo'; it must be one of 'squeezedet', 'ssd'"),
        ({"channels": 8}, "head.kind is missing; it says which settings head has"),
        (
            {"kind": "ssd", "class_loss": {"kind": "focal", "alpha": 2}},
            "head.class_loss.alpha is 2; it must be at most 1",
        ),
    ],
)
def test_kinds_are_told_apart(head, expected):
    assert message_of({"head": head}).splitlines()[1:] == [f"  {expected}"]


def test_every_fault_is_named():
    tree = {"train": {"batch_size": 0}, "model": {"aplha": 1}, "data": {"image_height": "high"}}
    lines = message_of(tree).splitlines()[1:]
    assert len(lines) == 3
    assert "  train.batch_size is 0; it must be above 0" in lines


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"'])
def test_text_that_is_no_config(text):
    with pytest.raises(ValueError, match=r"runs/a/config\.json is not a detection config"):
        from_json(text, "runs/a/config.json")


@pytest.mark.parametrize("version", [0, 3, "2", None, True])
def test_formats_that_are_not_known(version):
    remedy = "update it" if version == 3 else "correct the entry format"
    with pytest.raises(ValueError, match=rf"has format {version!r}.*reads 1 to 2: {remedy}"):
        from_json(json.dumps({"format": version}), "config.json")


def test_read_config_of_a_file(tmp_path):
    config = DetectionConfig(train=TrainConfig(epochs=7))
    (tmp_path / "config.json").write_text(to_json(config))
    assert read_config(tmp_path / "config.json") == config
    assert read_config(str(tmp_path / "config.json")) == config


def test_missing_config_names_the_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json does not exist.*mobilenetdet train"):
        read_config(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("changes", "key", "expected"),
    [
        ({"train.epochs": 5}, "train", TrainConfig(epochs=5)),
        ({"train": {"epochs": 5}, "train.seed": 1}, "train", TrainConfig(epochs=5, seed=1)),
        ({"train.seed": 1, "train": {"epochs": 5}}, "train", TrainConfig(epochs=5, seed=1)),
        ({"head.channels": 8}, "head", SqueezeDetHeadConfig(channels=8)),
        # Another kind begins with its own defaults.
        ({"head.kind": "ssd", "head.blocks": 1}, "head", SsdHeadConfig(blocks=1)),
        (
            {"head": {"kind": "ssd", "class_loss": {"kind": "softmax"}}},
            "head",
            SsdHeadConfig(class_loss=SoftmaxLoss()),
        ),
        ({"loss": {"box_loss": "ciou"}}, "head", SqueezeDetHeadConfig(box_loss="ciou")),
    ],
)
def test_changes_are_put_over_a_config(changes, key, expected):
    changed = with_changes(DetectionConfig(), changes)
    assert getattr(changed, key) == expected
    others = {"data", "augment", "model", "head", "matching", "train", "eval"} - {key}
    assert all(getattr(changed, o) == getattr(DetectionConfig(), o) for o in others)


def test_changes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="my.json .*\n  unknown key train.epoch; did you mean"):
        with_changes(DetectionConfig(), {"train.epoch": 5}, "my.json")
    with pytest.raises(ValueError, match="a single level for the head squeezedet"):
        with_changes(make_preset("ssd_fpn"), {"head.kind": "squeezedet"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"train": {"epochs": 5}, "model": {"levels": [{"stride": 8}]}}'),
        ("a.yaml", "train: {epochs: 5}\nmodel:\n  levels:\n  - stride: 8\n"),
        ("a.yml", "format: 2\ntrain:\n  epochs: 5\nmodel: {levels: [{stride: 8}]}\n"),
    ],
)
def test_changes_come_from_json_or_yaml(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    expected = {"train": {"epochs": 5}, "model": {"levels": [{"stride": 8}]}}
    assert read_changes(tmp_path / name) == expected


def test_changes_stay_as_they_were_given():
    changes = {"head": {"kind": "ssd", "class_loss": {"kind": "focal"}}, "head.class_loss.gamma": 1}
    assert with_changes(DetectionConfig(), changes).head.class_loss.gamma == 1
    assert changes["head"]["class_loss"] == {"kind": "focal"}


@pytest.mark.parametrize(
    "changes",
    [
        {"head.class_loss": "softmax", "head.class_loss.gamma": 1.0},
        {"train": 3, "train.epochs": 5},
    ],
)
def test_a_whole_and_a_part_of_it_are_not_given_together(changes):
    with pytest.raises(ValueError, match="sets a part of it; give one of them"):
        with_changes(DetectionConfig(), changes)


def test_one_setting_in_two_spellings_is_refused():
    changes = {"data": {"image_height": 96}, "data.image_height": 192}
    for given in (changes, dict(reversed(changes.items()))):
        with pytest.raises(ValueError, match=r"data(\.image_height)? comes twice"):
            with_changes(DetectionConfig(), given)


@pytest.mark.parametrize("key", ["model.strides", "model.anchors"])
def test_changes_with_a_part_of_the_levels_are_refused(key):
    with pytest.raises(ValueError, match=f"{key} is part of model.levels now"):
        with_changes(DetectionConfig(), {key: [16]})


def test_files_of_changes_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.yaml does not exist"):
        read_changes(tmp_path / "none.yaml")
    for name, text in (("a.yaml", "- 1\n"), ("b.yaml", "a: [1\n"), ("c.json", "train: 1")):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=f"{name} is not a detection config"):
            read_changes(tmp_path / name)


def test_a_key_may_not_be_a_list(tmp_path):
    (tmp_path / "mine.yaml").write_text("? [train, data]\n: 5\n")
    with pytest.raises(ValueError, match="(?s)mine.yaml is not a .*unhashable key"):
        read_config(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mine.json", '{"train": {"epochs": 5, "epochs": 6}}'),
        ("mine.yaml", "train:\n  epochs: 5\n  epochs: 6\n"),
    ],
)
def test_a_key_that_comes_twice_is_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=f"{name} is not a .*: 'epochs' comes twice"):
        read_changes(tmp_path / name)


@pytest.mark.parametrize(
    ("config", "kind", "other"),
    [(DetectionConfig(), ClassifierConfig, "detector")]
    + [(ClassifierConfig(), DetectionConfig, "classifier")],
)
def test_a_config_of_the_other_kind_is_called_so_in_one_line(config, kind, other):
    with pytest.raises(
        ValueError, match=rf"^runs/x is the config of a {other} \(.*not a "
    ) as error:
        from_json(to_json(config), "runs/x", kind)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(f"name one that {kind.COMMAND} has written")


def test_an_entry_of_a_mapping_is_not_set_alone():
    """The others would be lost."""
    config = with_changes(DetectionConfig(), {"eval.min_overlaps": {"Car": 0.5}})
    with pytest.raises(ValueError, match=r"eval.min_overlaps.Cyclist is an entry of eval.min_ove"):
        with_changes(config, {"eval.min_overlaps.Cyclist": 0.4})


def test_paths_are_taken_for_texts():
    changed = with_changes(DetectionConfig(), {"data.records_dir": Path("some/where")})
    assert changed.data.records_dir == "some/where"


def test_there_is_a_largest_number_of_epochs():
    with pytest.raises(ValueError, match=r"train\.epochs is 10{23}; it must be"):
        with_changes(DetectionConfig(), {"train.epochs": 10**23})
