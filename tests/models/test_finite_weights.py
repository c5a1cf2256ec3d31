"""Weights that are no numbers are found, named and refused."""

import h5py
import keras
import numpy as np
import pytest

from mobilenetdet.models.weight_file import first_non_finite
from mobilenetdet.models.weights import load_h5_layers, refuse_non_finite


def small_model():
    layers = [keras.Input((3,)), *(keras.layers.Dense(2, name=name) for name in ("one", "two"))]
    return keras.Sequential(layers)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_array_with_such_a_value_is_named(value):
    arrays = [("a", np.ones(3)), ("b", np.array([1.0, value])), ("c", np.array([value]))]
    assert first_non_finite(arrays) == "b"
    assert first_non_finite(arrays[:1]) is None


def test_a_model_names_its_weight():
    model = small_model()
    refuse_non_finite(model, "a.h5")
    model.get_layer("two").bias.assign([np.nan, 0.0])
    with pytest.raises(ValueError, match="a.h5: .*two/bias holds NaN or infinity"):
        refuse_non_finite(model, "a.h5")


def test_a_file_is_refused_with_its_layer_and_changes_nothing(tmp_path):
    model, path = small_model(), tmp_path / "a.weights.h5"
    before = [np.array(weight) for weight in model.weights]
    model.save_weights(path)
    with h5py.File(path, "r+") as file:
        file["layers/dense_1/vars/1"][0] = np.inf
    with pytest.raises(ValueError, match="a.weights.h5: layer two holds NaN or infinity"):
        load_h5_layers(model, path)
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, new)
