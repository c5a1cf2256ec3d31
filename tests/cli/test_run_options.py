import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mobilenetdet.cli.run_options import (
    ForPrediction,
    Overrides,
    PredictOverrides,
    UseOverrides,
    run_defaults,
)
from mobilenetdet.config.detection import DetectionConfig, GreedyNms, SoftNms
from mobilenetdet.config.presets import make_preset
from mobilenetdet.config.storage import to_json


@dataclass(frozen=True)
class Options:
    """Uses a run.

    More about that.
    """

    run_dir: Path = Path("runs/none")
    preset: str = ""
    overrides: Overrides = field(default_factory=UseOverrides)


@dataclass(frozen=True)
class Prediction:
    """Uses a run to predict."""

    run_dir: Path = Path("runs/none")
    overrides: ForPrediction = field(default_factory=PredictOverrides)


CONFIG = make_preset("ssd_fpn")


@pytest.fixture
def run_dir(tmp_path: Path) -> str:
    (tmp_path / "config.json").write_text(to_json(CONFIG))
    return str(tmp_path)


@pytest.mark.parametrize("kind", [Options, Prediction])
def test_the_config_of_the_run_is_the_default(run_dir, kind):
    config, options = run_defaults(kind, ["--run_dir", run_dir])
    assert config == CONFIG == options.overrides.apply(config)
    assert str(options.run_dir) == run_dir


@pytest.mark.parametrize("kind", [Options, Prediction])
def test_what_may_change_after_training(run_dir, kind):
    line = "--data.image_height 384 --postprocess.mirror True --eval.overlay_score 0.2"
    line += " --postprocess.nms_iou 0.3 --postprocess.suppression.kind greedy"
    config, options = run_defaults(kind, ["--run_dir", run_dir, *line.split()])
    changed = options.overrides.apply(config)
    assert changed.image_size == (384, 1568)
    assert changed.postprocess == replace(
        CONFIG.postprocess, mirror=True, suppression=GreedyNms(max_iou=0.3)
    )
    assert changed.eval == replace(CONFIG.eval, drawing_score=0.2)
    assert replace(changed, data=CONFIG.data, postprocess=CONFIG.postprocess, eval=CONFIG.eval) == (
        CONFIG
    )


@pytest.mark.parametrize(
    "option",
    ["--data.classes Car Van", "--model.alpha=0.5", "--head.kind ssd", "--model.head-channels 3"],
)
def test_what_is_fixed_by_training(run_dir, option):
    with pytest.raises(ValueError, match="is fixed by training; train another run to change it"):
        run_defaults(Options, ["--run_dir", run_dir, *option.split()])


def test_a_file_changes_what_may_change(run_dir, tmp_path):
    path = tmp_path / "my.json"
    path.write_text(json.dumps({"postprocess": {"suppression": {"kind": "soft", "sigma": 0.1}}}))
    config, options = run_defaults(Options, ["--run_dir", run_dir, "--config", str(path)])
    changed = options.overrides.apply(config)
    assert changed.postprocess.suppression == SoftNms(sigma=0.1)
    path.write_text(json.dumps({"train": {"epochs": 3}}))
    with pytest.raises(ValueError, match="my.json: train.epochs is fixed by training"):
        run_defaults(Options, ["--run_dir", run_dir, "--config", str(path)])
    path.write_text(json.dumps({"data": {"classes": ["Van"]}}))  # would break the calibration, too
    with pytest.raises(ValueError, match="my.json: data.classes is fixed by training"):
        run_defaults(Options, ["--run_dir", run_dir, "--config", str(path)])
    path.write_text(json.dumps({"data": {"val_split": "test"}}))
    with pytest.raises(ValueError, match="my.json changes settings that are .* not used here"):
        run_defaults(Prediction, ["--run_dir", run_dir, "--config", str(path)])
    path.write_text(to_json(CONFIG))  # all of it, and nothing else
    assert run_defaults(Options, ["--run_dir", run_dir, "--config", str(path)])[0] == CONFIG


def test_a_preset_is_read_only_where_there_is_such_an_option(run_dir):
    with pytest.raises(SystemExit):
        run_defaults(Prediction, ["--run_dir", run_dir, "--preset", "nonsense"])


def test_a_preset_stands_for_a_run():
    config, _ = run_defaults(Options, ["--preset", "ssd_fpn_025"], run_needed=lambda options: False)
    assert config == make_preset("ssd_fpn_025")


def test_a_run_that_is_not_there(tmp_path):
    arguments = ["--run_dir", str(tmp_path / "none")]
    with pytest.raises(FileNotFoundError, match="is no run directory.*mobilenetdet train"):
        run_defaults(Options, arguments)
    config, _ = run_defaults(Options, arguments, run_needed=lambda options: False)
    assert config == DetectionConfig()
