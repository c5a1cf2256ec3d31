"""The commands of docs/own_data.md, run one after the other on pictures as a reader brings them."""

import json
import re
import shlex
from pathlib import Path

import cv2
import pytest
from fixtures.own_pictures import NAMES, SIZE, write_coco_folder

from mobilenetdet.cli.config_options import parse_with_config
from mobilenetdet.cli.main import run
from mobilenetdet.cli.train import Options
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.presets import PRESETS, make_preset
from mobilenetdet.data.anchor_coverage import describe_fit
from mobilenetdet.data.class_counts import check_training_classes

PAGE = Path(__file__).resolve().parents[1] / "docs/own_data.md"
STEPS, DETAILS = PAGE.read_text().replace("\\\n", "").split("# The classes in detail")
COMMANDS = [
    shlex.split(line)[1:] for line in re.findall(r"^    (mobilenetdet .+)", STEPS, re.MULTILINE)
]
NUM_PICTURES = 24
TRAIN = next(place for place, words in enumerate(COMMANDS) if words[0] == "train")


@pytest.fixture
def place(tmp_path: Path, monkeypatch) -> Path:
    """A working directory with fewer pictures than the page has, else as it says."""
    write_coco_folder(tmp_path / "labelled", NUM_PICTURES)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_commands(commands: list[list[str]]) -> None:
    for words in commands:
        with pytest.raises(SystemExit) as end:
            run(words[0], words[1:])
        assert end.value.code == 0, shlex.join(words)


def training_config(words: list[str]) -> DetectionConfig:
    """What the train command of the page would train."""
    preset = words[words.index("--preset") + 1]
    options = parse_with_config(
        Options,
        words[1:],
        make_preset(preset),
        lambda config: Options(preset=preset, config=config),
        presets=PRESETS,
    )
    return options.config


def test_the_page_names_the_pictures_and_classes_that_are_tried():
    assert f"{SIZE[1]}x{SIZE[0]} pixels" in STEPS
    assert set(COMMANDS[4][COMMANDS[4].index("--classes") + 1 :][:4]) == set(NAMES.values())


def test_what_comes_before_training_fits_the_pictures(place: Path, capsys):
    run_commands(COMMANDS[:TRAIN])
    printed = capsys.readouterr().out
    assert f"{NUM_PICTURES} frames (" in printed and "taken one after the other" in printed
    montage = cv2.imread("data/mine/tfrecord/montage.jpg")
    assert montage is not None and montage.std() > 20
    config = training_config(COMMANDS[TRAIN])
    assert config.image_size == SIZE and config.data.records_dir == "data/mine/tfrecord"
    assert config.data.classes == ("Buggy", "Tug", "Worker", "Courier")
    assert describe_fit(config) == []
    check_training_classes(config)


@pytest.mark.slow
def test_every_command_runs(place: Path, capsys):
    assert [words[0] for words in COMMANDS] == [
        *("import", "kitti_split", "tf_convert_data", "inspect_records", "fit_anchors", "train"),
        *("eval", "predict", "export", "eval", "predict"),
    ]
    # One epoch instead of the page's, the only word that is another.
    commands = [list(words) for words in COMMANDS]
    commands[TRAIN][commands[TRAIN].index("--train.epochs") + 1] = "1"
    run_commands(commands[: TRAIN + 1])
    printed = capsys.readouterr().out
    assert "missing: " in printed and "have no anchor" not in printed
    assert "of the network input" not in printed
    run_commands(commands[TRAIN + 1 :])
    for name in (
        *("runs/mine/overlays/montage.jpg", "runs/mine/eval/report.html"),
        *("predictions/overlays/IMG_0007.jpg", "exported/detector_int8.tflite"),
        "exported/predictions/overlays/IMG_0007.jpg",
    ):
        assert Path(name).is_file(), name
    picture = cv2.imread("predictions/overlays/IMG_0007.jpg")
    assert picture.shape[1] == SIZE[1] and picture.shape[0] > SIZE[0]  # with a strip below
    classes = json.loads(Path("runs/mine/config.json").read_text())["data"]["classes"]
    assert classes == list(dict.fromkeys(NAMES.values()))


@pytest.mark.parametrize("command", re.findall(r"^    mobilenetdet (\w+)", DETAILS, re.MULTILINE))
def test_the_commands_in_detail_are_there(command):
    from mobilenetdet.cli.commands import COMMANDS as KNOWN

    assert command in KNOWN
