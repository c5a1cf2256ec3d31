"""YellowFin against the paper, step by step."""

import json
import math
from dataclasses import replace

import keras
import numpy as np
import pytest
from fixtures.numpy_yellowfin import (
    SHAPES,
    NumpyYellowFin,
    compiled_step,
    make_variables,
    numbers,
    random_gradients,
)
from keras import ops

from mobilenetdet.config.detection import TrainConfig
from mobilenetdet.training.optimizers import make_optimizer
from mobilenetdet.training.schedules import WarmupSchedule
from mobilenetdet.training.yellowfin import Landscape, YellowFin, solve_cubic, tune_momentum


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beta": 0.9, "curvature_window": 5},
        {"zero_debias": False, "slow_start": False, "beta": 0.9},
        {"clip": False, "beta": 0.97},
    ],
    ids=str,
)
def test_equals_the_paper_step_by_step(options):
    variables = make_variables()
    optimizer = YellowFin(learning_rate=0.3, **options)
    expected = NumpyYellowFin(numbers(variables), **options)
    step = compiled_step(optimizer, variables)
    momenta = []
    for gradients in random_gradients(60):
        step(gradients)
        expected.update([g.astype(np.float64) for g in gradients], factor=0.3)
        momenta.append(expected.momentum)
        assert optimizer.tuned_momentum == pytest.approx(expected.momentum, rel=1e-3, abs=1e-5)
        assert optimizer.tuned_rate == pytest.approx(expected.rate, rel=2e-3)
        for found, value in zip(numbers(variables), expected.values, strict=True):
            np.testing.assert_allclose(found, value, rtol=2e-3, atol=2e-3)
    assert np.ptp(momenta) > 0.03, "the tuner has nothing to do"


@pytest.mark.parametrize("p", [*10.0 ** np.arange(-12, 13, 2), 0.25])
def test_cubic(p):
    roots = np.roots([-1.0, 3.0, -(3.0 + p), 1.0])
    (expected,) = roots[(np.abs(roots.imag) < 1e-7 * (1 + p)) & (roots.real < 1)].real
    found = float(ops.convert_to_numpy(solve_cubic(ops.convert_to_tensor(p, "float32"))))
    assert found == pytest.approx(expected, abs=3e-6)


def landscape(**values: float) -> Landscape:
    given = {"h_min": 1.0, "h_max": 1.0, "variance": 1.0, "distance": 1.0} | values
    return Landscape(**{name: ops.convert_to_tensor(v, "float32") for name, v in given.items()})


@pytest.mark.parametrize(
    ("values", "momentum"),
    [
        # D^2 h^2 / 2 C = 1/4 has the root 1/2.
        ({"variance": 2.0}, 0.25),
        # The robust region of a condition number of 100 begins at (9 / 11)^2.
        ({"h_max": 100.0}, (9 / 11) ** 2),
        # Without noise nothing speaks for momentum, and much noise asks for much of it.
        ({"variance": 1e-6}, 0.0),
        ({"variance": 1e9}, 1.0),
    ],
)
def test_momentum_of_known_landscapes(values, momentum):
    found = float(ops.convert_to_numpy(tune_momentum(landscape(**values))))
    assert found == pytest.approx(momentum, abs=5e-3)


def curvature_range(optimizer: YellowFin) -> tuple[float, float]:
    """The range that a tuner with a long past holds."""
    logs = {v.name: float(v) for v in optimizer.variables if v.name.startswith("log_h")}
    return math.exp(logs["log_h_min_average"]), math.exp(logs["log_h_max_average"])


@pytest.mark.parametrize(("flat", "steep"), [(1.0, 100.0), (4.0, 4.0), (0.01, 0.02)])
def test_curvature_range_of_a_noise_free_quadratic(flat, steep):
    """At one standard deviation from the optimum the squared gradient is the curvature."""
    optimizer = YellowFin(beta=0.9)
    variable = keras.Variable(np.zeros(1, np.float32), name="x")
    step = compiled_step(optimizer, [variable])
    for index in range(250):
        curvature = flat if index % 2 else steep  # a valley with two walls
        step([np.array([curvature * 1 / math.sqrt(curvature)])])
    assert curvature_range(optimizer) == pytest.approx((flat, steep), rel=1e-3)
    root = math.sqrt(steep / flat)
    robust = ((root - 1) / (root + 1)) ** 2
    # Walls that differ read as noise, too, which asks for more momentum.
    assert optimizer.tuned_momentum >= robust - 1e-4
    if flat == steep:
        assert optimizer.tuned_momentum == pytest.approx(0.0, abs=1e-3)
        assert optimizer.tuned_rate == pytest.approx(1 / flat, rel=5e-3)


def test_noisy_quadratic():
    """Samples of a Gaussian likelihood: f(x) = sum h (x - sample)^2 / 2, of variance 1 / h.

    The mean squared gradient at the optimum is the sum of the curvatures: what YellowFin reads
    curvature from. Rate and momentum follow from that, and the optimum is found.
    """
    curvatures = np.array([1.0, 4.0, 20.0])
    rng = np.random.default_rng(2)
    variable = keras.Variable(np.full(3, 5.0, np.float32), name="x")
    optimizer = YellowFin(beta=0.98)
    step = compiled_step(optimizer, [variable])
    for _ in range(800):
        samples = rng.normal(size=3) / np.sqrt(curvatures)
        step([curvatures * (numbers([variable])[0] - samples)])
    h_min, h_max = curvature_range(optimizer)
    assert h_min < curvatures.sum() < h_max
    root, momentum = math.sqrt(h_max / h_min), optimizer.tuned_momentum
    assert ((root - 1) / (root + 1)) ** 2 - 1e-4 <= momentum < 1
    assert optimizer.tuned_rate == pytest.approx((1 - math.sqrt(momentum)) ** 2 / h_min, rel=1e-2)
    # Stable along every direction.
    assert optimizer.tuned_rate * curvatures.max() < 2 * (1 + momentum)
    assert np.abs(numbers([variable])[0]).max() < 1.0


