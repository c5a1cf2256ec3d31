import keras
import numpy as np
import pytest

from mobilenetdet.config.detection import TrainConfig
from mobilenetdet.training.optimizers import (
    make_optimizer,
    optimizer_class,
    optimizer_metrics,
    scale_learning_rate,
)
from mobilenetdet.training.yellowfin import YellowFin


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam", "AdamW", "nadam", "lion", "adagrad"])
def test_optimizers_by_name(name: str):
    optimizer = make_optimizer(TrainConfig(optimizer=name, clip_norm=2.0), 0.5)
    assert type(optimizer).__name__.lower() == name.lower()
    assert optimizer.global_clipnorm == 2.0
    assert optimizer_metrics(optimizer) == {"learning_rate": pytest.approx(0.5)}


def test_momentum_reaches_those_that_have_one():
    assert make_optimizer(TrainConfig(optimizer="sgd", momentum=0.7), 0.1).momentum == 0.7


def test_unknown_name_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean adam"):
        optimizer_class("adamm")


def test_zero_switches_decay_and_clipping_off():
    optimizer = make_optimizer(TrainConfig(optimizer="sgd", weight_decay=0.0, clip_norm=0.0), 0.1)
    assert optimizer.global_clipnorm is None
    assert not optimizer.weight_decay


def test_biases_and_normalisation_are_not_decayed():
    layers = [keras.layers.Dense(2), keras.layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((2,)), *layers])
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    optimizer = make_optimizer(TrainConfig(optimizer="sgd", weight_decay=0.5, momentum=0.0), 0.1)
    optimizer.apply(
        [keras.ops.zeros(v.shape) for v in model.trainable_variables], model.trainable_variables
    )
    values = {v.path.split("/")[-1]: float(np.mean(v)) for v in model.trainable_variables}
    assert values == pytest.approx({"kernel": 0.95, "bias": 1.0, "gamma": 1.0, "beta": 1.0})


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop"])
def test_slowed_variables_move_by_a_share_of_the_way(name):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(3, name="slow"), keras.layers.Dense(1, name="fast")]
    model = keras.Sequential([keras.Input((2,)), *layers])
    weights = model.get_weights()
    x, y = np.ones((8, 2), np.float32), np.full((8, 1), 5, np.float32)
    moves = []
    for factor in (1.0, 0.1):
        model.set_weights(weights)
        config = TrainConfig(optimizer=name, weight_decay=0.0, momentum=0.0)
        optimizer = make_optimizer(config, 0.01)
        scale_learning_rate(optimizer, layers[0].trainable_variables, factor)
        model.compile(optimizer, "mse")
        model.train_on_batch(x, y)
        moves.append([new - old for new, old in zip(model.get_weights(), weights, strict=True)])
    for index, (whole, slowed) in enumerate(zip(*moves, strict=True)):
        expected = whole * (0.1 if index < 2 else 1.0)
        np.testing.assert_allclose(slowed, expected, rtol=1e-3, atol=1e-7)
        assert np.abs(whole).max() > 1e-4


def test_yellowfin_has_one_rate():
    with pytest.raises(ValueError, match="set train.backbone_rate to 1"):
        scale_learning_rate(YellowFin(), [], 0.1)
