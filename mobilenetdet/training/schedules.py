"""Learning rate over the steps of a run.

Not Keras' schedules: in a graph its cosine is off in the last digit of every seventh step, which
trains another network from the same seed, and its warm-up begins with a step of rate 0.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from mobilenetdet.config.training import FitConfig


@keras.saving.register_keras_serializable("mobilenetdet")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up, then a cosine, exponential, step-wise or flat course.

    The first of N steps of the warm-up has an Nth of the peak.
    """

    def __init__(
        self,
        peak: float,
        *,
        kind: str,
        total_steps: int,
        warmup_steps: int = 0,
        decay_rate: float = 0.5,
        decay_steps: int = 1,
    ) -> None:
        """Describes the course.

        Args:
            peak: learning rate at the end of the warm-up.
            kind: "cosine" (to 0 at total_steps), "exponential" (times decay_rate over each
                decay_steps, smoothly), "step" (the same, in steps) or "constant".
            total_steps: steps of the whole run, warm-up included.
            warmup_steps: steps of the warm-up.
            decay_rate: factor of "exponential" and "step".
            decay_steps: steps between two applications of decay_rate, counted after the warm-up.
        """
        super().__init__()
        self.peak, self.kind = peak, kind
        self.total_steps, self.warmup_steps = total_steps, warmup_steps
        self.decay_rate, self.decay_steps = decay_rate, decay_steps

    def __call__(self, step: Any) -> Any:
        """Learning rate at a step, counted from 0."""
        step = ops.cast(step, "float32")
        after = ops.maximum(step - self.warmup_steps, 0.0)
        warmup = ops.minimum((step + 1.0) / max(1, self.warmup_steps), 1.0)
        return self.peak * warmup * self._course(after)

    def get_config(self) -> dict[str, object]:
        """Everything that `__init__` needs."""
        names = ("peak", "kind", "total_steps", "warmup_steps", "decay_rate", "decay_steps")
        return {name: getattr(self, name) for name in names}

    def _course(self, after: Any) -> Any:
        if self.kind == "cosine":
            share = after / max(1, self.total_steps - self.warmup_steps)
            return 0.5 * (1.0 + ops.cos(math.pi * ops.minimum(share, 1.0)))
        if self.kind == "exponential":
            return ops.power(self.decay_rate, after / self.decay_steps)
        if self.kind == "step":
            return ops.power(self.decay_rate, ops.floor(after / self.decay_steps))
        if self.kind == "constant":
            return ops.ones_like(after)
        raise ValueError(f"schedule {self.kind!r}: choose cosine, exponential, step or constant")


def make_schedule(config: FitConfig, steps_per_epoch: int) -> WarmupSchedule:
    """Builds the schedule of a config, whose times are in epochs."""
    return WarmupSchedule(
        config.learning_rate,
        kind=config.schedule,
        total_steps=config.epochs * steps_per_epoch,
        warmup_steps=round(config.fitting_warmup * steps_per_epoch),
        decay_rate=config.decay_rate,
        decay_steps=max(1, round(config.decay_epochs * steps_per_epoch)),
    )
