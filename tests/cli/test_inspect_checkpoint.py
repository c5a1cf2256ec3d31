"""The tool as a user runs it, on files that a run leaves behind."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from mobilenetdet.classification.config import ClassifierConfig, ClassifierModelConfig
from mobilenetdet.classification.model import build_classifier
from mobilenetdet.cli.inspect_checkpoint import main
from mobilenetdet.config.detection import (
    DataConfig,
    DetectionConfig,
    ModelConfig,
    SqueezeDetHeadConfig,
)
from mobilenetdet.config.storage import to_json
from mobilenetdet.models.detector import build_detector
from mobilenetdet.training.checkpoint import RunState
from mobilenetdet.training.ema import EmaWeights


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory) -> Path:
    """A detector's run after its third epoch, with Adam and averages."""
    folder = tmp_path_factory.mktemp("run")
    config = DetectionConfig(
        data=DataConfig(image_height=32, image_width=64),
        model=ModelConfig(weights="none", alpha=0.25),
        head=SqueezeDetHeadConfig(blocks=1, channels=8),
    )
    (folder / "config.json").write_text(to_json(config))
    detector, _ = build_detector(config)
    detector.compile(keras.optimizers.Adam())
    state = RunState(detector, EmaWeights(detector, 0.9), folder)
    state.epoch, state.best = 3, 41.5
    state.save()
    state.save_weights("last.weights.h5")
    return folder


@pytest.fixture(scope="module")
def classifier_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("classifier") / "best.weights.h5"
    build_classifier((32, 32, 3), num_classes=10, alpha=0.25).save_weights(path)
    return path


def lines_of(capsys, *arguments: object) -> list[str]:
    assert main([str(argument) for argument in arguments]) == 0
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_a_weight_file(classifier_file, capsys):
    lines = lines_of(capsys, classifier_file)
    # 55 layers as keras.applications has them: 218,544 without the last, 2,570 in it.
    count = 218_544 + 2_570
    assert lines[0].startswith(f"{classifier_file}: 55 layers, {count:,} values, 0.9 MB (")
    assert lines[1] == "name shapes values bytes"
    assert "conv1 3x3x3x8 216 864" in lines
    assert "conv_pw_13_bn 4 of 256 1,024 4,096" in lines
    assert "conv_preds 1x1x256x10, 10 2,570 10,280" in lines
    assert len(lines) == 2 + 55 + 1


def test_a_file_of_keras_2(shared_dir, capsys):
    path = shared_dir / "weights/mobilenet_2_5_224_tf_no_top.h5"
    lines = lines_of(capsys, path, "--no-layers")
    assert lines[0] == f"{path}: 54 layers, 218,544 values, 0.9 MB (2.1 MB on disk)"


def test_a_run_and_what_its_optimizer_adds(run_dir, capsys):
    lines = lines_of(capsys, run_dir, "--no-layers")
    state = lines.index("after epoch 3, best validation figure 41.5")
    assert lines[0].startswith(f"{run_dir}/last.weights.h5: ")
    rows = {line.split()[0]: line.split() for line in lines[state + 2 : state + 5]}
    with np.load(run_dir / "checkpoint.npz") as file:
        counts = {
            what: sum(file[name].size for name in file.files if name.startswith(prefix))
            for prefix, what in (("model_", "weights"), ("optimizer_", "optimizer"))
        }
    for what, count in counts.items():
        assert rows[what][2] == f"{count:,}"
    assert rows["weights"][-1] == "1.00"
    assert 1.8 < float(rows["optimizer"][-1]) < 2.0  # Adam: two moments of what is trained
    assert rows["averages"][-1] == "1.00"


