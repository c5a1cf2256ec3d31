"""The Python API: what it imports when, and that each part does what its name says."""

import contextlib
import importlib.util
import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import mobilenetdet as md
from mobilenetdet import front_door
from mobilenetdet.detections import Detections

HEAVY = ("tensorflow", "keras", "jax", "cv2", "pydantic", "matplotlib", "albumentations")
# Run in a process of its own, since this one has imported everything.
IMPORT = """
import sys
import mobilenetdet as md
md.Detections, md.AveragePrecision, md.kitti_ap
print(*(set(sys.modules) & set({heavy})))
"""
BARE_IMPORT = """
import sys, time
start = time.perf_counter()
import mobilenetdet
print(time.perf_counter() - start, *(set(sys.modules) & set({heavy})))
"""


def run(code: str) -> list[str]:
    command = [sys.executable, "-c", code.replace("{heavy}", repr(HEAVY))]
    root = Path(md.__file__).parents[1]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)
    return done.stdout.split()


def test_importing_takes_no_time_and_no_tensorflow():
    seconds = []
    for _ in range(3):
        elapsed, *loaded = run(BARE_IMPORT)
        assert not loaded
        seconds.append(float(elapsed))
    assert min(seconds) < 0.3


def test_types_and_kitti_ap_need_no_tensorflow():
    assert not {"tensorflow", "keras", "jax", "cv2"} & set(run(IMPORT))


def test_every_public_name_is_there_and_no_other():
    for name in md.__all__:
        assert getattr(md, name) is not None and name in dir(md)
        # A module of that name would take its place as soon as anything imports it.
        assert importlib.util.find_spec(f"mobilenetdet.{name}") is None
    assert not hasattr(md, "loda")
    with pytest.raises(AttributeError, match="has no attribute 'loda'"):
        md.loda()


@pytest.fixture(scope="module")
def trained(small_config, tmp_path_factory) -> md.TrainedRun:
    folder = tmp_path_factory.mktemp("front_door") / "mine"
    overrides = {"train.epochs": 1, "train.eval_every": 0, "postprocess.score_threshold": 0.0}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        run = md.train(small_config, run_dir=folder, overrides=overrides, verbose=0)
    assert not printed.getvalue()  # verbose=0 is silent
    return run


def test_a_run_is_trained_loaded_measured_and_drawn(trained: md.TrainedRun, small_kitti: Path):
    assert (trained.dir / "best.weights.h5").is_file()
    model = trained.load()
    assert md.load(trained.dir).source == model.source == str(trained.dir)
    assert model.config.train.epochs == 1 and len(model.calibration) == 3
    ap = md.evaluate(model, small_kitti / "tfrecord", split="val")
    assert ap.num_frames == 4 and tuple(ap) == model.classes
    assert ap["Car"].moderate.r40 == pytest.approx(trained.ap["Car"].moderate.r40, abs=0.5)
    photo = small_kitti / "training/image_2/000009.png"
    found = model.detect(photo)
    assert isinstance(found, md.Detections) and len(found) > 0
    assert found.boxes_xyxy.min() >= 0 and found.boxes_xyxy[:, 2].max() <= 192


def test_frames_that_were_trained_on_are_warned_of(trained: md.TrainedRun, small_kitti: Path):
    with pytest.warns(UserWarning, match="8 of 8 train frames were trained on: 000000, 000001"):
        md.evaluate(trained.load(), small_kitti / "tfrecord", split="train")


def test_warnings_are_errors_on_request(trained, small_kitti, small_config, tmp_path):
    with pytest.raises(ValueError, match="8 of 8 train frames were trained on"):
        md.evaluate(trained.load(), small_kitti / "tfrecord", split="train", strict=True)
    many = {"train.batch_size": 9}
    with pytest.raises(ValueError, match="batch_size is 9, and the split train has 8 frames"):
        md.train(small_config, run_dir=tmp_path / "run", overrides=many, strict=True)
    assert not (tmp_path / "run").exists()


def test_settings_change_on_loading(trained: md.TrainedRun):
    model = md.load(trained.dir, overrides={"postprocess.max_detections": 3})
    assert len(model.detect(np.full((64, 192, 3), 100, np.uint8))) <= 3
    last = md.load(trained.dir, weights=trained.dir / "last.weights.h5")
    assert last.classes == model.classes


