"""Optimizers by name."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable

import keras
from keras import ops

from mobilenetdet.config.training import FitConfig
from mobilenetdet.models.layers import Tensor
from mobilenetdet.replicas import num_replicas, sum_over_replicas
from mobilenetdet.training.yellowfin import YellowFin

# Biases and the variables of normalisation are not decayed.
_NO_DECAY = ["bias", "gamma", "beta"]
# What an optimizer adds to the logs of an epoch.
LOGGED_METRICS = ("learning_rate", "momentum")


def make_optimizer(
    config: FitConfig, schedule: keras.optimizers.schedules.LearningRateSchedule | float
) -> keras.optimizers.Optimizer:
    """Builds the optimizer of a config.

    Args:
        config: name, momentum, weight decay and clipping.
        schedule: the learning rate.

    Raises:
        ValueError: there is no optimizer of that name (the nearest is named), or it takes no
            clipping (YellowFin has its own).
    """
    kind = optimizer_class(config.optimizer)
    accepted = inspect.signature(kind).parameters
    options = {
        "learning_rate": schedule,
        "weight_decay": config.weight_decay or None,
        "global_clipnorm": config.clip_norm or None,
    }
    if "momentum" in accepted:
        options["momentum"] = config.momentum
    if kind is keras.optimizers.AdamW:
        options["weight_decay"] = config.weight_decay
    if (count := num_replicas()) > 1 and config.clip_norm:
        # Each replica would be clipped by itself.
        kind = _summing_first(kind)
        options["global_clipnorm"] = config.clip_norm / count
    optimizer = kind(**options)
    if config.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=_NO_DECAY)
    return optimizer


def _summing_first(
    kind: type[keras.optimizers.Optimizer],
) -> type[keras.optimizers.Optimizer]:
    """Makes an optimizer sum the gradients of the replicas before it clips them.

    Keras clips first, and sums later on: what it gets is the sum divided by their number.
    """

    class SummingFirst(kind):
        """Clips the gradient of the whole batch."""

        def apply(
            self, grads: list[Tensor], trainable_variables: list[keras.Variable] | None = None
        ) -> None:
            """Moves the variables by the gradients of the replicas."""
            count = num_replicas()
            means = [None if g is None else sum_over_replicas(g) / count for g in grads]
            super().apply(means, trainable_variables)

    return SummingFirst


def scale_learning_rate(
    optimizer: keras.optimizers.Optimizer, variables: Iterable[keras.Variable], factor: float
) -> None:
    """Scales the learning rate of some variables; their weight decay stays.

    Args:
        optimizer: any but YellowFin, which tunes one rate for all.
        variables: a pretrained backbone's, for example.
        factor: of the rate of the optimizer.

    Raises:
        ValueError: the optimizer is YellowFin.
    """
    if isinstance(optimizer, YellowFin):
        raise ValueError("YellowFin tunes one rate for all variables; set train.backbone_rate to 1")
    # TensorFlow hands over its own variables, under a strategy those of one replica. Only Keras'
    # private `_var_key` finds the variable that they belong to; a test names it.
    slow = {optimizer._var_key(variable) for variable in variables}
    update = optimizer.update_step

    def update_slowly(gradient: Tensor, variable: Tensor, learning_rate: Tensor) -> None:
        """Updates one variable."""
        is_slow = optimizer._var_key(variable) in slow
        update(gradient, variable, learning_rate * factor if is_slow else learning_rate)

    optimizer.update_step = update_slowly


def optimizer_metrics(optimizer: keras.optimizers.Optimizer) -> dict[str, float]:
    """Learning rate to log after a step; of YellowFin the one that it tuned, and its momentum."""
    optimizer = inner_optimizer(optimizer)
    if isinstance(optimizer, YellowFin):
        return {"learning_rate": optimizer.tuned_rate, "momentum": optimizer.tuned_momentum}
    return {"learning_rate": float(ops.convert_to_numpy(optimizer.learning_rate))}


def inner_optimizer(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Returns the optimizer inside of loss scaling, or the optimizer itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def optimizer_class(name: str) -> type[keras.optimizers.Optimizer]:
    """Finds an optimizer class by its name in lower case: Keras' own, or "yellowfin"."""
    known = {"yellowfin": YellowFin} | {
        attribute.lower(): value
        for attribute, value in vars(keras.optimizers).items()
        if inspect.isclass(value)
        and issubclass(value, keras.optimizers.Optimizer)
        and value is not keras.optimizers.Optimizer
        # Both wrap other optimizers.
        and attribute not in ("LossScaleOptimizer", "MultiOptimizer")
    }
    if name.lower() not in known:
        near = difflib.get_close_matches(name.lower(), known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(
            f"train.optimizer {name!r} is unknown; {hint}there are {', '.join(sorted(known))}"
        )
    return known[name.lower()]
