import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from mobilenetdet.cli import average_runs as command
from mobilenetdet.kitti.frames_seen import read_frames_seen
from mobilenetdet.models.weight_file import read_weight_file
from mobilenetdet.runs import RunDir, hash_weights
from mobilenetdet.training.weight_average import average_runs

NAMES = ("config.json", "best.weights.h5", "frames_seen.json")


@pytest.fixture
def runs(small_run, tmp_path) -> list[RunDir]:
    """A run, and one whose weights are all larger by one."""
    first, second = (Path(shutil.copytree(small_run, tmp_path / name)) for name in "ab")
    with h5py.File(RunDir(second).find_weights(), "r+") as file:

        def add_one(_, item):
            if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
                item[...] = item[()] + 1

        file.visititems(add_one)
    return [RunDir(first), RunDir(second)]


@pytest.mark.parametrize(("shares", "more"), [((), 0.5), ((1.0, 3.0), 0.75), ((30, 10), 0.25)])
def test_the_mean_lies_between(runs, tmp_path, shares, more):
    run = average_runs(runs, tmp_path / "mean", shares=shares)
    stored, first = (read_weight_file(each.find_weights()) for each in (run, runs[0]))
    assert stored.keys() == first.keys() and len(stored) > 10
    for name, arrays in first.items():
        for array, found in zip(arrays, stored[name], strict=True):
            assert found.dtype == array.dtype
            np.testing.assert_allclose(found, array + more, rtol=1e-6, atol=1e-6)


def test_what_was_measured_of_other_weights_is_left_out(runs, tmp_path):
    (runs[1].calibration_file).write_text(json.dumps([[2.0, 0.5]] * 3))
    assert runs[1].read_config().postprocess.calibration
    run = average_runs(runs, tmp_path / "mean")
    config = run.read_config()
    assert not config.postprocess.calibration and not config.eval.best_f1_scores
    assert config.data == runs[1].read_config().data


def test_frames_of_all_runs_were_trained_on(runs, tmp_path):
    run = average_runs(runs, tmp_path / "mean")
    assert read_frames_seen(run.frames_seen_file) == read_frames_seen(runs[0].frames_seen_file)
    assert read_frames_seen(run.frames_seen_file).complete
    runs[0].frames_seen_file.unlink()
    run = average_runs(runs, tmp_path / "unknown")
    assert not read_frames_seen(run.frames_seen_file).complete


def test_runs_without_a_mean_are_refused(runs, tmp_path):
    output = tmp_path / "mean"
    with pytest.raises(ValueError, match="name two or more"):
        average_runs(runs[:1], output)
    nan, infinite = float("nan"), float("inf")
    for shares in ((1.0,), (1.0, 0.0), (1.0, -1.0), (nan, 1.0), (1.0, nan), (1.0, infinite)):
        with pytest.raises(ValueError, match="each of the 2 runs needs one above 0"):
            average_runs(runs, output, shares=shares)
    config = json.loads(runs[0].config_file.read_text())
    config["data"]["classes"] = ["Cyclist", "Pedestrian", "Car"]
    runs[0].config_file.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"a has data.classes .*Cyclist.* and .*b .*one network"):
        average_runs(runs, output)
    again = RunDir(runs[1].path.parent / "a/.." / runs[1].path.name)
    with pytest.raises(ValueError, match=r"b is named twice; .*--shares"):
        average_runs([*runs, again], output)
    with pytest.raises(ValueError, match="ssd_fpn names weights that ship"):
        average_runs(runs, Path("ssd_fpn"))
    assert not output.exists()


@pytest.mark.parametrize("of", [lambda path: path, lambda path: path.parent / "x/.." / path.name])
def test_no_run_and_no_training_is_replaced(runs, tmp_path, of):
    (tmp_path / "x").mkdir()
    before = runs[0].find_weights().read_bytes()
    with pytest.raises(FileExistsError, match=r"is one of the runs, .*--output_dir"):
        average_runs(runs, of(runs[0].path), overwrite=True)
    assert runs[0].find_weights().read_bytes() == before
    training = tmp_path / "training"
    training.mkdir()
    (training / "checkpoint.npz").write_bytes(b"of other weights")
    with pytest.raises(FileExistsError, match="training holds a training"):
        average_runs(runs, training, overwrite=True)
    assert [path.name for path in training.iterdir()] == ["checkpoint.npz"]


