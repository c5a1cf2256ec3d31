import math

import keras
import numpy as np
import pytest

from mobilenetdet.config.detection import TrainConfig
from mobilenetdet.training.schedules import WarmupSchedule, make_schedule


def rate(schedule: WarmupSchedule, step: int) -> float:
    return float(keras.ops.convert_to_numpy(schedule(step)))


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
    schedule = WarmupSchedule(
        1.0, kind=kind, total_steps=100, warmup_steps=4, decay_rate=0.5, decay_steps=10
    )
    assert rate(schedule, step) == pytest.approx(expected, abs=1e-6)


def test_no_warmup_starts_at_the_peak():
    assert rate(WarmupSchedule(0.1, kind="cosine", total_steps=10), 0) == pytest.approx(0.1)


def test_times_of_a_config_are_epochs():
    config = TrainConfig(
        epochs=10, learning_rate=2.0, schedule="step", warmup_epochs=2, decay_epochs=3
    )
    schedule = make_schedule(config, steps_per_epoch=5)
    assert [schedule.total_steps, schedule.warmup_steps, schedule.decay_steps] == [50, 10, 15]
    np.testing.assert_allclose([rate(schedule, s) for s in (9, 24, 25)], [2.0, 2.0, 1.0])


def test_config_round_trip():
    schedule = WarmupSchedule(1.0, kind="step", total_steps=9, warmup_steps=2, decay_steps=4)
    assert rate(WarmupSchedule.from_config(schedule.get_config()), 7) == rate(schedule, 7)


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="'linear'.*cosine"):
        WarmupSchedule(1.0, kind="linear", total_steps=9)(0)