def test_noise_asks_for_momentum():
    momenta = []
    for noise in (0.0, 0.1, 0.3, 1.0):
        rng = np.random.default_rng(0)
        optimizer = YellowFin(beta=0.98)
        step = compiled_step(optimizer, [keras.Variable(np.zeros(50, np.float32), name="x")])
        for _ in range(100):
            step([np.full(50, 1.0) + noise * rng.normal(size=50)])
        momenta.append(optimizer.tuned_momentum)
    assert momenta == sorted(momenta)
    assert momenta[0] < 1e-3 and momenta[-1] > 0.1


@pytest.mark.parametrize("clip", [True, False])
def test_an_exploding_gradient(clip):
    """One gradient a million times too large, after 40 of norm 1."""
    variable = keras.Variable(np.zeros(4, np.float32), name="x")
    optimizer = YellowFin(clip=clip)
    step = compiled_step(optimizer, [variable])
    rng = np.random.default_rng(0)
    for index in range(41):
        gradient = rng.normal(size=4)
        gradient *= (1e6 if index == 40 else 1.0) / np.linalg.norm(gradient)
        before, rate = numbers([variable])[0], optimizer.tuned_rate
        step([gradient])
    way = np.linalg.norm(numbers([variable])[0] - before)
    assert (way < 3 * rate) == clip
    # The averages do not see more than ten times the largest norm.
    assert optimizer.tuned_rate > 0.2 * rate


def test_no_gradient_at_all():
    variables = make_variables()
    before = numbers(variables)
    optimizer = YellowFin()
    for scale in (0.0, 0.0, 1.0, 0.0):
        gradients = [ops.convert_to_tensor(scale * v) for v in before]
        optimizer.apply(gradients, variables)
    assert all(np.isfinite(v).all() for v in numbers([*variables, *optimizer.variables]))


def test_config_round_trip():
    schedule = WarmupSchedule(1.0, kind="cosine", total_steps=12, warmup_steps=2)
    optimizer = YellowFin(
        schedule, beta=0.9, curvature_window=7, clip=False, slow_start=False, weight_decay=1e-3
    )
    config = json.loads(json.dumps(keras.optimizers.serialize(optimizer)))
    again = keras.optimizers.deserialize(config)
    assert type(again) is YellowFin
    assert again.get_config() == optimizer.get_config()
    assert (again.beta, again.curvature_window, again.zero_debias) == (0.9, 7, True)


def test_restored_state_gives_the_same_next_step():
    shapes = ((3,), (2, 2))
    *gradients, last = random_gradients(30, shapes)
    variables, others = make_variables(0, shapes), make_variables(5, shapes)
    optimizer, other = YellowFin(), YellowFin()
    for gradient in gradients:
        optimizer.apply([ops.convert_to_tensor(g) for g in gradient], variables)
    other.build(others)
    for mine, theirs in zip(
        [*others, *other.variables], [*variables, *optimizer.variables], strict=True
    ):
        mine.assign(ops.convert_to_numpy(theirs))
    for tuner, owned in ((optimizer, variables), (other, others)):
        tuner.apply([ops.convert_to_tensor(g) for g in last], owned)
    for found, expected in zip(numbers(others), numbers(variables), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert other.tuned_rate == optimizer.tuned_rate


def test_weight_decay_goes_by_the_tuned_rate():
    variables = make_variables()
    bias = keras.Variable(np.ones(3, np.float32), name="bias")
    config = TrainConfig(optimizer="yellowfin", learning_rate=1.0, weight_decay=0.1, clip_norm=0.0)
    optimizer = make_optimizer(config, 1.0)
    step = compiled_step(optimizer, [*variables, bias])
    expected = NumpyYellowFin(numbers([*variables, bias]), decay=0.1)
    plain = NumpyYellowFin(numbers([*variables, bias]))
    for gradients in random_gradients(8, (*SHAPES, (3,))):
        step(gradients)
        expected.update(gradients)
        plain.update(gradients)
    for found, value in zip(numbers(variables), expected.values[:-1], strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(numbers([bias])[0], plain.values[-1], rtol=1e-3, atol=1e-4)


def test_fixed_clipping_is_refused_in_words():
    config = TrainConfig(optimizer="yellowfin", clip_norm=1.0)
    with pytest.raises(
        ValueError, match=r"takes no global_clipnorm \(1\.0\).*train\.clip_norm to 0"
    ):
        make_optimizer(config, 1.0)
    assert type(make_optimizer(replace(config, clip_norm=0.0), 1.0)) is YellowFin


@pytest.mark.parametrize(
    "options", [{"beta": 1.0}, {"beta": 0.0}, {"curvature_window": 0}], ids=str
)
def test_values_out_of_range(options):
    name, value = next(iter(options.items()))
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        YellowFin(**options)
