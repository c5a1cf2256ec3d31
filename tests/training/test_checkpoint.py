"""The state of a run: what it belongs to, and that no number in it is none."""

import keras
import numpy as np
import pytest

from mobilenetdet.training.checkpoint import RunFacts, RunState
from mobilenetdet.training.ema import EmaWeights

FACTS = RunFacts(steps=10, records="abc", measured_by="r40")


def make_state(run_dir, facts=FACTS, momentum=0.9):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="last")])
    model.compile(optimizer=keras.optimizers.SGD(momentum=0.9))
    return RunState(model, EmaWeights(model, momentum), run_dir, facts)


@pytest.fixture
def saved(tmp_path):
    """A state after 3 epochs of 10 steps."""
    state = make_state(tmp_path)
    state.epoch, state.best = 3, 55.0
    state.history = [{"epoch": epoch, "loss": 1.0} for epoch in (1, 2, 3)]
    state._optimizer.iterations.assign(30)
    state.save()
    return tmp_path


def test_a_state_comes_back_as_it_was(saved):
    state = make_state(saved)
    assert state.restore() and not state.best_is_stale
    assert (state.epoch, state.best, len(state.history)) == (3, 55.0, 3)
    assert int(state.model.optimizer.iterations) == 30


def test_epochs_of_another_length_count_their_steps_anew(saved):
    """With half the batch size the schedule of the learning rate is at 3 epochs of 20 steps."""
    state = make_state(saved, RunFacts(20, "abc", "r40"))
    state.restore()
    assert int(state.model.optimizer.iterations) == 60


def test_a_best_figure_that_was_measured_otherwise_is_stale(saved):
    state = make_state(saved, RunFacts(10, "abc", "r11"))
    state.restore()
    assert state.best_is_stale and state.best == 55.0


def test_other_records_are_refused(saved):
    with pytest.raises(ValueError, match=r"another content \(abc, not xyz\).*--data.records_dir"):
        make_state(saved, RunFacts(10, "xyz", "r40")).restore()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text", None])
def test_a_damaged_state_is_named_with_what_helps(saved, content):
    path = saved / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[:-300] if content is None else content)
    words = "checkpoint.npz is damaged.*copy it again, or begin another run with the weights in"
    with pytest.raises(ValueError, match=words):
        make_state(saved).restore()


def test_weights_that_are_no_numbers_are_never_saved(saved):
    state, before = make_state(saved), (saved / "checkpoint.npz").read_bytes()
    state.save_weights("last.weights.h5")
    good = (saved / "last.weights.h5").read_bytes()
    state.ema.averages[0][0] = np.inf
    for save in (state.save, lambda: state.save_weights("last.weights.h5")):
        with pytest.raises(ValueError, match="last/kernel is NaN or infinite: training has"):
            save()
    assert (saved / "checkpoint.npz").read_bytes() == before
    assert (saved / "last.weights.h5").read_bytes() == good
    assert sorted(p.name for p in saved.iterdir()) == ["checkpoint.npz", "last.weights.h5"]


def test_weights_that_are_no_numbers_are_not_resumed_from(saved, monkeypatch):
    state = make_state(saved)
    state.model.get_layer("last").bias.assign([np.nan])
    monkeypatch.setattr(state, "_refuse_non_finite", lambda: None)
    state.save()
    state = make_state(saved)
    with pytest.raises(ValueError, match="checkpoint.npz: .*last/bias holds NaN or infinity"):
        state.restore()


def test_weight_files_are_checked_too(saved):
    state = make_state(saved, momentum=0.0)
    state.model.get_layer("last").bias.assign([np.nan])
    state.model.save_weights(saved / "last.weights.h5")
    for damage, words in ((None, "last/bias holds NaN"), (b"text", "is not a Keras")):
        if damage:
            (saved / "last.weights.h5").write_bytes(damage)
        with pytest.raises(ValueError, match=f"last.weights.h5.*{words}"):
            state.load_weights("last.weights.h5")
