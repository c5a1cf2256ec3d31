"""Classifiers from folders and batches to figures: training, resuming, other weights."""

import csv
import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

import mobilenetdet
from mobilenetdet.classification.batches import open_images
from mobilenetdet.classification.config import (
    ClassifierConfig,
    ClassifierModelConfig,
    ClassifierTrainConfig,
    ImageDataConfig,
)
from mobilenetdet.classification.model import build_classifier
from mobilenetdet.classification.presets import make_classifier_preset
from mobilenetdet.classification.train import compiled_classifier, train_classifier
from mobilenetdet.cli import train_classifier as command
from mobilenetdet.config.storage import read_config, to_json
from mobilenetdet.runs import CONFIG_FILE, LAST_WEIGHTS, STATE_FILE
from mobilenetdet.training.checkpoint import read_state

SMALL = ClassifierModelConfig(alpha=0.25, small_images=True, dropout=0.2, batch_norm_momentum=0.8)


@pytest.fixture(autouse=True)
def default_precision():
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.fixture(scope="module")
def trained(class_records, straight_and_resumed):
    """Two runs from folders with the same config: one straight, one interrupted and resumed."""
    config = ClassifierConfig(
        data=ImageDataConfig(
            dataset="imagenet",
            data_dir=str(class_records),
            image_size=32,
            num_classes=4,
            min_area=0.6,
            colour=0.2,
        ),
        model=SMALL,
        train=ClassifierTrainConfig(
            epochs=2,
            batch_size=8,
            optimizer="sgd",  # the quickest to trace
            learning_rate=0.05,
            warmup_epochs=0.5,
            ema=0.9,
            label_smoothing=0.1,
        ),
    )
    return straight_and_resumed(train_classifier, config)


def load_last(config, run_dir):
    return load(compiled_classifier(config, steps=1, load_weights=False), run_dir / LAST_WEIGHTS)


def load(model, path):
    model.optimizer = None  # the file has no state of it
    model.load_weights(path)
    return model


