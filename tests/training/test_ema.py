import keras
import numpy as np

from mobilenetdet.training.ema import EmaWeights


def small_model() -> keras.Model:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.zeros((1, 1))])
    return model


def step(ema: EmaWeights, model: keras.Model, value: float) -> None:
    model.set_weights([np.full((1, 1), value)])
    ema.on_train_batch_end(0)


def kernel(model: keras.Model) -> float:
    return float(model.get_weights()[0].item())


def test_average_follows_the_formula():
    model = small_model()
    ema = EmaWeights(model, momentum=0.5, every=1)
    ema.set_model(model)
    expected = 0.0
    for index, value in enumerate((1.0, 2.0, 3.0), start=1):
        step(ema, model, value)
        keep = min(0.5, (1 + index) / (10 + index))
        expected = keep * expected + (1 - keep) * value
    with ema.applied():
        np.testing.assert_allclose(kernel(model), expected, rtol=1e-6)
    assert kernel(model) == 3.0  # the weights of training come back


def test_updates_every_few_steps_with_the_momentum_of_all_of_them():
    model = small_model()
    ema = EmaWeights(model, momentum=0.5, every=2)
    ema.set_model(model)
    step(ema, model, 8.0)
    assert float(keras.ops.squeeze(ema.averages[0])) == 0.0
    step(ema, model, 4.0)
    keep = min(0.5**2, 2 / 11)
    np.testing.assert_allclose(
        float(keras.ops.squeeze(ema.averages[0])), (1 - keep) * 4.0, rtol=1e-6
    )


def test_weights_come_back_after_an_error():
    model = small_model()
    ema = EmaWeights(model, momentum=0.9, every=1)
    ema.set_model(model)
    step(ema, model, 4.0)
    try:
        with ema.applied():
            raise RuntimeError
    except RuntimeError:
        pass
    assert kernel(model) == 4.0


def test_zero_momentum_changes_nothing():
    model = small_model()
    ema = EmaWeights(model, momentum=0.0)
    ema.set_model(model)
    step(ema, model, 4.0)
    with ema.applied():
        assert kernel(model) == 4.0


def test_state_goes_on_where_it_was():
    first, second = small_model(), small_model()
    averages = [EmaWeights(model, momentum=0.9, every=1) for model in (first, second)]
    for ema, model in zip(averages, (first, second), strict=True):
        ema.set_model(model)
    step(averages[0], first, 1.0)
    averages[1].restore(averages[0].state())
    for ema, model in zip(averages, (first, second), strict=True):
        step(ema, model, 5.0)
    np.testing.assert_allclose(averages[0].averages[0], averages[1].averages[0])
