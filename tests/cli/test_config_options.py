import pytest

from mobilenetdet.cli import train
from mobilenetdet.cli.config_options import (
    default_config,
    format_level,
    parse_level,
    parse_with_config,
    present_options,
)
from mobilenetdet.config.detection import (
    DetectionConfig,
    FocalLoss,
    GreedyNms,
    LevelConfig,
    QualityFocalLoss,
    SoftmaxLoss,
    SoftNms,
    SqueezeDetHeadConfig,
    SsdHeadConfig,
)
from mobilenetdet.config.presets import PRESETS, make_preset
from mobilenetdet.config.upgrade import RENAMED


def parsed(line: str, preset: str = "ssd_fpn") -> DetectionConfig:
    """The config that a line of options for train makes."""
    options = parse_with_config(
        train.Options,
        line.split(),
        make_preset(preset),
        lambda config: train.Options(preset=preset, config=config),
        presets=PRESETS,
    )
    return options.config


@pytest.mark.parametrize("preset", PRESETS)
def test_no_option_leaves_the_preset(preset):
    assert parsed("", preset) == make_preset(preset)


@pytest.mark.parametrize(
    ("preset", "line", "head"),
    [
        ("squeezedet", "--head.channels 64", SqueezeDetHeadConfig(channels=64)),
        ("squeezedet", "--head.kind ssd", SsdHeadConfig()),
        (
            "squeezedet",
            "--head.box_weight 3 --head.kind=ssd --head.class_loss.kind softmax",
            SsdHeadConfig(box_weight=3, class_loss=SoftmaxLoss()),
        ),
        (
            "ssd_fpn",
            "--head.class_loss.alpha 0.5 --head.class_loss.kind focal",
            SsdHeadConfig(class_loss=FocalLoss(alpha=0.5)),
        ),
        ("ssd_fpn", "--head.kind squeezedet --model.levels 16:36x37", SqueezeDetHeadConfig()),
    ],
)
def test_heads_and_losses_are_chosen_by_kind(preset, line, head):
    assert parsed(line, preset).head == head


@pytest.mark.parametrize(
    ("line", "suppression"),
    [
        ("--postprocess.suppression.kind greedy", GreedyNms()),
        (
            "--postprocess.suppression.kind greedy --postprocess.suppression.max_iou 0.3",
            GreedyNms(max_iou=0.3),
        ),
        ("--postprocess.suppression.sigma 0.2", SoftNms(sigma=0.2)),
    ],
)
def test_suppression_is_chosen_by_kind(line, suppression):
    assert parsed(line).postprocess.suppression == suppression


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--head.kind yolo", "head.kind is 'yolo'; it must be one of 'squeezedet', 'ssd'"),
        ("--head.kind squeezedet", "a single level for the head squeezedet"),
        ("--preset x --model.levels 8:1", "level '8:1' is not STRIDE:WIDTHxHEIGHT"),
        ("--model.levels 7:1x1", "model.levels.stride: Input should be 8, 16, 32, 64 or 128"),
        ("--model.strides 8 16", "--model.strides is part of model.levels now"),
        ("--augment.mosaic 0.3", "--augment.mosaic is gone: mosaics of frames cost AP"),
        ("--augment.safe-crop=1", "--augment.safe_crop is gone"),
        ("--config none.yaml", "none.yaml does not exist"),
    ],
)
def test_options_that_cannot_be(line, message):
    with pytest.raises((ValueError, OSError), match=message.replace("(", r"\(")):
        parsed(line)


