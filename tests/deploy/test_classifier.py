"""Exported classifiers give the logits of the classifier in Keras."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from fixtures.exportable import picture

import mobilenetdet as md
from mobilenetdet.classification.batches import sample_images
from mobilenetdet.classification.cifar10 import CLASS_NAMES
from mobilenetdet.classification.config import (
    ClassifierConfig,
    ClassifierModelConfig,
    ImageDataConfig,
)
from mobilenetdet.classification.model import build_classifier, load_classifier
from mobilenetdet.cli import export, predict
from mobilenetdet.config.storage import read_config, to_json
from mobilenetdet.deploy.calibration_images import CalibrationImages
from mobilenetdet.deploy.classifier import (
    INFO_FILE,
    TrainedClassifier,
    export_classifier,
    freeze_classifier,
)
from mobilenetdet.deploy.export_plan import ExportPlan
from mobilenetdet.exported_info import ExportedInfo
from mobilenetdet.inference.exported import open_exported

NAMES = tuple("abcdefghij")
IMAGES = np.stack([picture(seed, (32, 32)) for seed in range(3)])
NEEDS = {"litert": "litert_quantizer", "onnx": "onnxruntime", "openvino": "nncf"}


def scrambled(model: keras.Model) -> keras.Model:
    """Gives batch normalisation something to do, and logits that differ."""
    rng = np.random.default_rng(0)
    ranges = {"moving_variance": (0.5, 2.0), "gamma": (0.6, 1.4), "beta": (-0.3, 0.8)}
    for weight in model.weights:
        if (name := weight.path.rpartition("/")[2]) in ranges:
            weight.assign(rng.uniform(*ranges[name], weight.shape))
    return model


@pytest.fixture(scope="module")
def classifier() -> TrainedClassifier:
    keras.utils.set_random_seed(0)
    model = build_classifier((32, 32, 3), num_classes=10, alpha=0.25, small_images=True)
    return TrainedClassifier(scrambled(model), (32, 32), NAMES, {"data": {}}, "runs/c")


@pytest.fixture(scope="module")
def run_dir(classifier, small_cifar10, tmp_path_factory) -> Path:
    """A run as train_classifier leaves it."""
    config = ClassifierConfig(
        data=ImageDataConfig(data_dir=str(small_cifar10)),
        model=ClassifierModelConfig(alpha=0.25, small_images=True),
    )
    folder = tmp_path_factory.mktemp("classifier")
    (folder / "config.json").write_text(to_json(config))
    classifier.model.save_weights(folder / "best.weights.h5")
    return folder


def logits(path: Path) -> np.ndarray:
    runtime = open_exported(path)
    return np.concatenate([runtime.infer(image[None])["logits"] for image in IMAGES])


def test_the_graph_gives_the_same_logits(classifier, tmp_path):
    plan = ExportPlan(formats=["frozen_graph"])
    path, info_file = export_classifier(classifier, tmp_path, plan)
    assert (path.name, info_file.name) == ("classifier_float32.pb", INFO_FILE)
    expected = classifier.model(IMAGES.astype(np.float32), training=False)
    np.testing.assert_allclose(logits(path), expected, atol=1e-4)
    info = ExportedInfo.from_json(info_file.read_text(), INFO_FILE)
    assert (info.classes, info.image_size, info.parts) == (NAMES, (32, 32), "classifier")
    assert open_exported(path).info == replace(info, precision="float32")
    for _ in range(2):
        (tmp_path / INFO_FILE).write_text("of a user")
        with pytest.raises(FileExistsError, match="classifier.json is there"):
            export_classifier(classifier, tmp_path, plan)


@pytest.mark.slow
@pytest.mark.parametrize("name", NEEDS)
@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_every_format_gives_the_same_class(classifier, tmp_path, name, precision):
    if importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed; the extra [export] has it")
    images = CalibrationImages.of_arrays((32, 32), list(IMAGES))
    plan = ExportPlan(formats=[name], precisions=[precision])
    found = logits(export_classifier(classifier, tmp_path, plan, images)[0])
    expected = np.asarray(classifier.model(IMAGES.astype(np.float32), training=False))
    assert found.shape == (3, 10) and found.dtype == np.float32
    tolerance = {"float32": 1e-3, "float16": 2e-2, "int8": 0.5}[precision]
    assert np.abs(found - expected).max() < tolerance * max(1.0, np.ptp(expected))


def test_the_command_exports_a_run(run_dir, tmp_path, capsys):
    options = ["--run_dir", str(run_dir), "--output_dir", str(tmp_path), "--format", "frozen_graph"]
    assert export.main(options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        "writing classifier_float32.pb",
        *(str(tmp_path / name) for name in ("classifier_float32.pb", INFO_FILE)),
    ]
    info = json.loads((tmp_path / INFO_FILE).read_text())
    assert info["classes"] == list(CLASS_NAMES)  # it was not measured
    assert info["config"]["data"]["dataset"] == "cifar10"
    with pytest.raises(ValueError, match="is a classifier, which has no --parts"):
        export.main([*options, "--parts", "network"])


def test_a_measured_run_names_its_classes(run_dir, tmp_path):
    (tmp_path / "eval").mkdir()
    (tmp_path / "config.json").write_text((run_dir / "config.json").read_text())
    (tmp_path / "eval/metrics.json").write_text(json.dumps({"class_names": NAMES}))
    config = read_config(tmp_path / "config.json", ClassifierConfig)
    assert export._class_names(tmp_path, config) == NAMES
    (tmp_path / "eval/metrics.json").unlink()
    of_three = replace(config, data=replace(config.data, dataset="imagenet", num_classes=3))
    assert export._class_names(tmp_path, of_three) == ("1", "2", "3")


def test_int8_takes_training_images_or_a_folder(run_dir, classifier, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    asked = []
    monkeypatch.setattr(
        "mobilenetdet.deploy.classifier.export_classifier",
        lambda classifier, output, plan, images, **how: asked.append(images) or [],
    )
    cv2.imwrite(str(tmp_path / "a.png"), picture(size=(40, 60)))
    options = ["--run_dir", str(run_dir), "--precision", "int8", "--format", "onnx"]
    monkeypatch.setattr(ExportPlan, "require_packages", lambda plan: None)
    export.main([*options, "--num_calibration_images", "5"])
    export.main([*options, "--calibration_images", str(tmp_path), "--image_size", "64x96"])
    assert [len(images) for images in asked] == [5, 1]
    for images, shape in zip(asked, [(1, 32, 32, 3), (1, 64, 96, 3)], strict=True):
        assert {each.shape for each in images} == {shape}
        assert {each.dtype for each in images} == {np.dtype("uint8")}
    plan = ExportPlan(formats=["onnx"], precisions=["int8"])
    with pytest.raises(ValueError, match="int8 needs pictures"):
        export_classifier(classifier, tmp_path, plan)


def test_a_run_is_loaded(run_dir, classifier):
    model, config = load_classifier(run_dir)
    assert config.model.alpha == 0.25
    for ours, theirs in zip(model.get_weights(), classifier.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    model, _ = load_classifier(run_dir, image_size=(64, 96))
    assert model.input_shape == (None, 64, 96, 3)
    assert len(sample_images(config, 3)) == 3
    large = replace(config, train=replace(config.train, batch_size=1024))
    assert len(sample_images(large, 3)) == 3  # fewer images than a batch has
    with pytest.raises(FileNotFoundError, match="no.weights.h5 does not exist"):
        load_classifier(run_dir, weights=Path("no.weights.h5"))


def test_detection_refuses_a_classifier(classifier, tmp_path):
    path = export_classifier(classifier, tmp_path, ExportPlan(formats=["frozen_graph"]))[0]
    cv2.imwrite(str(tmp_path / "a.png"), IMAGES[0])
    with pytest.raises(ValueError, match="is a classifier: it gives logits"):
        md.load(path)
    with pytest.raises(ValueError, match="is a classifier: it gives logits"):
        predict.main([str(tmp_path / "a.png"), "--model", str(path)])


def test_another_backend_is_refused(classifier, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="KERAS_BACKEND=tensorflow"):
        freeze_classifier(classifier)
