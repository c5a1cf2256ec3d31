"""YellowFin: momentum SGD that tunes its own learning rate and momentum (arXiv 1706.03471).

It measures all gradients of a step together, after accumulation, before any variable moves. Keras
has no public hook for that: `apply` comes before accumulation, `update_step` sees one variable. So
it overrides `_backend_update_step` and `_apply_weight_decay`, and calls `_get_variable_index`,
`_use_weight_decay` and `_all_reduce_sum_gradients`; a test names them, should Keras rename one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from mobilenetdet.models.layers import Tensor

# As in the authors' code: a batch without gradient must not read as a flat landscape.
EPSILON = 1e-6
# A squared gradient norm counts as at most this many times the upper end of the curvature range.
MAX_GROWTH = 100.0
# The rate ramps up over this many windows.
SLOW_START_WINDOWS = 10


class Landscape(NamedTuple):
    """Estimates of the local objective from the gradients so far, scalars.

    Attributes:
        h_min: lower end of the curvature range; curvature is a squared gradient norm.
        h_max: upper end.
        variance: of the gradient, summed over all parameters.
        distance: to the optimum.
    """

    h_min: Tensor
    h_max: Tensor
    variance: Tensor
    distance: Tensor


class _Step(NamedTuple):
    """Hyperparameters of one update, scalars."""

    rate: Tensor
    momentum: Tensor
    # Of the gradient in the averages, and of the gradient in the update.
    measured_scale: Tensor
    scale: Tensor


@keras.saving.register_keras_serializable("mobilenetdet")
class YellowFin(keras.optimizers.Optimizer):
    """SGD with the momentum and the learning rate that minimise a local quadratic model.

    Algorithms 1 to 4 of the paper with the refinements of its appendix: zero-debiased averages, the
    curvature range smoothed in the logarithm, slow start and adaptive clipping. The momentum obeys
    the robustness condition over the curvature range; both are used as tuned, unsmoothed, as the
    authors' PyTorch code does.

    Weight decay is decoupled and scaled by the tuned rate.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 1.0,
        *,
        beta: float = 0.999,
        curvature_window: int = 20,
        zero_debias: bool = True,
        clip: bool = True,
        slow_start: bool = True,
        name: str = "yellowfin",
        **options: Any,
    ) -> None:
        """Takes the settings of the tuner.

        Args:
            learning_rate: factor of the tuned rate, or a schedule of it; 1 leaves it as it is.
            beta: share that the averages keep over one step.
            curvature_window: steps whose gradient norms span the curvature range.
            zero_debias: divides the averages by their total weight, as Adam does.
            clip: scales gradients to at most sqrt(h_max).
            slow_start: ramps the rate over the first ten windows.
            name: of the optimizer.
            **options: of `keras.optimizers.Optimizer`, such as weight_decay.

        Raises:
            ValueError: a fixed clipping is asked for, or a value is out of range.
        """
        for option in ("clipnorm", "clipvalue", "global_clipnorm"):
            if options.get(option):
                raise ValueError(
                    f"YellowFin takes no {option} ({options[option]}): it measures the gradients, "
                    "and clips by what it measures. Set train.clip_norm to 0"
                )
        if not 0 < beta < 1:
            raise ValueError(f"beta is {beta}; it must be in (0, 1)")
        if curvature_window < 1:
            raise ValueError(f"curvature_window is {curvature_window}; it must be above 0")
        super().__init__(learning_rate, name=name, **options)
        self.beta, self.curvature_window = beta, curvature_window
        self.zero_debias, self.clip, self.slow_start = zero_debias, clip, slow_start

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates the state: two averages for each variable, a window and some scalars."""
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        self._gradients = self.add_optimizer_variables(variables, "gradient_average")
        self._window = self._add_state("curvature_window", (self.curvature_window,))
        self._log_h_min = self._add_state("log_h_min_average")
        self._log_h_max = self._add_state("log_h_max_average")
        self._squared_norm = self._add_state("squared_norm_average")
        self._norm = self._add_state("norm_average")
        self._distance = self._add_state("distance_average")
        self._tuned_rate = self._add_state("tuned_rate")
        self._tuned_momentum = self._add_state("tuned_momentum")

    @property
    def tuned_rate(self) -> float:
        """Learning rate of the last step, factor and slow start included."""
        return float(ops.convert_to_numpy(self._tuned_rate))

    @property
    def tuned_momentum(self) -> float:
        """Momentum of the last step."""
        return float(ops.convert_to_numpy(self._tuned_momentum))

    def update_step(self, gradient: Tensor, variable: Tensor, learning_rate: _Step) -> None:
        """Moves one variable.

        Args:
            gradient: of the loss with respect to it.
            variable: it.
            learning_rate: the tuned values of the step.
        """
        step = _Step(*(ops.cast(value, variable.dtype) for value in learning_rate))
        gradient = ops.cast(gradient, variable.dtype)
        index = self._get_variable_index(variable)
        average = self._averaged(self._gradients[index], gradient * step.measured_scale)
        self.assign(self._gradients[index], average)
        velocity = self._velocities[index] * step.momentum - step.rate * step.scale * gradient
        self.assign(self._velocities[index], velocity)
        if self.weight_decay and self._use_weight_decay(variable):
            velocity = velocity - step.rate * self.weight_decay * variable
        self.assign_add(variable, velocity)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of `__init__`."""
        names = ("beta", "curvature_window", "zero_debias", "clip", "slow_start")
        return super().get_config() | {name: getattr(self, name) for name in names}

    def _backend_update_step(
        self, grads: list[Tensor], trainable_variables: list[keras.Variable], learning_rate: Tensor
    ) -> None:
        # Keras' hook that sees all gradients of a step at once.
        step = self._tune(self._summed(grads, trainable_variables), trainable_variables)
        step = step._replace(rate=step.rate * ops.cast(learning_rate, "float32"))
        self._tuned_rate.assign(step.rate)
        self._tuned_momentum.assign(step.momentum)
        super()._backend_update_step(grads, trainable_variables, step)

    def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
        # Keras would decay by the factor of the rate instead of the rate; see `update_step`.
        pass

    def _summed(self, grads: list[Tensor], variables: list[keras.Variable]) -> list[Tensor]:
        """Sums the gradients over the replicas of a distribution strategy, to be measured.

        Keras does it again for the update, where they can no longer be seen together.
        """
        if keras.backend.backend() != "tensorflow":
            return grads
        pairs = list(zip(grads, variables, strict=True))
        return [gradient for gradient, _ in self._all_reduce_sum_gradients(pairs)]

    def _tune(self, grads: list[Tensor], variables: list[keras.Variable]) -> _Step:
        """Measures the gradients and chooses momentum and rate."""
        step = ops.cast(self.iterations, "float32") + 1.0
        squared_norm = sum(ops.sum(ops.square(ops.cast(g, "float32"))) for g in grads)
        # Zero before the first step: nothing to judge it by.
        limit = MAX_GROWTH * ops.exp(self._debiased(self._log_h_max, step - 1.0))
        limit = ops.where(step > 1.0, limit, squared_norm)
        measured_scale = _scale_to(limit, squared_norm)
        landscape = self._measure(
            grads, variables, squared_norm=ops.minimum(squared_norm, limit), scale=measured_scale
        )
        momentum = tune_momentum(landscape)
        rate = ops.square(1.0 - ops.sqrt(momentum)) / landscape.h_min
        if self.slow_start:
            rate *= ops.minimum(1.0, step / (SLOW_START_WINDOWS * self.curvature_window))
        scale = _scale_to(landscape.h_max, squared_norm) if self.clip else ops.ones_like(rate)
        return _Step(rate, momentum, measured_scale, scale)

    def _measure(
        self,
        grads: list[Tensor],
        variables: list[keras.Variable],
        *,
        squared_norm: Tensor,
        scale: Tensor,
    ) -> Landscape:
        """Brings the averages up to date: curvature range, variance, distance."""
        step = ops.cast(self.iterations, "float32") + 1.0
        lowest, highest = self._observe_curvature(squared_norm)
        for average, value in (
            (self._log_h_min, lowest),
            (self._log_h_max, highest),
            (self._squared_norm, squared_norm),
            (self._norm, ops.sqrt(squared_norm)),
        ):
            average.assign(self._averaged(average, value))
        ratio = ops.convert_to_tensor(self._norm) / (self._squared_norm + EPSILON)
        self._distance.assign(self._averaged(self._distance, ratio))
        return Landscape(
            h_min=ops.exp(self._debiased(self._log_h_min, step)),
            h_max=ops.exp(self._debiased(self._log_h_max, step)),
            variance=self._variance(grads, variables, scale, step),
            distance=self._debiased(self._distance, step),
        )

    def _observe_curvature(self, squared_norm: Tensor) -> tuple[Tensor, Tensor]:
        """Puts a curvature into the window; returns the logarithms of the extremes in it."""
        step = ops.cast(self.iterations, "int32")
        positions = ops.arange(self.curvature_window, dtype="int32")
        here = ops.equal(positions, step % self.curvature_window)
        window = ops.convert_to_tensor(self._window)
        window = ops.where(here, ops.log(squared_norm + EPSILON), window)
        self._window.assign(window)
        filled = positions <= step
        lowest = ops.min(ops.where(filled, window, float("inf")))
        return lowest, ops.max(ops.where(filled, window, float("-inf")))

    def _variance(
        self, grads: list[Tensor], variables: list[keras.Variable], scale: Tensor, step: Tensor
    ) -> Tensor:
        """Returns the gradient variance, mean square less squared mean, over all parameters."""
        squared_mean = 0.0
        for gradient, variable in zip(grads, variables, strict=True):
            average = self._gradients[self._get_variable_index(variable)]
            average = self._averaged(average, ops.cast(gradient, average.dtype) * scale)
            squared_mean += ops.sum(ops.square(self._debiased(average, step)))
        mean_square = self._debiased(self._squared_norm, step)
        return ops.maximum(mean_square - squared_mean, EPSILON)

    def _averaged(self, average: Tensor, value: Tensor) -> Tensor:
        return self.beta * ops.convert_to_tensor(average) + (1.0 - self.beta) * value

    def _debiased(self, average: Tensor, step: Tensor) -> Tensor:
        average = ops.convert_to_tensor(average)
        if not self.zero_debias:
            return average
        weight = -ops.expm1(step * math.log(self.beta))  # 1 - beta ** step, exact in float32
        return average / ops.maximum(weight, EPSILON)

    def _add_state(self, name: str, shape: tuple[int, ...] = ()) -> keras.Variable:
        # Every replica measures the same summed gradients.
        return self.add_variable(
            shape, dtype="float32", aggregation="only_first_replica", name=name
        )