def test_damaged_and_other_weights_are_named(runs, tmp_path):
    weights = runs[0].find_weights()
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=str(weights)):
        average_runs(runs, tmp_path / "mean")
    weights.write_bytes(whole)
    with h5py.File(weights, "r+") as file:
        names = []
        file.visititems(lambda name, item: names.append((name, item)))
        name = next(name for name, item in names if isinstance(item, h5py.Dataset) and item.ndim)
        del file[name]
    with pytest.raises(ValueError, match="holds other weights than .*: they have no mean"):
        average_runs(runs, tmp_path / "mean")
    weights.write_bytes(whole)
    with h5py.File(weights, "r+") as file:
        file[name][...] = np.nan
    with pytest.raises(ValueError, match=f"{weights}.*{name} holds NaN"):
        average_runs(runs, tmp_path / "mean")


@pytest.mark.parametrize("name", ["calibration.json", "eval/metrics.json", "overlays/montage.jpg"])
def test_what_others_have_measured_is_not_replaced_unless_asked_to(runs, tmp_path, name):
    path = tmp_path / "mean" / name
    path.parent.mkdir(parents=True)
    path.write_text("of others")
    with pytest.raises(FileExistsError, match=f"{name} is there already.*overwrite"):
        average_runs(runs, tmp_path / "mean")
    assert path.read_text() == "of others"
    run = average_runs(runs, tmp_path / "mean", overwrite=True)
    assert not run.read_config().postprocess.calibration
    assert path.exists() == (name == "overlays/montage.jpg")  # what says nothing of scores stays


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("over", [False, True])
def test_a_mean_that_was_broken_off_is_no_run_and_is_given_again(
    runs, tmp_path, monkeypatch, step, over
):
    """After each of the three files; those of a run that was to be replaced are no longer one."""
    output, replace = tmp_path / "mean", os.replace
    if over:
        shutil.copytree(runs[0].path, output)
        (output / "checkpoint.npz").unlink(missing_ok=True)
    written = []

    def replace_so_many(source, target):
        replace(source, target)
        if Path(target).parent == output and Path(target).name in NAMES:
            written.append(target)
            if len(written) == step:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", replace_so_many)
        average_runs(runs, output, overwrite=over)
    assert (output / "config.json").exists() == (step == 3)
    run = average_runs(runs, output, overwrite=over)
    stored, first = (read_weight_file(each.find_weights()) for each in (run, runs[0]))
    arrays = [next(iter(each.values()))[0] for each in (stored, first)]
    np.testing.assert_allclose(arrays[0], arrays[1] + 0.5, rtol=1e-6, atol=1e-6)


def test_nothing_is_written_or_removed_behind_a_link(runs, tmp_path):
    elsewhere, output = tmp_path / "elsewhere", tmp_path / "mean"
    elsewhere.mkdir()
    (elsewhere / "metrics.json").write_text("mine")
    output.mkdir()
    (output / "eval").symlink_to(elsewhere)
    with pytest.raises(FileExistsError, match="mean/eval is a link to another folder"):
        average_runs(runs, output, overwrite=True)
    assert (elsewhere / "metrics.json").read_text() == "mine"


def test_the_command_measures_the_mean_and_leaves_a_run(runs, tmp_path, capsys):
    output = tmp_path / "mean"
    arguments = ["--run_dir", *(str(run.path) for run in runs), "--shares", "1000", "1e-9"]
    assert command.main([*arguments, "--output_dir", str(output)]) == 0
    assert f"{output}: the mean of" in capsys.readouterr().out
    run = RunDir(output)
    metrics = json.loads(run.metrics_file.read_text())
    assert metrics["measured"]["weights"] == hash_weights(run.best_weights)
    assert len(run.read_config().postprocess.calibration) == 3
    with pytest.raises(FileExistsError, match=r"config.json is there already"):
        command.main([*arguments, "--output_dir", str(output)])
    # The scores of equal weights are calibrated alike, not on top of the former calibration.
    before = run.calibration_file.read_text(), run.best_weights.read_bytes()
    assert command.main([*arguments, "--output_dir", str(output), "--overwrite"]) == 0
    assert (run.calibration_file.read_text(), run.best_weights.read_bytes()) == before
    with pytest.raises(ValueError, match="--run_dir is missing"):
        command.main([])


def test_nothing_is_written_where_the_mean_could_not_be_measured(runs, tmp_path):
    config = json.loads(runs[1].config_file.read_text())
    config["data"]["records_dir"] = str(tmp_path / "gone")
    runs[1].config_file.write_text(json.dumps(config))
    output = tmp_path / "mean"
    with pytest.raises(FileNotFoundError, match="gone"):
        command.main(["--run_dir", *(str(run.path) for run in runs), "--output_dir", str(output)])
    assert not output.exists()
