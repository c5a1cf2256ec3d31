"""What TensorBoard, wandb and MLflow get of a training."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.training import FitConfig
from mobilenetdet.runs import RunDir
from mobilenetdet.training.callbacks import TensorBoardLog
from mobilenetdet.training.loggers import (
    STEP_LOSS,
    STEPS_A_POINT,
    check_loggers,
    flat_settings,
    make_loggers,
)

METRICS = {"val/mean/moderate/R40": 61.5}
STEPS = 2 * STEPS_A_POINT


@dataclass(frozen=True)
class Config:
    """As much of a config as a log needs."""

    train: FitConfig
    data: dict = field(default_factory=lambda: {"classes": ("Car", "Van"), "root": None})


class Seen(keras.callbacks.Callback):
    """Notes the mean loss of the epoch after each step, as Keras gives it."""

    def __init__(self):
        super().__init__()
        self.means = []

    def on_train_batch_end(self, batch, logs=None):
        self.means.append(float(logs["loss"]))


def fit(run_dir, *loggers, epochs=2, initial_epoch=0):
    """Trains a line through points with these loggers; returns the mean losses by step."""
    run_dir.mkdir(exist_ok=True)
    config, run = Config(FitConfig(logger=loggers)), RunDir(run_dir)
    validation = SimpleNamespace(metrics=METRICS, latest=None)
    by_epoch = None
    if "tensorboard" in loggers:
        by_epoch = TensorBoardLog(run.events_dir, validation, None)
    more = make_loggers(
        config, run, validation, tensorboard=by_epoch, resuming=initial_epoch > 0
    )  # fmt: skip
    seen = Seen()
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=False)
    x = np.linspace(0, 1, STEPS * 2)[:, None]
    model.fit(
        x, 3 * x, batch_size=2, epochs=epochs, initial_epoch=initial_epoch, verbose=0,
        callbacks=[*([by_epoch] if by_epoch else []), *more, seen],
    )  # fmt: skip
    return seen.means


def values_in(folder):
    return [
        (event.step, value)
        for path in sorted(folder.glob("events*"))
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    ]


def test_tensorboard_has_the_loss_by_step(tmp_path):
    means = fit(tmp_path / "run", "tensorboard")
    points = {
        step: float(tf.make_ndarray(value.tensor))
        for step, value in values_in(tmp_path / "run/tensorboard")
        if value.tag == STEP_LOSS
    }
    first = np.array(means[:STEPS]) * np.arange(1, STEPS + 1)
    assert list(points) == [STEPS_A_POINT * place for place in (1, 2, 3, 4)]
    assert points[STEPS_A_POINT] == pytest.approx(first[STEPS_A_POINT - 1] / STEPS_A_POINT)
    tail = (first[-1] - first[STEPS_A_POINT - 1]) / STEPS_A_POINT
    assert points[2 * STEPS_A_POINT] == pytest.approx(tail, rel=1e-4)


def test_tensorboard_has_the_settings_of_each_run_as_its_own_reader_finds_them(tmp_path):
    from tensorboard.plugins.hparams import metadata

    fit(tmp_path / "run", "tensorboard", epochs=1)
    found = [
        metadata.parse_session_start_info_plugin_data(value.metadata.plugin_data.content)
        for _, value in values_in(tmp_path / "run/tensorboard")
        if value.tag == metadata.SESSION_START_INFO_TAG
    ]
    assert len(found) == 1
    settings = found[0].hparams
    assert settings["train.learning_rate"].number_value == pytest.approx(1e-3)
    assert settings["train.optimizer"].string_value == "adamw"
    assert settings["data.classes"].string_value == "Car, Van"


def test_nothing_is_logged_where_nothing_is_asked_for(tmp_path):
    fit(tmp_path / "run", epochs=1)
    assert not list((tmp_path / "run").iterdir())


def test_every_setting_of_a_detector_is_a_plain_value():
    settings = flat_settings(DetectionConfig())
    assert settings["data.classes"] == "Car, Pedestrian, Cyclist"
    assert settings["head.kind"] == DetectionConfig().head.kind
    assert len(settings) > 60
    assert all(type(value) in (bool, int, float, str) for value in settings.values())


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_library_that_is_missing_is_named_with_its_extra(name, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=rf"pip install 'mobilenetdet\[{name}\]'"):
        check_loggers(FitConfig(logger=("tensorboard", name)))
    check_loggers(FitConfig())


def test_wandb_gets_epochs_and_goes_on_in_the_same_run(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed: pip install -e '.[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    fit(tmp_path / "run", "wandb", epochs=1)
    fit(tmp_path / "run", "wandb", epochs=2, initial_epoch=1)
    files = sorted((tmp_path / "run/wandb").glob("offline-run-*/run-*.wandb"))
    assert len({path.stem for path in files}) == 1 and files  # one id
    content = b"".join(path.read_bytes() for path in files)
    assert b"val/mean/moderate/R40" in content and b"learning_rate" in content


def test_mlflow_gets_epochs_and_goes_on_in_the_same_run(tmp_path, monkeypatch):
    mlflow = pytest.importorskip(
        "mlflow", reason="mlflow is not installed: pip install -e '.[mlflow]'"
    )
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    fit(tmp_path / "run", "mlflow", epochs=1)
    fit(tmp_path / "run", "mlflow", epochs=2, initial_epoch=1)
    fit(tmp_path / "run", "mlflow", epochs=1)  # begun again
    runs = mlflow.search_runs(experiment_names=["mobilenetdet"], output_format="list")
    assert [run.info.run_name for run in runs] == ["run", "run"]
    resumed = runs[1]
    assert resumed.data.params["train.optimizer"] == "adamw"
    history = mlflow.MlflowClient().get_metric_history(resumed.info.run_id, "loss")
    assert [row.step for row in history] == [1, 2]
    assert resumed.data.metrics["val/mean/moderate/R40"] == 61.5