def test_run_directory_is_complete(trained):
    names = {path.name for path in trained["straight"].iterdir()}
    assert names == {
        "config.json",
        "metrics.csv",
        "metrics.png",
        "tensorboard",
        "checkpoint.npz",
        "best.weights.h5",
        "last.weights.h5",
        "eval",
    }
    assert read_config(trained["straight"] / CONFIG_FILE, ClassifierConfig) == trained["config"]
    with (trained["straight"] / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for name in ("loss", "accuracy", "learning_rate", "val/top1", "val/top5", "val/loss"):
        assert np.isfinite(float(rows[1][name])), name
    for name in ("metrics.png", "eval/confusion.png"):
        assert cv2.imread(str(trained["straight"] / name)).std() > 5


def test_an_interrupted_run_ends_like_a_straight_one(trained):
    assert trained["rows_before"].count("\n") == 2  # heading and the complete epoch
    straight, resumed = (
        np.load(trained[name] / "checkpoint.npz") for name in ("straight", "resumed")
    )
    assert set(straight.files) == set(resumed.files)
    for name in straight.files:
        if name.startswith(("model", "ema", "optimizer")):
            np.testing.assert_allclose(straight[name], resumed[name], rtol=2e-3, atol=2e-4)


def test_figures_equal_a_count_by_hand(trained, class_folders):
    """From the image files by other means: cv2 for the crop, a loop for the counting."""
    model = load_last(trained["config"], trained["straight"])
    images, labels = [], []
    for label, name in enumerate(("n01", "n02", "n10", "n20")):
        for path in sorted((class_folders / "val" / name).iterdir()):
            image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
            height, width = (round(side * 0.875) for side in image.shape[:2])
            top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
            crop = image[top : top + height, left : left + width]
            images.append(cv2.resize(crop, (32, 32)))
            labels.append(label)
    logits = model.predict(np.stack(images), verbose=0)
    confusion = [[0] * 4 for _ in range(4)]
    for row, label in zip(logits.tolist(), labels, strict=True):
        confusion[label][row.index(max(row))] += 1
    metrics = json.loads((trained["straight"] / "eval/metrics.json").read_text())
    assert metrics["num_images"] == 20 and metrics["class_names"] == ["n01", "n02", "n10", "n20"]
    assert metrics["confusion"] == confusion
    assert metrics["top1"] == pytest.approx(100 * sum(confusion[i][i] for i in range(4)) / 20)
    assert metrics["top5"] == 100  # of four classes
    assert metrics["top1"] == trained["result"].top1


def test_a_finished_run_only_measures(trained):
    before = (trained["straight"] / "checkpoint.npz").stat().st_mtime_ns
    again = train_classifier(trained["config"], trained["straight"], verbose=0)
    np.testing.assert_array_equal(again.confusion, trained["result"].confusion)
    assert (trained["straight"] / "checkpoint.npz").stat().st_mtime_ns == before


def test_another_config_is_refused_with_the_difference(trained):
    config = trained["config"]
    other = replace(config, train=replace(config.train, label_smoothing=0.0))
    with pytest.raises(ValueError, match=r"train\.label_smoothing: 0\.1 there, 0\.0 now"):
        train_classifier(other, trained["straight"])


@pytest.fixture(scope="module")
def cifar_run(small_cifar10, tmp_path_factory):
    """One epoch on CIFAR-10 by the command, in bfloat16."""
    run_dir = tmp_path_factory.mktemp("cifar") / "run"
    arguments = ["--lr", "0.05", "--batch_size", "16", "--epochs", "1", "--run_dir", str(run_dir)]
    arguments += ["--data.data_dir", str(small_cifar10), "--model.alpha", "0.25"]
    arguments += ["--train.warmup_epochs", "0", "--train.precision", "mixed_bfloat16"]
    assert command.main(arguments) == 0
    keras.mixed_precision.set_global_policy("float32")
    return run_dir


def test_the_command_measures_all_test_images(cifar_run, small_cifar10):
    config = read_config(cifar_run / CONFIG_FILE, ClassifierConfig)
    train = config.train
    assert (train.learning_rate, train.batch_size, train.epochs) == (0.05, 16, 1)
    metrics = json.loads((cifar_run / "eval/metrics.json").read_text())
    assert metrics["num_images"] == 24
    assert np.sum(metrics["confusion"], axis=1).tolist() == [3, 3, 3, 3] + [2] * 6
    model = load_last(config, cifar_run)
    test = open_images(config).test
    order = np.argsort(-model.predict(test.images, verbose=0), axis=1, kind="stable")
    ranked = list(zip(order, test.labels, strict=True))
    hits = [sum(label in row[:k] for row, label in ranked) for k in (1, 5)]
    assert [metrics["top1"], metrics["top5"]] == pytest.approx([100 * hit / 24 for hit in hits])


def test_a_run_goes_on_with_the_images_that_it_began_with(cifar_run, small_cifar10, tmp_path):
    moved, run_dir = tmp_path / "moved", tmp_path / "run"
    shutil.copytree(small_cifar10, moved)
    shutil.copytree(cifar_run, run_dir)
    arguments = ["--config", str(run_dir / CONFIG_FILE), "--run_dir", str(run_dir)]
    arguments += ["--data.data_dir", str(moved)]
    assert command.main(arguments) == 0
    batch = next(moved.rglob("data_batch_1"))
    content = pickle.loads(batch.read_bytes())
    data = np.array(content[b"data"])
    data[0, 0] += 1
    batch.write_bytes(pickle.dumps({**content, b"data": data}))
    with pytest.raises(ValueError, match="belongs to records with another content"):
        command.main([*arguments, "--epochs", "2"])


def test_the_best_is_measured_again_on_other_test_images(
    cifar_run, small_cifar10, tmp_path, capsys
):
    moved, run_dir = tmp_path / "moved", tmp_path / "run"
    shutil.copytree(small_cifar10, moved)
    shutil.copytree(cifar_run, run_dir)
    change_state(run_dir, best=1000.0)
    batch = next(moved.rglob("test_batch"))
    content = pickle.loads(batch.read_bytes())
    batch.write_bytes(pickle.dumps({**content, b"labels": content[b"labels"][::-1]}))
    arguments = ["--config", str(run_dir / CONFIG_FILE), "--run_dir", str(run_dir)]
    arguments += ["--data.data_dir", str(moved), "--epochs", "2"]
    assert command.main(arguments) == 0
    assert "test images are others now" in capsys.readouterr().out
    _, progress = read_state(run_dir / STATE_FILE)
    assert progress["epoch"] == 2 and 0 <= progress["best"] <= 100


def test_a_state_that_names_the_images_of_both_splits_goes_on(trained, tmp_path):
    run_dir = tmp_path / "run"
    shutil.copytree(trained["straight"], run_dir)
    _, progress = read_state(run_dir / STATE_FILE)
    facts = asdict(progress["facts"])
    assert facts["records"] and facts["measured_by"]
    both = f"{facts['records']}+{facts['measured_by']}"
    change_state(run_dir, facts=facts | {"records": both, "measured_by": ""})
    assert read_state(run_dir / STATE_FILE)[1]["facts"] == progress["facts"]


def change_state(run_dir: Path, **changes: object) -> None:
    """Puts other values into the progress that a state holds."""
    with np.load(run_dir / STATE_FILE) as file:
        arrays = dict(file)
    progress = json.loads(str(arrays["progress"])) | changes
    arrays["progress"] = np.array(json.dumps(progress))
    with (run_dir / STATE_FILE).open("wb") as file:
        np.savez(file, **arrays)


def test_a_new_run_begins_with_the_weights_of_another(cifar_run, small_cifar10, tmp_path, capsys):
    options = command.Options(
        config=replace(
            read_config(cifar_run / CONFIG_FILE, ClassifierConfig),
            data=ImageDataConfig(data_dir=str(small_cifar10)),
        ),
        load_pretrain=True,
        pretrain_path=cifar_run,
    )
    config = command.resolve(options, tmp_path / "run")
    assert config.model.weights == str(cifar_run / "best.weights.h5")
    model = compiled_classifier(config, steps=5)
    assert "best.weights.h5: 55 layers loaded" in capsys.readouterr().out
    earlier = compiled_classifier(config, steps=5, load_weights=False)
    load(earlier, cifar_run / "best.weights.h5")
    for one, other in zip(model.weights, earlier.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_of_1000_classes_get_a_new_head_and_say_so(tmp_path, capsys):
    published = build_classifier((32, 32, 3), num_classes=1000, alpha=0.25)
    published.save_weights(tmp_path / "published.weights.h5")
    config = ClassifierConfig(
        model=replace(SMALL, weights=str(tmp_path / "published.weights.h5")),
    )
    model = compiled_classifier(config, steps=5)
    told = capsys.readouterr().out
    assert "54 layers loaded" in told and "mismatched: conv_preds" in told
    np.testing.assert_array_equal(
        model.get_layer("conv_pw_13").kernel, published.get_layer("conv_pw_13").kernel
    )
    assert model.output_shape == (None, 10)


def test_frozen_blocks_stay_as_loaded_and_all_others_learn():
    config = ClassifierConfig(
        model=replace(SMALL, frozen_blocks=2), train=ClassifierTrainConfig(warmup_epochs=0.0)
    )
    model = compiled_classifier(config, steps=5)
    before = [variable.numpy() for variable in model.weights]
    random = np.random.default_rng(0)
    model.train_on_batch(random.integers(0, 256, (4, 32, 32, 3)), random.integers(0, 10, 4))
    moved = {
        variable.path.split("/")[0]
        for variable, old in zip(model.weights, before, strict=True)
        if not np.array_equal(variable.numpy(), old)
    }
    frozen = {"conv1", "conv_dw_1", "conv_pw_1", "conv_dw_2", "conv_pw_2"}
    frozen |= {f"{name}_bn" for name in frozen}
    assert moved == {layer.name for layer in model.layers if layer.weights} - frozen


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pretrain_path": "x"}, "no effect without --load_pretrain"),
        ({"load_pretrain": True, "pretrain_path": "run"}, "is the run itself"),
        ({"load_pretrain": True, "pretrain_path": ""}, "holds neither"),
    ],
)
def test_options_that_do_not_fit(tmp_path, changes, message):
    (tmp_path / "run").mkdir()
    if "pretrain_path" in changes:
        changes = changes | {"pretrain_path": tmp_path / changes["pretrain_path"]}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        command.resolve(command.Options(**changes), tmp_path / "run")


