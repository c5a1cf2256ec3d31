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