def tune_momentum(landscape: Landscape) -> Tensor:
    """Solves the paper's single-step problem for the momentum, a scalar in [0, 1).

    Minimises momentum * distance^2 + rate^2 * variance with rate = (1 - sqrt(momentum))^2 / h_min,
    under the robustness condition momentum >= ((sqrt(r) - 1) / (sqrt(r) + 1))^2 for the range r =
    h_max / h_min.
    """
    h_min, h_max, variance, distance = landscape
    best = solve_cubic(ops.square(distance * h_min) / (2.0 * variance))
    root = ops.sqrt(ops.maximum(h_max / h_min, 1.0))
    return ops.square(ops.maximum(best, (root - 1.0) / (root + 1.0)))


def solve_cubic(p: Tensor) -> Tensor:
    """Returns the real root x in (0, 1) of p x = (1 - x)^3, for p > 0.

    With y = x - 1 that is y^3 + p y + p = 0, whose one real root Cardano's formula gives. Its
    hyperbolic form is used: the difference of cube roots cancels for large p in float32.
    solve_cubic(0.25) is 0.5.
    """
    slope = ops.sqrt(ops.maximum(p, 1e-30) / 3.0)
    sine = 1.5 / slope
    # asinh, exact for small arguments, too.
    angle = ops.log1p(sine + ops.square(sine) / (1.0 + ops.sqrt(1.0 + ops.square(sine))))
    return 1.0 - 2.0 * slope * ops.sinh(angle / 3.0)


def _scale_to(limit: Tensor, squared_norm: Tensor) -> Tensor:
    """Returns the factor that clips a gradient to the norm sqrt(limit)."""
    return ops.sqrt(ops.minimum(1.0, limit / ops.maximum(squared_norm, EPSILON)))