@pytest.mark.parametrize("into", ["run", "squeezedet"])
def test_a_classifier_into_a_detector(run_dir, classifier_file, capsys, into):
    into = run_dir if into == "run" else into
    before = classifier_file.read_bytes()
    text = "\n".join(lines_of(capsys, classifier_file, "--no-layers", "--into", into))
    if into == "squeezedet":  # alpha 1
        assert "would load into squeezedet:" in text and "0 layers loaded" in text
        assert "conv1 (file [(3, 3, 3, 8)], model [(3, 3, 3, 32)])" in text
    else:
        assert "46 layers loaded" in text
        missing, unused = text.split("missing: ")[1].split("unused: ")
        assert "head_0_dw" in missing and "prediction" in missing and "conv_preds" in unused
    assert classifier_file.read_bytes() == before


def test_a_run_into_a_classifier(run_dir, capsys):
    options = ["--into", "classifier", "--alpha", "0.25", "--num_classes", "10", "--no-layers"]
    text = "\n".join(lines_of(capsys, run_dir, *options))
    assert "46 layers loaded" in text and "missing: conv_dw_12" in text
    assert "would load into classifier: nothing; the state of a run resumes that" in text


def test_a_classifier_into_another_run_of_one(classifier_file, tmp_path, capsys):
    config = ClassifierConfig(model=ClassifierModelConfig(alpha=0.25, small_images=True))
    (tmp_path / "config.json").write_text(to_json(config))
    text = "\n".join(lines_of(capsys, classifier_file, "--into", tmp_path, "--no-layers"))
    assert "55 layers loaded" in text and "mismatched" not in text


def test_a_run_with_no_known_config_is_refused(classifier_file, tmp_path):
    (tmp_path / "config.json").write_text('{"trian": {}}')
    with pytest.raises(ValueError, match="is not a detection config"):
        main([str(classifier_file), "--into", str(tmp_path)])


def test_another_number_of_classes(classifier_file, capsys):
    options = ["--into", "classifier", "--alpha", "0.25", "--num_classes", "7", "--no-layers"]
    text = "\n".join(lines_of(capsys, classifier_file, *options))
    assert "54 layers loaded" in text
    assert "mismatched: conv_preds (file [(1, 1, 256, 10), (10,)]" in text


def damaged(source: Path, path: Path, damage: str) -> Path:
    content = source.read_bytes()
    path.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "empty": b"",
            "text": b"<html>404</html>",
            "zeros": bytes(len(content)),
        }[damage]
    )
    return path


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "zeros"])
def test_damaged_files_are_named_with_the_remedy(run_dir, tmp_path, damage):
    weights = damaged(run_dir / "last.weights.h5", tmp_path / "last.weights.h5", damage)
    with pytest.raises(ValueError, match=r"last\.weights\.h5 is not a Keras .*do that again"):
        main([str(weights)])
    state = damaged(run_dir / "checkpoint.npz", tmp_path / "checkpoint.npz", damage)
    with pytest.raises(ValueError, match=r"checkpoint\.npz is damaged.*copy it again"):
        main([str(state)])


def test_arrays_that_are_no_state(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.savez(tmp_path / "old.npz", progress=np.array(json.dumps({"epoch": 3})))
    for name in ("other.npz", "old.npz"):
        with pytest.raises(ValueError, match=f"{name} is damaged, or not the state of a run"):
            main([str(tmp_path / name)])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ([], ValueError, "name weight files"),
        (["nowhere.h5"], FileNotFoundError, r"nowhere\.h5 does not exist"),
        (["."], FileNotFoundError, "is it a run directory"),
        (["weights.txt"], ValueError, "neither a Keras weight file"),
        (["weights.txt", "--into", "squeezedat"], ValueError, "neither a run directory nor"),
        (
            ["weights.h5", "--into", "classifier", "--alpha", "nan"],
            ValueError,
            "alpha is nan; it must",
        ),
        (["weights.txt", "--into", "."], ValueError, r"neither a run directory nor .classifier."),
    ],
)
def test_mistakes(tmp_path, monkeypatch, arguments, error, message):
    monkeypatch.chdir(tmp_path)
    for name in ("weights.txt", "weights.h5"):
        Path(name).write_text("1 2 3")
    with pytest.raises(error, match=message):
        main(arguments)
