from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from mobilenetdet.models.weight_file import read_weight_file, weights_to_bytes


@pytest.fixture
def model() -> keras.Model:
    """Compiled, with layers without variables, a nested model and a name that occurs twice."""
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, name="twice"), keras.layers.Dropout(0.5)],
        name="inner",
    )
    inputs = keras.Input((2,))
    x = keras.layers.Dense(4, name="twice", use_bias=False)(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    model = keras.Model(inputs, keras.layers.Dense(1, name="last")(inner(x)))
    model.compile("adam", "mse")
    model.fit(np.zeros((2, 2)), np.zeros((2, 1)), verbose=0)
    return model


def test_keras_3_files_by_layer_name(tmp_path, model):
    model.save_weights(tmp_path / "run.weights.h5")
    stored = read_weight_file(tmp_path / "run.weights.h5")
    inner = model.get_layer("inner").get_layer("twice")
    expected = {
        "norm": model.get_layer("norm").weights,
        "last": model.get_layer("last").weights,
        "twice": model.get_layer("twice").weights,
        "layers/sequential/layers/dense": inner.weights,
    }
    assert set(stored) == set(expected)  # neither slots of Adam nor states of the dropout
    for name, variables in expected.items():
        for array, variable in zip(stored[name], variables, strict=True):
            np.testing.assert_array_equal(array, variable)


def test_a_whole_model_of_keras_2(tmp_path, model):
    plain = keras.Sequential([keras.Input((2,)), model.get_layer("twice")])
    plain.save(tmp_path / "model.h5")
    stored = read_weight_file(tmp_path / "model.h5")
    assert list(stored) == ["twice"]
    np.testing.assert_array_equal(stored["twice"][0], plain.get_weights()[0])


def test_a_file_without_layers(tmp_path):
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file["numbers"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"empty\.h5 is not a Keras .*no layer with variables"):
        read_weight_file(tmp_path / "empty.h5")


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_a_file_cut_short(tmp_path, model, suffix):
    whole = tmp_path / f"whole{suffix}"
    _ = model.save_weights(whole) if "weights" in suffix else model.save(whole)
    content = whole.read_bytes()
    for share in (0.1, 0.5, 0.95):
        part = tmp_path / f"part{suffix}"
        part.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ValueError, match=r"part.*is not a Keras .*downloaded or copied"):
            read_weight_file(part)


def test_a_file_made_in_memory_is_that_of_keras(tmp_path, model):
    model.save_weights(tmp_path / "disk.weights.h5")
    (tmp_path / "memory.weights.h5").write_bytes(weights_to_bytes(model))
    names = ("disk.weights.h5", "memory.weights.h5")
    one, other = (read_weight_file(tmp_path / name) for name in names)
    assert one.keys() == other.keys()
    for name in one:
        for array, again in zip(one[name], other[name], strict=True):
            np.testing.assert_array_equal(array, again)
    model.load_weights(tmp_path / "memory.weights.h5")


def test_what_the_system_refuses_is_no_damage(tmp_path, model, monkeypatch):
    def refuse(path, mode):
        raise PermissionError(13, "Permission denied", str(path))

    model.save_weights(tmp_path / "run.weights.h5")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError, match=r"run\.weights\.h5"):
        read_weight_file(tmp_path / "run.weights.h5")


def test_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="is a folder; name the file in it"):
        read_weight_file(tmp_path)


def test_a_whole_model_of_keras_3(tmp_path, model):
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "run.weights.h5")
    stored, expected = (read_weight_file(tmp_path / n) for n in ("model.keras", "run.weights.h5"))
    assert set(stored) == set(expected)
    np.testing.assert_array_equal(stored["last"][0], expected["last"][0])
    (tmp_path / "other.keras").write_bytes(b"PK\5\6" + b"\0" * 18)  # an archive of nothing
    with pytest.raises(ValueError, match=r"other\.keras is not a Keras"):
        read_weight_file(tmp_path / "other.keras")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("frozen.pb", "a graph of TensorFlow"),
        ("model.ckpt", "a checkpoint of TensorFlow"),
        ("model.ckpt-1000.index", "a checkpoint of TensorFlow"),
        ("model.ckpt-1000.data-00000-of-00001", "a checkpoint of TensorFlow"),
        ("best.pth", "a file of PyTorch"),
        ("best.PT", "a file of PyTorch"),
        ("model.tflite", "an exported model"),
    ],
)
def test_files_of_other_programs_are_known_by_name(tmp_path, name, what):
    (tmp_path / name).write_bytes(b"something")
    with pytest.raises(ValueError, match=rf"is {what}.*save_weights\('NAME\.weights\.h5'\)"):
        read_weight_file(tmp_path / name)