def test_the_weights_that_ship_have_a_name():
    assert md.load().source == "ssd_fpn"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("squeezedet", "no weights ship for the preset squeezedet.*ssd_fpn.*mobilenetdet train"),
        ("runs/none", "runs/none is no run directory"),
    ],
)
def test_what_has_no_weights_says_what_has(source: str, words: str):
    with pytest.raises(FileNotFoundError, match=words):
        md.load(source)


def test_training_begins_with_a_preset_and_says_what_is_wrong(small_kitti: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="did you mean squeezedet"):
        md.train("squezedet")
    with pytest.raises(ValueError, match=r"did you mean train\.epochs"):
        md.train("ssd_fpn", run_dir=tmp_path, overrides={"train.epoch": 5})
    assert not list(tmp_path.iterdir())


def test_a_whole_config_needs_a_place(small_config):
    with pytest.raises(ValueError, match="needs run_dir"):
        md.train(small_config)


def test_a_preset_has_a_place_of_its_own(monkeypatch, tmp_path: Path):
    from mobilenetdet.training import train as training

    asked = {}

    def note(config, run_dir, *, verbose, strict):
        asked.update(config=config, run_dir=run_dir)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", note)
    with pytest.raises(KeyboardInterrupt):
        md.train("quickstart", overrides={"data.records_dir": str(tmp_path)})
    assert asked["run_dir"] == Path("runs/quickstart")
    assert asked["config"].data.records_dir == str(tmp_path)


def test_drawing_leaves_out_the_unsure(tmp_path: Path):
    image = np.zeros((375, 1242, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "photo.png"), image)
    sure = Detections([[100, 50, 300, 150]], [0.9], [0], ("Car",))
    unsure = replace(sure, scores=np.array([0.3]))
    drawn = md.draw(image, sure, title="one")
    assert drawn.dtype == np.uint8 and drawn.shape[0] > 375 and drawn[:375].any()
    np.testing.assert_array_equal(md.draw(tmp_path / "photo.png", sure, title="one"), drawn)
    assert not md.draw(image, unsure)[:375].any()
    assert md.draw(image, unsure, min_score=0.1)[:375].any()
    assert not image.any()
    with pytest.raises(ValueError, match="RGB uint8"):
        md.draw(image[..., 0], sure)


PHOTO = np.zeros((8, 8, 3), np.uint8)
NOTHING = Detections(np.empty((0, 4)), [], [], ("Car",))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: md.load(3), "source is 3; it must be one path"),
        (lambda: md.load(weights=["a.h5"]), r"weights is \['a.h5'\]; it must be one path"),
        (lambda: md.load(engine=3), "unknown engine 3; there are"),
        (lambda: md.load(overrides={3: 4}), r"overrides is \{3: 4\}; it must map settings to"),
        (lambda: md.load(overrides="abc"), "overrides is 'abc'; it must map settings to values"),
        (lambda: md.load(overrides=[1]), r"overrides is \[1\]; it must map settings to values"),
        (lambda: md.train("ssd_fpn", overrides=[1]), r"overrides is \[1\]; it must map settings"),
        (lambda: md.train(None), "config is None; it must be the name of a preset or a whole"),
        (lambda: md.train(3), "config is 3; it must be the name of a preset or a whole config"),
        (lambda: md.train("ssd_fpn", run_dir=3), "run_dir is 3; it must be one path"),
        (lambda: md.draw(["photo.jpg"], [NOTHING]), "found is list; it must be the Detections of"),
        (lambda: md.draw(["photo.jpg"], NOTHING), "a photo is list; it must be a path or RGB"),
        (lambda: md.draw(PHOTO, None), "found is NoneType; it must be the Detections of"),
        (lambda: md.evaluate("ssd_fpn"), "model is 'ssd_fpn'; it must be a detector that load"),
    ],
)
def test_arguments_of_another_type_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_what_is_no_photo_is_said_to_be_none(red_finder):
    for photos, words in ((3, "a photo is int"), ([3], "a photo is int"), (None, "NoneType")):
        with pytest.raises(ValueError, match=words):
            red_finder().detect(photos)


def test_the_front_door_is_documented_where_it_is_defined():
    page = (Path(md.__file__).parents[1] / "docs/python.md").read_text()
    for name in ("load", "draw", "evaluate", "train", "kitti_ap"):
        assert f"md.{name}(" in page
    assert front_door.__doc__.count("docs/python.md") == 1
