"""The command export, and what predict and eval make of its files."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobilenetdet.cli import eval as evaluate
from mobilenetdet.cli import export, predict, visualize
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.storage import to_json
from mobilenetdet.models.detector import build_detector


@pytest.fixture(scope="module")
def exported(small_config: DetectionConfig, tmp_path_factory) -> Path:
    """A run as training leaves it, and its network as a frozen graph."""
    folder = tmp_path_factory.mktemp("run")
    build_detector(small_config)[0].save_weights(folder / "best.weights.h5")
    (folder / "config.json").write_text(to_json(small_config))
    options = ["--format", "frozen_graph", "--parts", "network", "--output_dir", str(folder / "x")]
    assert export.main(["--run_dir", str(folder), *options]) == 0
    return folder / "x/network_float32.pb"


def test_what_is_written_is_said(exported: Path, capsys, tmp_path: Path):
    options = ["--format", "saved_model", "frozen_graph", "--precision", "float32"]
    run = ["--run_dir", str(exported.parents[1]), "--output_dir", str(tmp_path)]
    assert export.main([*run, *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = ["detector_float32.savedmodel", "detector_float32.pb", "detector.json"]
    assert lines[:2] == [f"writing {name}" for name in names[:2]]
    assert [line.partition(": ")[0] for line in lines[2:]] == [
        str(tmp_path / name) for name in names
    ]
    assert all(line.endswith(" MB") for line in lines[2:])


def test_predict_takes_a_file_and_says_what_runs_it(exported: Path, tmp_path: Path, capsys):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((64, 192, 3), 120, np.uint8))
    out = tmp_path / "out"
    options = ["--model", str(exported), "--output_dir", str(out), "--format", "json"]
    assert predict.main([str(tmp_path / "a.png"), *options]) == 0
    assert f"by {exported} at 64x192, TensorFlow " in capsys.readouterr().out
    assert len(json.loads((out / "detections.json").read_text())) == 1
    with pytest.raises(ValueError, match="--model .* and --run_dir mine are two detectors"):
        predict.main([str(tmp_path / "a.png"), *options, "--run_dir", "mine"])
    with pytest.raises(ValueError, match="network_float32.pb is no file for the engine onnx"):
        predict.main([str(tmp_path / "a.png"), *options, "--engine", "onnx"])


def test_eval_measures_a_file_and_writes_beside_it(exported: Path, small_config, capsys):
    options = ["--model", str(exported), "--eval.num_overlays", "0"]
    with pytest.raises(FileNotFoundError, match=r"does not say where the records of val .*_dir"):
        evaluate.main(options)
    assert evaluate.main([*options, "--data.records_dir", small_config.data.records_dir]) == 0
    place = exported.parent / "network_float32_pb/eval"
    assert json.loads((place / "metrics.json").read_text())["split"] == "val"
    assert str(place) in capsys.readouterr().out


def test_visualize_draws_by_a_file_and_writes_beside_it(exported: Path, small_config, capsys):
    options = ["--model", str(exported), "--eval.num_overlays", "2"]
    options += ["--data.records_dir", small_config.data.records_dir]
    for _ in range(2):  # its own pictures are replaced
        assert visualize.main(options) == 0
    place = exported.parent / "network_float32_pb/overlays/montage.jpg"
    assert str(place) in capsys.readouterr().out and place.is_file()
    place.write_text("of a user")
    with pytest.raises(FileExistsError, match=r"montage.jpg is there.*--overwrite"):
        visualize.main(options)
    with pytest.raises(ValueError, match="--model has no effect on --what labels"):
        visualize.main([*options, "--what", "labels"])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (["--image_size", "160"], ValueError, "--image_size is '160'; give height and width as"),
        (["--image_size", "160x417"], ValueError, "data.image_width is 417.*multiple of 32"),
        (["--format", "saved_model", "--precision", "int8"], ValueError, "has no int8"),
    ],
)
def test_what_cannot_be_is_said(exported: Path, tmp_path: Path, options, error, words):
    run = ["--run_dir", str(exported.parents[1]), "--output_dir", str(tmp_path / "out")]
    with pytest.raises(error, match=words):
        export.main([*run, "--format", "frozen_graph", *options])
    assert not (tmp_path / "out").exists()


def test_an_unknown_format_is_refused(exported: Path, capsys):
    with pytest.raises(SystemExit):
        export.main(["--run_dir", str(exported.parents[1]), "--format", "tflite"])
    assert "tflite" in capsys.readouterr().err


def test_built_in_settings_do_not_change(exported: Path, tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((64, 192, 3), 120, np.uint8))
    options = ["--model", str(exported), "--output_dir", str(tmp_path / "out")]
    with pytest.raises(ValueError, match="data.image_height is built into"):
        predict.main([str(tmp_path / "a.png"), *options, "--data.image_height", "96"])
