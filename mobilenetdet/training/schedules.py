"""Learning rate over the steps of a run: Keras' schedules, behind a warm-up."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops
from keras.optimizers.schedules import CosineDecay, ExponentialDecay, LearningRateSchedule

from mobilenetdet.config.training import FitConfig


@keras.saving.register_keras_serializable("mobilenetdet")
class Warmup(LearningRateSchedule):
    """A linear warm-up before any other schedule.

    Ours, because Keras has one for the cosine alone, whose first step has a rate of 0.
    """

    def __init__(self, schedule: LearningRateSchedule | float, warmup_steps: int = 0) -> None:
        """Describes the course.

        Args:
            schedule: of the steps after the warm-up, which it counts from 0; a number is constant.
            warmup_steps: steps until the rate is that of `schedule` at 0; the first has a share of
                1 / warmup_steps.
        """
        super().__init__()
        self.schedule, self.warmup_steps = schedule, warmup_steps

    def __call__(self, step: object) -> object:
        """Learning rate at a step, counted from 0."""
        step = ops.cast(step, "float32")
        share = ops.minimum((step + 1.0) / max(1, self.warmup_steps), 1.0)
        if not callable(self.schedule):
            return self.schedule * share
        return share * self.schedule(ops.maximum(step - self.warmup_steps, 0.0))

    def get_config(self) -> dict[str, Any]:
        """Everything that `from_config` needs."""
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "warmup_steps": self.warmup_steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Warmup:
        """Makes the schedule that `get_config` describes."""
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["warmup_steps"])


def make_schedule(config: FitConfig, steps_per_epoch: int) -> Warmup:
    """Builds the schedule of a config, whose times are in epochs."""
    peak, warmup_steps = config.learning_rate, round(config.fitting_warmup * steps_per_epoch)
    if config.schedule == "constant":
        return Warmup(peak, warmup_steps)
    if config.schedule == "cosine":
        steps = config.epochs * steps_per_epoch - warmup_steps
        return Warmup(CosineDecay(peak, max(1, steps)), warmup_steps)
    decay = ExponentialDecay(
        peak,
        decay_steps=max(1, round(config.decay_epochs * steps_per_epoch)),
        decay_rate=config.decay_rate,
        staircase=config.schedule == "step",
    )
    return Warmup(decay, warmup_steps)