def test_weights_are_named_once(tmp_path):
    config = ClassifierConfig(model=replace(SMALL, weights="a.h5"))
    with pytest.raises(ValueError, match=r"--model.weights a.h5: name the weights once"):
        command.resolve(command.Options(load_pretrain=True, config=config), tmp_path)


def test_other_weights_take_the_place_of_those_of_a_preset(tmp_path):
    preset = make_classifier_preset("cifar10_transfer")
    options = command.Options(preset="cifar10_transfer", load_pretrain=True, config=preset)
    assert command.resolve(options, tmp_path) == preset
    (tmp_path / "a.h5").touch()
    others = replace(options, pretrain_path=tmp_path / "a.h5")
    assert command.resolve(others, tmp_path).model.weights == str(tmp_path / "a.h5")
    named = replace(options, config=replace(preset, model=replace(preset.model, weights="b.h5")))
    with pytest.raises(ValueError, match=r"--model.weights b.h5: name the weights once"):
        command.resolve(named, tmp_path)


def test_load_pretrain_alone_means_imagenet(tmp_path):
    options = command.Options(load_pretrain=True)
    assert command.resolve(options, tmp_path).model.weights == "imagenet"


def test_missing_data_begin_no_run(tmp_path):
    config = ClassifierConfig(data=ImageDataConfig(data_dir=str(tmp_path)))
    with pytest.raises(FileNotFoundError, match="cifar-10-batches-py"):
        train_classifier(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("batch_size", "message"), [(16, ""), (15, "a multiple of the 2 devices")])
def test_several_devices_share_a_batch(small_cifar10, tmp_path, batch_size, message):
    train = ClassifierTrainConfig(
        epochs=1, batch_size=batch_size, warmup_epochs=0.0, devices="cpu:2"
    )
    data = ImageDataConfig(data_dir=str(small_cifar10))
    config_file = tmp_path / "config.json"
    config_file.write_text(to_json(ClassifierConfig(data=data, model=SMALL, train=train)))
    command_line = [sys.executable, "-m", "mobilenetdet", "train_classifier"]
    command_line += ["--config", str(config_file), "--run_dir", str(tmp_path / "run")]
    environment = os.environ | {"PYTHONPATH": str(Path(mobilenetdet.__file__).parents[1])}
    done = subprocess.run(
        command_line, env=environment, capture_output=True, text=True, timeout=600
    )
    if message:
        assert done.returncode != 0 and message in done.stderr
        return
    assert done.returncode == 0, done.stderr
    state = np.load(tmp_path / "run/checkpoint.npz")
    assert all(np.isfinite(state[name]).all() for name in state.files if name != "progress")
    assert json.loads((tmp_path / "run/eval/metrics.json").read_text())["num_images"] == 24
