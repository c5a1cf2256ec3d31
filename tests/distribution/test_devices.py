"""Training on several devices: as on one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import mobilenetdet
from mobilenetdet.config.presets import make_preset
from mobilenetdet.config.storage import with_changes
from mobilenetdet.distribution.devices import Devices, use_devices
from mobilenetdet.replicas import count_over_replicas, fill_rows, num_replicas

PROGRAM = Path(__file__).with_name("device_steps.py")


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("kind", ["detector", "squeezedet", "student", "classifier"])
def test_twenty_steps_are_those_of_one_device(kind, count):
    environment = os.environ | {
        "PYTHONPATH": str(Path(mobilenetdet.__file__).parents[1]),
        "KERAS_BACKEND": keras.backend.backend(),
    }
    command = [sys.executable, str(PROGRAM), kind, str(count)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["last loss"] != found["first loss"]
    assert found["weights"] < 1e-5 and found["averages"] < 1e-5, found
    assert found["loss"] < 1e-5 * found["first loss"], found
    assert found.get("accuracy", 0.0) < 1e-5, found
    assert found.get("dropped_boxes", 0.0) == 0.0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("7", "train.devices is 7, and 0 GPU.* cpu:7"),
        ("cpu:4", "cpu:4, and .* computes already, with 1 device.*process of its own"),
    ],
)
def test_devices_that_are_not_there_are_refused(asked, message, monkeypatch):
    monkeypatch.setattr(
        keras.distribution, "list_devices", lambda kind: ["cpu:0"] * (kind == "cpu")
    )
    keras.ops.ones(1)  # the backend computes already
    with pytest.raises(ValueError, match=message), use_devices(asked, 8):
        pass


@pytest.mark.parametrize("value", ["gpu:1", "0", "cpu:0", "two", "-1"])
def test_other_words_are_refused_by_the_config(value):
    with pytest.raises(ValueError, match="train.devices is .*; it must be all, a number of GPUs"):
        with_changes(make_preset("ssd_fpn"), {"train.devices": value})


def test_one_device_changes_nothing():
    with use_devices("all", 3) as devices:
        assert len(devices.names) == 1 and devices.strategy is None
        with devices.scope():
            assert num_replicas() == 1
        assert devices.divisible("batches") == "batches"
    images = np.zeros((3, 2))
    assert fill_rows(images) is images
    assert float(count_over_replicas(keras.ops.zeros(4))) == 1.0
    assert float(count_over_replicas(keras.ops.ones(4))) == 4.0


@pytest.mark.parametrize("size", [1, 2, 4, 6])
def test_batches_are_filled_up_for_the_devices(size):
    images = np.arange(size)
    targets = {"boxes": images[:, None] * 1.0, "num_dropped": np.full(size, 2, np.int32)}
    batches = tf.data.Dataset.from_tensors((images, targets))
    ((images, targets),) = Devices(("a", "b", "c", "d")).divisible(batches).as_numpy_iterator()
    count = {1: 4, 2: 4, 4: 4, 6: 8 if keras.backend.backend() == "jax" else 6}[size]
    assert images.tolist() == [place % size for place in range(count)]
    assert targets["boxes"].tolist() == [[place] for place in images]
    assert targets["num_dropped"].tolist() == [2] * size + [0] * (count - size)


@pytest.mark.parametrize(("size", "weights"), [(2, [1, 1, 0, 0]), (4, [1] * 4)])
def test_images_that_fill_up_a_batch_have_no_weight(size, weights):
    batches = tf.data.Dataset.from_tensors((np.zeros((size, 3)), np.arange(size)))
    devices = Devices(("a", "b", "c", "d"))
    ((_, labels, found),) = devices.divisible(batches, weigh=True).as_numpy_iterator()
    assert labels.tolist() == [place % size for place in range(4)]
    assert found.tolist() == weights


def test_jax_without_a_gpu_takes_the_cpu(monkeypatch):
    from mobilenetdet.distribution import devices

    def fail(kind):
        raise RuntimeError(f"Unknown backend: '{kind}' requested")

    monkeypatch.setattr(keras.distribution, "list_devices", fail)
    assert devices._jax_gpus() == ()


def test_all_takes_as_many_devices_as_divide_the_batch(monkeypatch, capsys):
    from mobilenetdet.distribution import devices

    assert devices._largest_divisor(6, 8) == 6
    assert devices._largest_divisor(6, 4) == 3
    assert "3 of 4 devices take part, since train.batch_size is 6" in capsys.readouterr().out
    assert devices._largest_divisor(8, 8) == 8 and not capsys.readouterr().out


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_batches_for_jax_are_filled_from_their_beginning(size, monkeypatch):
    tf = pytest.importorskip("tensorflow")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    images = np.arange(size, dtype=np.float32)[:, None]
    batches = tf.data.Dataset.from_tensors((images, {"boxes": images + 10}))
    ((filled, targets),) = Devices(("a", "b")).divisible(batches).as_numpy_iterator()
    assert len(filled) == size + size % 2
    np.testing.assert_array_equal(filled[:size], images)
    np.testing.assert_array_equal(targets["boxes"], filled + 10)
    if size % 2:
        assert filled[-1] == 0
