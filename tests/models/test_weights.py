from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from mobilenetdet.models import weights as weights_module
from mobilenetdet.models.weights import (
    LoadReport,
    download_imagenet_weights,
    load_backbone_weights,
    load_h5_layers,
)

Layers = dict[str, list[np.ndarray]]


@pytest.fixture
def model() -> keras.Model:
    """Two layers with variables, conv [1, 1, 3, 2] and dense [2, 4] + [4]."""
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(2, 1, use_bias=False, name="conv")(inputs)
    return keras.Model(inputs, keras.layers.Dense(4, name="dense")(keras.layers.ReLU()(x)))


@pytest.fixture
def layers() -> Layers:
    rng = np.random.default_rng(0)
    shapes = {"conv": [(1, 1, 3, 2)], "dense": [(2, 4), (4,)]}
    return {
        name: [rng.normal(size=shape).astype(np.float32) for shape in of_layer]
        for name, of_layer in shapes.items()
    }


def write_h5(path: Path, layers: Layers, *, group: str = "", as_bytes: bool = False) -> Path:
    """Writes Keras' old .h5 layout, by hand."""
    encode = str.encode if as_bytes else str
    with h5py.File(path, "w") as file:
        root = file.create_group(group) if group else file
        root.attrs["layer_names"] = [encode(name) for name in [*layers, "relu"]]
        root.create_group("relu").attrs["weight_names"] = []
        for name, arrays in layers.items():
            names = [f"{name}/variable_{index}:0" for index in range(len(arrays))]
            of_layer = root.create_group(name)
            of_layer.attrs["weight_names"] = [encode(n) for n in names]
            for weight_name, array in zip(names, arrays, strict=True):
                of_layer[weight_name] = array
    return path


@pytest.mark.parametrize(
    "options", [{}, {"as_bytes": True}, {"group": "model_weights"}], ids=["text", "bytes", "model"]
)
def test_layers_are_filled_by_name(tmp_path, model, layers, options):
    report = load_h5_layers(model, write_h5(tmp_path / "all.h5", layers, **options))
    assert report.loaded == ["conv", "dense"]
    assert str(report) == f"{tmp_path / 'all.h5'}: 2 layers loaded"
    for name, arrays in layers.items():
        for found, expected in zip(model.get_layer(name).get_weights(), arrays, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_missing_and_unused_layers_are_reported(tmp_path, model, layers):
    before = model.get_layer("dense").get_weights()
    layers["other"] = layers.pop("dense")
    report = load_h5_layers(model, write_h5(tmp_path / "part.h5", layers))
    assert (report.loaded, report.missing, report.unused) == (["conv"], ["dense"], ["other"])
    assert str(report).splitlines()[1:] == ["  missing: dense", "  unused: other"]
    for old, new in zip(before, model.get_layer("dense").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_other_shapes_name_both_and_the_likely_reason(tmp_path, model, layers):
    layers["conv"] = [np.zeros((1, 1, 3, 8), np.float32)]
    path = write_h5(tmp_path / "wide.h5", layers)
    with pytest.raises(ValueError, match=r"wide\.h5") as error:
        load_h5_layers(model, path)
    assert "conv (file [(1, 1, 3, 8)], model [(1, 1, 3, 2)])" in str(error.value)
    assert "is alpha the same?" in str(error.value)


def test_a_file_of_another_model_is_refused(tmp_path, model, layers):
    path = write_h5(tmp_path / "other.h5", {"stem": layers["conv"]})
    with pytest.raises(ValueError, match="0 layers loaded"):
        load_h5_layers(model, path)


def test_a_file_that_is_not_there(tmp_path, model):
    with pytest.raises(FileNotFoundError, match=r"none\.h5 does not exist"):
        load_backbone_weights(model, str(tmp_path / "none.h5"), alpha=1.0)


def test_files_of_another_format(tmp_path, model):
    text = tmp_path / "notes.h5"
    text.write_text("not HDF5")
    keras_3 = tmp_path / "new.weights.h5"
    model.save_weights(keras_3)
    for path in (text, keras_3):
        with pytest.raises(ValueError, match=f"{path.name} is not a Keras .h5 weight file"):
            load_h5_layers(model, path)


def test_none_loads_nothing(model):
    assert load_backbone_weights(model, "none", alpha=0.3) is None


def test_imagenet_weights_exist_for_four_widths(model):
    with pytest.raises(ValueError, match=r"alpha 0\.3; choose from 0\.25, 0\.5, 0\.75, 1\.0"):
        load_backbone_weights(model, "imagenet", alpha=0.3)


def test_imagenet_weights_are_kerass_own_files(tmp_path, model, layers, monkeypatch):
    asked = {}

    def get_file(name: str, origin: str, cache_subdir: str) -> str:
        asked.update(name=name, origin=origin, cache_subdir=cache_subdir)
        return str(write_h5(tmp_path / name, layers))

    monkeypatch.setattr(weights_module.keras.utils, "get_file", get_file)
    report = load_backbone_weights(model, "imagenet", alpha=0.75)
    assert report == LoadReport(str(tmp_path / asked["name"]), ["conv", "dense"])
    assert asked == {
        "name": "mobilenet_7_5_224_tf_no_top.h5",
        "origin": "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/"
        "mobilenet_7_5_224_tf_no_top.h5",
        "cache_subdir": "models",
    }


def test_no_network_names_the_ways_out(monkeypatch):
    def get_file(*args: object, **options: object) -> str:
        raise Exception("URL fetch failure")  # what Keras raises

    monkeypatch.setattr(weights_module.keras.utils, "get_file", get_file)
    with pytest.raises(FileNotFoundError, match=r"URL fetch failure.*--model\.weights none"):
        download_imagenet_weights(1.0)
