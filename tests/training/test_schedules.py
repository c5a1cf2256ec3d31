import math

import keras
import numpy as np
import pytest

from mobilenetdet.config.detection import TrainConfig
from mobilenetdet.training.schedules import WarmupSchedule, make_schedule


def rate(schedule: keras.optimizers.schedules.LearningRateSchedule, step: int) -> float:
    return float(keras.ops.convert_to_numpy(schedule(step)))


def schedule_of(kind: str, **options: float) -> WarmupSchedule:
    """Of 25 epochs of 4 steps, one of them warm-up; times in steps are 4 times those in epochs."""
    values = {"epochs": 25, "warmup_epochs": 1, "decay_epochs": 2.5, "learning_rate": 1.0}
    return make_schedule(TrainConfig(schedule=kind, **(values | options)), steps_per_epoch=4)


@pytest.mark.parametrize(
    ("kind", "step", "expected"),
    [
        ("constant", 0, 0.25),  # a quarter of the warm-up
        ("constant", 3, 1.0),  # its last step reaches the peak
        ("constant", 90, 1.0),
        ("cosine", 4, 1.0),
        ("cosine", 4 + 48, 0.5),  # half-way after the warm-up
        ("cosine", 100, 0.0),
        ("cosine", 130, 0.0),  # never negative, never up again
        ("exponential", 4 + 10, 0.5),
        ("exponential", 4 + 5, math.sqrt(0.5)),
        ("step", 4 + 9, 1.0),
        ("step", 4 + 10, 0.5),
        ("step", 4 + 25, 0.25),
    ],
)
def test_courses(kind: str, step: int, expected: float):
    assert rate(schedule_of(kind), step) == pytest.approx(expected, abs=1e-6)


def former_rate(
    kind: str, step: int, *, total: int, warmup: int, decay: float, every: int
) -> float:
    """The curves as formulas, times 0.2."""
    after = max(step - warmup, 0)
    course = {
        "cosine": 0.5 * (1 + math.cos(math.pi * min(after / max(1, total - warmup), 1))),
        "exponential": decay ** (after / every),
        "step": decay ** (after // every),
        "constant": 1.0,
    }[kind]
    return 0.2 * min((step + 1) / max(1, warmup), 1) * course


@pytest.mark.parametrize("kind", ["cosine", "exponential", "step", "constant"])
@pytest.mark.parametrize("warmup_epochs", [0.0, 0.5, 2.0])
def test_every_step_is_that_of_the_formula(kind, warmup_epochs):
    schedule = schedule_of(
        kind, learning_rate=0.2, warmup_epochs=warmup_epochs, decay_rate=0.7, decay_epochs=3.0
    )
    found = [rate(schedule, step) for step in range(120)]
    options = {"total": 100, "warmup": round(4 * warmup_epochs), "decay": 0.7, "every": 12}
    expected = [former_rate(kind, step, **options) for step in range(120)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_no_warmup_starts_at_the_peak():
    schedule = schedule_of("cosine", learning_rate=0.1, warmup_epochs=0)
    assert rate(schedule, 0) == pytest.approx(0.1)


def test_times_of_a_config_are_epochs():
    config = TrainConfig(
        epochs=10, learning_rate=2.0, schedule="step", warmup_epochs=2, decay_epochs=3
    )
    schedule = make_schedule(config, steps_per_epoch=5)
    assert (schedule.warmup_steps, schedule.decay_steps) == (10, 15)
    np.testing.assert_allclose([rate(schedule, s) for s in (9, 24, 25)], [2.0, 2.0, 1.0])


@pytest.mark.parametrize("kind", ["cosine", "exponential", "step", "constant"])
def test_config_round_trip(kind):
    schedule = schedule_of(kind)
    again = WarmupSchedule.from_config(schedule.get_config())
    assert [rate(again, step) for step in range(30)] == [rate(schedule, step) for step in range(30)]
    serialized = keras.optimizers.schedules.serialize(schedule)
    assert isinstance(keras.optimizers.schedules.deserialize(serialized), WarmupSchedule)


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="train.schedule: .*'cosine'.*not 'linear'"):
        schedule_of("linear")


@pytest.mark.parametrize(
    ("epochs", "asked", "steps"), [(1, 1.0, 2), (4, 9.0, 8), (4, 3.5, 28), (30, 1.0, 8)]
)
def test_a_warmup_that_would_fill_the_run_takes_a_quarter_and_says_so(epochs, asked, steps):
    config = TrainConfig(epochs=epochs, warmup_epochs=asked)
    assert make_schedule(config, 8).warmup_steps == steps
    expected = f"train.epochs {epochs}: the warm-up takes {epochs / 4:g} epochs"
    assert [expected in note for note in config.notes()] == ([True] if asked >= epochs else [])
