"""Whose a run directory is, and what may change when a run goes on."""

from dataclasses import replace
from pathlib import Path

import pytest

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.storage import read_config, to_json, with_changes
from mobilenetdet.runs import open_run
from mobilenetdet.training.claim import check_run_dir, claim_run_dir

CONFIG = DetectionConfig()


def changed(**settings):
    return with_changes(CONFIG, {key.replace("__", "."): value for key, value in settings.items()})


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run that has a checkpoint."""
    folder = tmp_path / "mine"
    claim_run_dir(CONFIG, folder)
    (folder / "checkpoint.npz").touch()
    return folder


def config_of(run_dir: Path) -> DetectionConfig:
    return read_config(run_dir / "config.json")


def test_a_start_that_failed_leaves_its_place_to_the_next(tmp_path):
    claim_run_dir(CONFIG, tmp_path)
    other = changed(train__seed=7, model__alpha=0.25)
    claim_run_dir(other, tmp_path)
    assert config_of(tmp_path) == other
    claim_run_dir(CONFIG, tmp_path)
    assert config_of(tmp_path) == CONFIG


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("damaged", "is not a detection config: Expecting value"),
        ('{"my": "web app"}', "is not a detection config"),
        ('{"data": {"dataset": "imagenet"}}', "is the config of a classifier"),
        ('{"data": {}, "train": {"epochs": 3}}', "it has no section model"),
    ],
)
def test_a_config_that_is_none_of_a_detector_is_kept(tmp_path, content, reason):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(FileExistsError, match=rf"was not written by training.*{reason}"):
        claim_run_dir(CONFIG, tmp_path)
    assert (tmp_path / "config.json").read_text() == content


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.alpha", 0.5),
        ("data.classes", ["Van", "Pedestrian", "Cyclist"]),
        ("data.image_width", 640),
        ("data.min_object_height", 20.0),
        ("matching.positive_iou", 0.6),
        ("augment.crop", 0.0),
        ("head.channels", 48),
        ("train.optimizer", "sgd"),
        ("train.seed", 1),
        ("train.ema", 0.0),
        ("train.weight_decay", 0.1),
        ("train.precision", "mixed_float16"),
        ("model.weights", "other/backbone.h5"),
    ],
)
def test_what_the_state_depends_on_is_fixed_and_named(run_dir, key, value):
    old = to_json(CONFIG)
    with pytest.raises(ValueError, match=rf"state depends on:\n  {key}: .* there, .* now\ngo on"):
        claim_run_dir(with_changes(CONFIG, {key: value}), run_dir)
    assert (run_dir / "config.json").read_text() == old


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.records_dir", "moved/tfrecord"),
        ("data.val_split", "trainval"),
        ("eval.protocol", "pre2017"),
        ("eval.num_overlays", 0),
        ("postprocess.score_threshold", 0.1),
        ("train.batch_size", 2),
        ("train.epochs", 60),
        ("train.learning_rate", 1e-5),
        ("train.precision", "mixed_bfloat16"),
    ],
)
def test_everything_else_may_change_and_is_said_once(run_dir, capsys, key, value):
    config = with_changes(CONFIG, {key: value})
    claim_run_dir(config, run_dir)
    assert f"going on with other settings:\n  {key}: " in capsys.readouterr().out
    assert config_of(run_dir) == config
    claim_run_dir(config, run_dir)
    assert capsys.readouterr().out == ""


def test_a_file_that_the_run_began_from_may_have_moved(run_dir):
    claim_run_dir(changed(model__weights="somewhere/imagenet"), run_dir)


def test_weights_of_another_run_are_others_though_all_have_one_name(run_dir):
    began = changed(model__detector_weights="runs/a/best.weights.h5")
    (run_dir / "config.json").write_text(to_json(began))
    claim_run_dir(changed(model__detector_weights="moved/runs/a/best.weights.h5"), run_dir)
    with pytest.raises(ValueError, match=r"model.detector_weights: .*runs/a.* now"):
        claim_run_dir(changed(model__detector_weights="runs/b/best.weights.h5"), run_dir)


def test_the_check_alone_changes_nothing(tmp_path):
    check_run_dir(CONFIG, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    ["best.weights.h5", "metrics.csv", "metrics.png", "checkpoint.npz", "frames_seen.json"]
    + ["eval/metrics.json", "overlays/montage.jpg", "tensorboard/notes.txt"],
)
def test_a_folder_with_such_files_and_no_config_is_not_claimed(tmp_path: Path, name: str):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("of another program")
    with pytest.raises(FileExistsError, match=f"{name.removesuffix('/notes.txt')} is there"):
        claim_run_dir(CONFIG, tmp_path)
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]


def test_files_that_training_does_not_replace_are_no_obstacle(tmp_path: Path):
    (tmp_path / "tensorboard").mkdir()
    for name in ("notes.txt", "eval/mine.json", "overlays/holiday.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    claim_run_dir(CONFIG, tmp_path)
    assert config_of(tmp_path) == CONFIG


@pytest.mark.parametrize("name", ["calibration.json", "eval/metrics.json", "metrics.csv"])
def test_results_of_a_run_whose_weights_are_gone_stay(run_dir, name):
    (run_dir / "checkpoint.npz").unlink()
    (run_dir / "eval").mkdir()
    (run_dir / name).write_text("epoch,loss\n1,0.5\n2,0.4\n")
    with pytest.raises(FileExistsError, match=f"{name} is there, but no checkpoint.npz"):
        claim_run_dir(CONFIG, run_dir)


def test_weights_that_ship_are_never_claimed():
    run = open_run("ssd_fpn")
    for name in ("ssd_fpn", run.path):
        with pytest.raises(ValueError, match="names weights that ship"):
            claim_run_dir(run.read_config(), Path(name))


@pytest.mark.parametrize("missing", ["tensorboard", None, "rows", "calibration.json", "eval"])
def test_weights_without_a_checkpoint_are_those_of_a_first_epoch_or_stay(run_dir, missing):
    """Of a packed run, of a finished run whose checkpoint was removed to save space."""
    (run_dir / "checkpoint.npz").unlink()
    (run_dir / "last.weights.h5").touch()
    (run_dir / "metrics.csv").write_text("epoch,loss\n1,0.5\n")
    if missing != "tensorboard":
        (run_dir / "tensorboard").mkdir()
    if missing == "rows":
        (run_dir / "metrics.csv").write_text("epoch,loss\n1,0.5\n2,0.4\n")
    if missing == "calibration.json":
        (run_dir / missing).touch()
    if missing == "eval":
        (run_dir / "eval").mkdir()
        (run_dir / "eval/metrics.json").touch()
    config = replace(CONFIG, train=replace(CONFIG.train, seed=5))
    if missing is None:
        claim_run_dir(config, run_dir)
        assert config_of(run_dir) == config
        return
    with pytest.raises(FileExistsError, match=r"last.weights.h5 is there, but no checkpoint.npz"):
        claim_run_dir(config, run_dir)
    assert config_of(run_dir) == CONFIG
