"""A training that fails, or is interrupted, leaves no run of wandb or MLflow open."""

import sys
from types import SimpleNamespace

import keras
import pytest

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.storage import with_changes
from mobilenetdet.training.fit import fit_epochs
from mobilenetdet.training.library_logs import MlflowLog, WandbLog


class OtherLibrary:
    """As much of wandb and of MLflow as a log calls; notes how runs end."""

    step, resumed = 0, False

    def __init__(self):
        self.ends, self.active = [], None

    def init(self, **_):
        return self

    def finish(self, **how):
        self.ends.append(how)

    def start_run(self, *, tags, **_):
        self.active = SimpleNamespace(data=SimpleNamespace(tags=tags))

    def active_run(self):
        return self.active

    def end_run(self, **how):
        self.active = None
        self.ends.append(how)

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


def train(run_dir, name, error=None):
    """Begins a training, and ends it well or with an error."""

    def fit(batches, *, callbacks, **_):
        loggers = [each for each in callbacks if isinstance(each, WandbLog | MlflowLog)]
        for each in loggers:
            each.on_train_begin()
        if error is not None:
            raise error
        for each in loggers:
            each.on_train_end()

    model, ema = SimpleNamespace(fit=fit), keras.callbacks.Callback()
    state = SimpleNamespace(run_dir=run_dir, epoch=0, history=[], model=model, ema=ema)
    validation = SimpleNamespace(epochs=1, metrics={})
    config = with_changes(DetectionConfig(), {"train.logger": (name,)})
    fit_epochs((), state, validation, config=config, steps=1)


@pytest.mark.parametrize(
    ("name", "failed"), [("wandb", {"exit_code": 1}), ("mlflow", {"status": "FAILED"})]
)
def test_a_run_ends_once_however_the_training_ends(tmp_path, monkeypatch, name, failed):
    monkeypatch.setitem(sys.modules, name, library := OtherLibrary())
    train(tmp_path, name)
    assert library.ends == [{}]
    for error in (ValueError("diverged"), KeyboardInterrupt()):
        library.ends.clear()
        with pytest.raises(type(error)):
            train(tmp_path, name, error)
        assert library.ends == [failed]


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_run_of_the_callers_is_not_ended(tmp_path, monkeypatch, name):
    """One that is open while that of the training cannot begin."""
    monkeypatch.setitem(sys.modules, name, library := OtherLibrary())
    library.start_run(tags={})
    library.init = library.start_run = lambda **_: 1 / 0
    with pytest.raises(ValueError, match=f"train.logger {name}: division by zero"):
        train(tmp_path, name)
    assert not library.ends and library.active