def test_options_of_another_kind_end_the_program(capsys):
    with pytest.raises(SystemExit) as end:
        parsed("--postprocess.suppression.max_iou 0.5")
    assert end.value.code == 2
    assert "--postprocess.suppression.max_iou" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("line", "key", "expected"),
    [
        ("--loss.box_loss ciou --loss.box 3", "head", SsdHeadConfig(box_loss="ciou", box_weight=3)),
        ("--loss.class_loss softmax", "head", SsdHeadConfig(class_loss=SoftmaxLoss())),
        ("--loss.focal-gamma=1", "head", SsdHeadConfig(class_loss=QualityFocalLoss(gamma=1))),
        ("--model.head_channels 64", "head", SsdHeadConfig(channels=64)),
        ("--augment.mosaic 0 --augment.safe_crop=0.0", "head", SsdHeadConfig()),
    ],
)
def test_options_of_earlier_versions_still_work(line, key, expected):
    assert getattr(parsed(line), key) == expected


@pytest.mark.parametrize(
    ("line", "suppression"),
    [
        ("--postprocess.soft_nms_sigma 0", GreedyNms()),
        ("--postprocess.soft_nms_sigma=0 --postprocess.nms_iou 0.3", GreedyNms(max_iou=0.3)),
        ("--postprocess.soft_nms_sigma 0.3", SoftNms(sigma=0.3)),
        ("--postprocess.soft_nms_rounds 2", SoftNms(rounds=2)),
    ],
)
def test_the_former_sigma_chooses_the_suppression(line, suppression):
    assert parsed(line).postprocess.suppression == suppression


@pytest.mark.parametrize("key", [key for key in RENAMED if key != "postprocess.soft_nms_sigma"])
def test_every_renamed_option_is_replaced(key):
    assert present_options([f"--{key}", "1", "--x"]) == [f"--{RENAMED[key]}", "1", "--x"]
    dashed = key.replace("_", "-")
    assert present_options([f"--{dashed}=1"]) == [f"--{RENAMED[key]}=1"]


def test_words_that_are_no_options_stay():
    words = ["loss.box", "--format", "loss.box", "--train.epochs=3", "-x"]
    assert present_options(words) == words


YAML = """
head: {kind: ssd, class_loss: {kind: softmax}}
train:
  epochs: 5
  batch_size: 3
"""


def test_options_win_over_a_file_over_the_preset(tmp_path):
    (tmp_path / "my.yaml").write_text(YAML)
    config = parsed(f"--config {tmp_path}/my.yaml --train.epochs 7", "squeezedet")
    assert config.head == SsdHeadConfig(class_loss=SoftmaxLoss())
    assert (config.train.epochs, config.train.batch_size) == (7, 3)
    assert config.model == make_preset("squeezedet").model
    other = parsed(f"--config={tmp_path}/my.yaml --head.class_loss.kind focal", "squeezedet")
    assert other.head == SsdHeadConfig(class_loss=FocalLoss())


def test_faults_of_a_file_name_it(tmp_path):
    (tmp_path / "my.json").write_text('{"train": {"epoch": 5}}')
    with pytest.raises(ValueError, match="my.json .*\n  unknown key train.epoch; did you mean"):
        default_config(DetectionConfig(), ["--config", str(tmp_path / "my.json")])


def test_the_last_of_an_option_counts():
    words = "--head.kind ssd --x 1 --head.kind=squeezedet".split()
    assert default_config(DetectionConfig(), words) == DetectionConfig()


@pytest.mark.parametrize(
    ("word", "level"),
    [
        ("8:10x20,30.5x15", LevelConfig(8, ((10, 20), (30.5, 15)))),
        ("128:1x1", LevelConfig(128, ((1, 1),))),
    ],
)
def test_levels_are_spelled_in_a_word(word, level):
    assert parse_level(word) == level and format_level(level) == word


@pytest.mark.parametrize("word", ["", "8", "8:", "x:1x1", "8:1x1x1", "8:ax1", "8:0x1", "8:1x1,"])
def test_words_that_are_no_level(word):
    with pytest.raises(ValueError, match="level '|model.levels"):
        parse_level(word)


def test_several_levels_on_a_command_line():
    levels = parsed("--model.levels 8:10x20 16:30x40,50x60 --train.epochs 3").model.levels
    assert levels == (LevelConfig(8, ((10, 20),)), LevelConfig(16, ((30, 40), (50, 60))))
