"""The detector that comes with the project."""

from pathlib import Path

import cv2
import numpy as np
import pytest

import mobilenetdet as md
from mobilenetdet.cli.predict import main
from mobilenetdet.config.presets import make_preset
from mobilenetdet.kitti.frames_seen import read_frames_seen, seen_by_shipped_weights
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.runs import hash_weights, open_run, shipped_weights


@pytest.mark.parametrize("name", shipped_weights())
def test_it_is_small_and_says_what_it_is(name):
    run = open_run(name)
    folder = run.path
    assert sum(file.stat().st_size for file in folder.iterdir()) < 14e6
    card = (folder / "README.md").read_text()
    assert "non-commercial" in card and "R40 moderate" in card and "split val" in card
    config = run.read_config()
    assert config.model.levels == make_preset(name).model.levels
    assert config.model.alpha == make_preset(name).model.alpha
    assert len(config.postprocess.calibration) == config.num_classes


def test_it_knows_the_frames_that_it_was_trained_on(shared_dir: Path):
    seen = read_frames_seen(open_run("ssd_fpn").frames_seen_file)
    assert seen is not None and seen.complete and seen.num_frames == 4892
    layout = KittiLayout(shared_dir / "kitti")
    (line,) = seen_by_shipped_weights(layout, "train", layout.read_image_set("train"))
    start = "525 of 525 train frames were trained on: 000000, 000003, 000007; by the weights "
    assert line.startswith(f"{start}that ship, {', '.join(shipped_weights())}, ")
    assert seen_by_shipped_weights(layout, "val", layout.read_image_set("val")) == []


@pytest.mark.parametrize("name", shipped_weights())
def test_its_int8_file_goes_by_its_name(name, monkeypatch, tmp_path):
    pytest.importorskip("ai_edge_litert", reason="the extra [litert] is not installed")
    monkeypatch.chdir(tmp_path)
    model = md.load(f"{name}/detector_int8.tflite")
    assert model.weights_hash == hash_weights(open_run(name).find_weights())
    assert model.image_size == open_run(name).read_config().image_size
    assert model.runtime.info.precision == "int8" and model.engine.startswith("LiteRT")
    assert len(model.detect(np.full((375, 1242, 3), 127, np.uint8)).above(0.5)) == 0
    # A file of the user's comes first.
    (tmp_path / name).mkdir()
    (tmp_path / name / "detector_int8.tflite").write_bytes(b"mine")
    with pytest.raises(ValueError, match="damaged"):
        md.load(f"{name}/detector_int8.tflite")


@pytest.mark.slow
def test_a_photo_is_all_that_predict_needs(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it is found from anywhere
    cv2.imwrite("photo.png", np.full((375, 1242, 3), 127, np.uint8))
    assert main(["photo.png"]) == 0
    assert (tmp_path / "predictions/overlays/photo.jpg").is_file()


def test_it_tells_cars_from_people_on_real_frames(tmp_path: Path, shared_dir: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = shared_dir / "kitti/training"
    labels = (frame / "label_2").glob("*.txt") if (frame / "label_2").is_dir() else []
    chosen = [path for path in sorted(labels)[:200] if path.read_text().count("Car 0.00 0") >= 3]
    pictures = [next((frame / "image_2").glob(f"{path.stem}.*")) for path in chosen[:3]]
    assert len(pictures) == 3
    assert main([*map(str, pictures), "--format", "json"]) == 0
    text = (tmp_path / "predictions/detections.json").read_text()
    assert text.count('"Car"') >= 6
