"""Reading CIFAR-10: every image, and what is said of batches that are none."""

import pickle
import shutil

import keras
import numpy as np
import pytest

from mobilenetdet.classification.cifar10 import BATCHES, CLASS_NAMES, read_cifar10
from mobilenetdet.classification.config import ClassifierConfig
from mobilenetdet.classification.small_images import Cifar10Images


@pytest.fixture()
def folder(small_cifar10, tmp_path):
    return shutil.copytree(small_cifar10 / "cifar-10-batches-py", tmp_path / "cifar-10-batches-py")


def rewrite(path, **changes):
    content = pickle.loads(path.read_bytes())
    for key, value in changes.items():
        content.pop(key.encode(), None)
        if value is not None:
            content[key.encode()] = value
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize(("split", "count"), [("train", 80), ("test", 24)])
@pytest.mark.parametrize("inner", ["", "cifar-10-batches-py"])
def test_all_batches_in_their_order(small_cifar10, split, count, inner):
    read = read_cifar10(str(small_cifar10 / inner), split)
    assert (len(read), read.images.dtype, read.labels.dtype) == (count, np.uint8, np.int32)
    assert read.images.shape == (count, 32, 32, 3)
    start = 0
    for name in BATCHES[split]:
        batch = pickle.loads((small_cifar10 / "cifar-10-batches-py" / name).read_bytes())
        for row, label in zip(batch[b"data"], batch[b"labels"], strict=True):
            red, green, blue = row.reshape(3, 32, 32)  # the format's own words: planes, row by row
            np.testing.assert_array_equal(read.images[start, 5, :, 1], green[5])
            np.testing.assert_array_equal(read.images[start, :, 7, 2], blue[:, 7])
            np.testing.assert_array_equal(read.images[start, ..., 0], red)
            assert read.labels[start] == label
            start += 1
    assert start == count


def test_text_keys_and_label_arrays_are_read_too(folder):
    content = pickle.loads((folder / "test_batch").read_bytes())
    labels = np.array(content[b"labels"], np.int64)
    text = {"data": content[b"data"], "labels": labels}
    (folder / "test_batch").write_bytes(pickle.dumps(text, protocol=2))
    np.testing.assert_array_equal(read_cifar10(str(folder), "test").labels, labels)


def test_missing_batches_are_named_together(folder):
    for name in ("data_batch_2", "data_batch_5"):
        (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match="lacks data_batch_2, data_batch_5; unpack"):
        read_cifar10(str(folder), "train")
    assert len(read_cifar10(str(folder), "test")) == 24


def test_a_folder_without_batches_names_the_option(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cifar-10-batches-py .*--data\.data_dir"):
        read_cifar10(str(tmp_path), "train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": None}, "lacks data;"),
        ({"data": None, "labels": None}, "lacks data and labels"),
        ({"data": np.zeros((24, 3071), np.uint8)}, r"data is uint8 \[24, 3071\], expected uint8"),
        ({"data": np.zeros((24, 3072), np.float32)}, r"data is float32 \[24, 3072\]"),
        ({"data": [1, 2]}, r"data is int64 \[2\]"),
        ({"labels": [1] * 23}, r"24 images, but labels are int64 \[23\]"),
        ({"labels": [0.5] * 24}, r"labels are float64 \[24\]"),
        ({"labels": [3] * 23 + [10]}, "label 10, expected 0 to 9"),
        ({"labels": [-1] + [3] * 23}, "label -1, expected 0 to 9"),
    ],
)
def test_other_content_names_file_and_value(folder, changes, message):
    rewrite(folder / "test_batch", **changes)
    with pytest.raises(ValueError, match=message) as caught:
        read_cifar10(str(folder), "test")
    assert str(folder / "test_batch") in str(caught.value) and "unpack" in str(caught.value)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1000], lambda data: b"<html>", lambda _: b""]
)
def test_a_damaged_batch_is_named(folder, damage):
    path = folder / "data_batch_3"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"data_batch_3 is no whole pickle.*unpack"):
        read_cifar10(str(folder), "train")


def test_a_batch_that_is_a_list(folder):
    (folder / "test_batch").write_bytes(pickle.dumps([1], protocol=2))
    with pytest.raises(ValueError, match="holds a list and no batch"):
        read_cifar10(str(folder), "test")


def test_without_folder_keras_downloads(monkeypatch):
    images = np.zeros((4, 3, 32, 32), np.uint8).transpose(0, 2, 3, 1)  # a view, as Keras has it
    labels = np.array([[1], [2], [3], [9]], np.uint8)
    load = lambda: ((images, labels), (images[:2], labels[:2]))  # noqa: E731
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", load)
    assert read_cifar10("", "train").labels.tolist() == [1, 2, 3, 9]
    assert len(read_cifar10("", "test")) == 2
    whole = Cifar10Images(ClassifierConfig())
    assert (whole.num_train, len(whole.fingerprint)) == (4, 8)


def test_without_network_the_option_is_named(monkeypatch):
    def load():
        raise Exception("URL fetch failure on https://...")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", load)
    with pytest.raises(FileNotFoundError, match=r"URL fetch failure.*--data\.data_dir"):
        read_cifar10("", "train")


def test_ten_names():
    assert len(set(CLASS_NAMES)) == 10 and list(CLASS_NAMES) == sorted(CLASS_NAMES)
