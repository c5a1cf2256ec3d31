"""What a start that fails leaves behind, and how a run goes on with other settings."""

import contextlib
import os
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
from fixtures.training import rows_of

from mobilenetdet.config.storage import read_config, with_changes
from mobilenetdet.distribution import cluster
from mobilenetdet.training import train as module
from mobilenetdet.training.train import train


@pytest.fixture
def config(small_config):
    return with_changes(
        small_config,
        {
            "train.epochs": 1,
            "train.tensorboard_images": 0,
            "eval.num_overlays": 0,
            "head.channels": 8,
        },
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.classes": ["Lorry"]}, "no object in .* is of class Lorry"),
        ({"data.records_dir": "none"}, "no records of train in none"),
        ({"data.val_split": "test"}, "no records of test"),
        ({"model.weights": "none.h5"}, "none.h5 does not exist"),
        ({"model.detector_weights": "none.h5"}, "none.h5 is no weight file"),
        ({"train.optimizer": "adamm"}, "adamm' is unknown; did you mean adam"),
    ],
)
def test_a_failed_start_leaves_nothing(config, tmp_path, changes, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        train(with_changes(config, changes), tmp_path / "run", verbose=0)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_whose_name_is_no_utf8_is_refused_before_it_is_made(config, tmp_path):
    with pytest.raises(ValueError, match=r"run\\xff: this name is no UTF-8 text; name another"):
        train(config, tmp_path / os.fsdecode(b"run\xff"), verbose=0)
    assert list(tmp_path.iterdir()) == []


def test_a_second_training_is_refused_before_any_work(config, tmp_path, monkeypatch):
    @contextlib.contextmanager
    def refuse(folder):
        raise FileExistsError(f"process 4711 is writing in {folder}")
        yield

    monkeypatch.setattr(cluster, "folder_lock", refuse)
    monkeypatch.setattr(module, "check_training_classes", lambda config: pytest.fail("too late"))
    with pytest.raises(FileExistsError, match=f"4711 is writing in {tmp_path}"):
        train(config, tmp_path, verbose=0)


@pytest.mark.slow
def test_a_finished_run_goes_on_with_more_epochs_and_other_settings(
    config, small_kitti, tmp_path, capsys
):
    """After a first epoch, for which the warm-up of one epoch shortens itself."""
    first = replace(config, train=replace(config.train, warmup_epochs=1.0))
    train(first, tmp_path / "run", verbose=0)
    assert "train.epochs 1: the warm-up takes 0.25 epochs" in capsys.readouterr().out
    shutil.copytree(small_kitti / "tfrecord", tmp_path / "moved")
    changes = {
        "data.records_dir": str(tmp_path / "moved"),
        "train.epochs": 2,
        "train.batch_size": 2,
        "eval.protocol": "pre2017",
    }
    second = with_changes(first, changes)
    train(second, tmp_path / "run", verbose=0)
    printed = capsys.readouterr().out
    for words in ("resuming after epoch 1 of 2", "train.batch_size: 4 there, 2 now"):
        assert words in printed
    assert "the best weights are measured again" in printed
    assert read_config(tmp_path / "run/config.json") == second
    assert [row["epoch"] for row in rows_of(tmp_path / "run")] == ["1", "2"]
    state = np.load(tmp_path / "run/checkpoint.npz")
    assert 8 in [int(state[n]) for n in state.files if n.startswith("optim") and not state[n].shape]


@pytest.mark.slow
def test_nan_at_the_last_step_of_an_epoch_does_not_cost_the_run(config, tmp_path, monkeypatch):
    """The loss is that before the step, and a number still; the weights after it are not."""
    run_dir = tmp_path / "run"
    train(config, run_dir, verbose=0)
    before = {path.name: path.read_bytes() for path in run_dir.iterdir() if path.is_file()}
    longer = with_changes(config, {"train.epochs": 2})

    class Diverge(keras.callbacks.Callback):
        writer = None  # of TensorBoard, in whose place it stands

        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:  # of 0 and 1
                self.model.weights[0].assign(self.model.weights[0] * np.nan)

    monkeypatch.setattr("mobilenetdet.training.fit.TensorBoardLog", lambda *arguments: Diverge())
    with pytest.raises(ValueError, match="is NaN or infinite: training has diverged"):
        train(longer, run_dir, verbose=0)
    monkeypatch.undo()
    for name in ("best.weights.h5", "last.weights.h5", "checkpoint.npz", "metrics.csv"):
        assert (run_dir / name).read_bytes() == before[name], name
    slower = with_changes(longer, {"train.learning_rate": 1e-5})
    train(slower, run_dir, verbose=0)
    assert [row["epoch"] for row in rows_of(run_dir)] == ["1", "2"]
