"""What TensorBoard, wandb and MLflow get of a training."""

import sys
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
from mobilenetdet.training.library_logs import MlflowLog, WandbLog
from mobilenetdet.training.loggers import (
    STEP_LOSS,
    STEPS_A_POINT,
    StepLog,
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


def done(epochs):
    """The history of a run of so many epochs."""
    return [{"epoch": epoch, "loss": 0.5 / epoch, **METRICS} for epoch in range(1, epochs + 1)]


def fit(run_dir, *loggers, epochs=2, initial_epoch=0):
    """Trains a line through points with these loggers; returns the mean losses by step."""
    run_dir.mkdir(exist_ok=True)
    config, run = Config(FitConfig(logger=loggers)), RunDir(run_dir)
    validation = SimpleNamespace(metrics=METRICS, latest=None)
    by_epoch = None
    if "tensorboard" in loggers:
        by_epoch = TensorBoardLog(run.events_dir, validation, None)
    more = make_loggers(
        config, run, validation, tensorboard=by_epoch, history=done(initial_epoch)
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


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """MLflow, which logs into the folder of the test."""
    module = pytest.importorskip(
        "mlflow", reason="mlflow is not installed: pip install -e '.[mlflow]'"
    )
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    for name in ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):  # it sets the latter itself
        monkeypatch.delenv(name, raising=False)
    return module


def test_mlflow_gets_epochs_and_goes_on_in_the_same_run(tmp_path, mlflow):
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


def test_mlflow_gets_the_epochs_that_a_kill_or_another_logger_has_kept_from_it(tmp_path, mlflow):
    fit(tmp_path / "run", "mlflow", epochs=1)
    fit(tmp_path / "run", "mlflow", epochs=4, initial_epoch=3)  # killed behind its checkpoints
    fit(tmp_path / "other", "mlflow", epochs=3, initial_epoch=2)  # logged elsewhere until now
    other, run = mlflow.search_runs(experiment_names=["mobilenetdet"], output_format="list")
    for each, steps in ((run, [1, 2, 3, 4]), (other, [1, 2, 3])):
        history = mlflow.MlflowClient().get_metric_history(each.info.run_id, "loss")
        assert [row.step for row in history] == steps
        assert history[1].value == 0.25


@pytest.mark.parametrize(
    ("step", "resumed", "history", "logged"),
    [
        (0, False, 0, []),
        (0, False, 2, [1, 2]),  # logged elsewhere until now
        (3, True, 3, [3]),  # killed between the checkpoint and the log
        (4, True, 3, []),
    ],
)
def test_wandb_gets_the_epochs_that_it_has_not(
    tmp_path, monkeypatch, step, resumed, history, logged
):
    """With a stand-in for wandb: only its server knows how far a run was logged."""
    rows = []
    begun = SimpleNamespace(
        step=step, resumed=resumed, log=lambda metrics, step: rows.append((step, metrics))
    )
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=lambda **_: begun))
    run = RunDir(tmp_path)
    if resumed:
        (tmp_path / "wandb/run-20260101-abc").mkdir(parents=True)
        (tmp_path / "wandb/latest-run").symlink_to("run-20260101-abc")
    WandbLog(run, SimpleNamespace(metrics={}), {}, history=done(history)).on_train_begin()
    assert [each for each, _ in rows] == logged
    assert all(metrics == {"loss": 0.5 / each, **METRICS} for each, metrics in rows)


def test_of_processes_that_train_together_the_first_alone_logs_elsewhere(tmp_path):
    config, run = Config(FitConfig(logger=("tensorboard", "wandb", "mlflow"))), RunDir(tmp_path)
    validation = SimpleNamespace(metrics=METRICS, latest=None)
    by_epoch = TensorBoardLog(run.events_dir, validation, None)
    made = [
        {
            type(each)
            for each in make_loggers(
                config, run, validation, tensorboard=by_epoch, is_first=is_first
            )
        }
        for is_first in (True, False)
    ]
    assert made == [{StepLog, WandbLog, MlflowLog}, {StepLog}]


class Library:
    """What of MLflow a log calls; fails at one of the calls."""

    def __init__(self, failing: str = "") -> None:
        self.failing, self.calls = failing, []

    def __getattr__(self, name: str):
        def call(*args, **more):
            self.calls.append(name)
            if name == self.failing:
                raise RuntimeError("the server\nsays no")
            return []

        return call


def test_a_library_that_fails_before_the_training_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", Library("start_run"))
    with pytest.raises(ValueError, match="train.logger mlflow: the server says no; set mlflow up"):
        fit(tmp_path / "run", "mlflow", epochs=1)


@pytest.mark.parametrize(("failing", "times"), [("log_metrics", 3), ("end_run", 1)])
def test_a_library_that_fails_later_does_not_end_the_training(
    tmp_path, monkeypatch, capfd, failing, times
):
    library = Library(failing)
    monkeypatch.setitem(sys.modules, "mlflow", library)
    assert len(fit(tmp_path / "run", "mlflow", epochs=3)) == 3 * STEPS
    lines = [line for line in capfd.readouterr().err.splitlines() if "mlflow" in line]
    assert len(lines) == times and "warning: train.logger mlflow: the server says no" in lines[0]
    assert library.calls.count("log_metrics") == 3 and library.calls[-1] == "end_run"
