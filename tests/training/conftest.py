"""What the tests of training share."""

import keras
import pytest

from mobilenetdet.training import fit as fitting


class Interrupt(keras.callbacks.Callback):
    """Presses Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch: int):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.now = epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self.now == self.epoch:
            raise KeyboardInterrupt


@pytest.fixture(scope="session")
def interrupted():
    """A function: runs another until the given epoch, counted from 0, and breaks it off there."""

    def run(train, epoch):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fitting, "StopOnNaN", lambda: Interrupt(epoch))
            with pytest.raises(KeyboardInterrupt):
                train()

    return run


@pytest.fixture(scope="module")
def straight_and_resumed(tmp_path_factory, interrupted):
    """A function: trains a config twice, straight and interrupted in its second epoch.

    Returns the run directories, the rows of the second one's metrics.csv when it was interrupted,
    and what the training of the first returned.
    """

    def run(train, config):
        straight, resumed = (
            tmp_path_factory.mktemp(name) / "run" for name in ("straight", "resumed")
        )
        result = train(config, straight, verbose=0)
        interrupted(lambda: train(config, resumed, verbose=0), epoch=1)
        rows_before = (resumed / "metrics.csv").read_text()
        train(config, resumed, verbose=0)
        return {
            "config": config,
            "straight": straight,
            "resumed": resumed,
            "rows_before": rows_before,
            "result": result,
        }

    return run
