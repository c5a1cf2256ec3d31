"""What is packed is a run that detects the same."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from mobilenetdet.cli.pack_run import main
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.storage import to_json, with_changes
from mobilenetdet.deploy.pack import halve_weights, pack_run
from mobilenetdet.evaluation.metrics_file import describe_measured
from mobilenetdet.inference.loaded_detector import load_detector
from mobilenetdet.kitti.average_precision import evaluate_detections
from mobilenetdet.kitti.frames_seen import FramesSeen, write_frames_seen
from mobilenetdet.kitti.labels import parse_objects
from mobilenetdet.models.detector import build_detector
from mobilenetdet.runs import RunDir, hash_weights, open_run

CAR = "Car 0.00 0 -1.50 100.00 150.00 200.00 200.00 1.50 1.60 3.90 1.00 1.50 20.00 -1.50"


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, small_config: DetectionConfig) -> Path:
    """A run as training leaves it, without the training."""
    folder = tmp_path_factory.mktemp("run")
    detector, _ = build_detector(small_config)
    detector.compile("adam")  # as in a run, whose weight files hold the optimizer's state
    detector.optimizer.build(detector.trainable_variables)
    detector.save_weights(folder / "best.weights.h5")
    (folder / "config.json").write_text(to_json(small_config))
    (folder / "eval").mkdir()
    labels, found = parse_objects(CAR, "a"), parse_objects(f"{CAR} 0.9", "b")
    metrics = {
        "split": "val",
        "measured": describe_measured(small_config, hash_weights(folder / "best.weights.h5")),
        **evaluate_detections([labels], [found]).to_dict(),
    }
    (folder / "eval/metrics.json").write_text(json.dumps(metrics))
    return folder


@pytest.fixture
def packed(run_dir: Path, tmp_path: Path) -> Path:
    pack_run(RunDir(run_dir), tmp_path / "packed", data="twelve frames", licence="none at all")
    return tmp_path / "packed"


def test_the_packed_weights_are_those_of_the_run(run_dir: Path, packed: Path):
    first, second = (
        load_detector(folder).runtime.detector.get_weights() for folder in (run_dir, packed)
    )
    for values, halved in zip(first, second, strict=True):
        assert halved.dtype == np.float32
        # Numbers under 6e-5 are not normal in float16 and lose bits.
        np.testing.assert_allclose(halved, values, rtol=2**-11, atol=6e-8)


def test_kernels_are_half_as_large_and_vectors_as_they_were(run_dir: Path, packed: Path):
    sizes = [(folder / "best.weights.h5").stat().st_size for folder in (run_dir, packed)]
    assert sizes[1] < 0.6 * sizes[0]
    arrays = []
    with h5py.File(packed / "best.weights.h5") as file:
        assert "optimizer" not in file
        file.visititems(lambda _, item: arrays.append(item[()]) if hasattr(item, "dtype") else None)
    assert {array.dtype.name for array in arrays if array.ndim >= 2} == {"float16"}
    assert {array.dtype.name for array in arrays if array.ndim == 1} == {"float32"}


def test_the_config_keeps_what_counts_and_no_path_of_the_machine(
    packed: Path, small_config: DetectionConfig
):
    config = open_run(packed).read_config()
    assert (config.model, config.postprocess) == (small_config.model, small_config.postprocess)
    assert config.data.records_dir == "data/KITTI/tfrecord"


def test_the_weights_that_training_began_from_are_named_without_their_folder(
    run_dir: Path, tmp_path: Path, small_config: DetectionConfig
):
    began = {
        "weights": "/home/me/imagenet.h5",
        "detector_weights": "/home/me/runs/a/last.weights.h5",
    }
    run = tmp_path / "run"
    shutil.copytree(run_dir, run)
    train = replace(small_config.train, teachers=("/home/me/runs/b", "ssd_fpn"))
    model = replace(small_config.model, **began)
    (run / "config.json").write_text(to_json(replace(small_config, model=model, train=train)))
    card = pack_run(RunDir(run), tmp_path / "packed", data="twelve frames", licence="none at all")
    model = open_run(tmp_path / "packed").read_config().model
    assert (model.weights, model.detector_weights) == ("imagenet.h5", "last.weights.h5")
    assert "begun with the weights of a whole detector, taught by b, ssd_fpn" in card.read_text()
    assert "/home/me" not in (tmp_path / "packed/config.json").read_text()


def test_the_card_says_data_licence_and_ap(packed: Path):
    card = (packed / "README.md").read_text()
    for words in (
        "twelve frames",
        "none at all",
        "split val",
        "protocol current",
        "alpha 0.25",
        "random weights",
    ):
        assert words in card


def test_the_frames_of_the_training_go_with_the_weights(run_dir: Path, packed: Path, tmp_path):
    assert not (packed / "frames_seen.json").exists()
    assert "trained on is not known" in (packed / "README.md").read_text()
    run = tmp_path / "run"
    shutil.copytree(run_dir, run)
    seen = FramesSeen(frozenset({"a" * 12, "b" * 12}))
    write_frames_seen(run / "frames_seen.json", seen)
    card = pack_run(RunDir(run), tmp_path / "more", data="twelve frames", licence="none at all")
    assert "Frames trained on: 2, by hash in `frames_seen.json`" in card.read_text()
    assert load_detector(tmp_path / "more").frames_seen == seen
    # What lies there of other weights does not stay.
    arguments = {"data": "", "licence": "", "overwrite": True}
    pack_run(RunDir(run_dir), tmp_path / "more", **arguments)
    assert load_detector(tmp_path / "more").frames_seen is None


def test_a_run_that_was_not_measured_is_refused(run_dir: Path, tmp_path: Path):
    (tmp_path / "config.json").write_text((run_dir / "config.json").read_text())
    with pytest.raises(FileNotFoundError, match=r"holds neither best.weights.h5 nor .*train it"):
        pack_run(RunDir(tmp_path), tmp_path / "packed", data="", licence="")
    (tmp_path / "best.weights.h5").write_bytes((run_dir / "best.weights.h5").read_bytes())
    with pytest.raises(FileNotFoundError, match=r"measure the run first: mobilenetdet eval"):
        pack_run(RunDir(tmp_path), tmp_path / "packed", data="", licence="")
    assert not (tmp_path / "packed").exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"postprocess.mirror": True}, "postprocess"),
        ({"data.image_height": 96}, "image_size"),
        (None, "weights"),
    ],
)
def test_an_ap_of_something_else_is_not_the_card_s(run_dir: Path, tmp_path: Path, change, named):
    run, weights = tmp_path / "run", run_dir / "best.weights.h5"
    shutil.copytree(run_dir, run)
    values = json.loads((run / "eval/metrics.json").read_text())
    config = with_changes(RunDir(run).read_config(), change or {})
    weights_hash = hash_weights(weights) if change else "0" * 16
    values["measured"] = describe_measured(config, weights_hash)
    (run / "eval/metrics.json").write_text(json.dumps(values))
    words = rf"other, or not said: {named}\).*mobilenetdet eval --run_dir {run}"
    with pytest.raises(ValueError, match=words):
        pack_run(RunDir(run), tmp_path / "packed", data="d", licence="l")
    del values["measured"]  # as earlier versions have written it
    (run / "eval/metrics.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match="not said: weights, image_size, postprocess"):
        pack_run(RunDir(run), tmp_path / "packed", data="d", licence="l")
    values["measured"] = describe_measured(RunDir(run).read_config(), hash_weights(weights))
    (run / "eval/metrics.json").write_text(json.dumps(values))
    assert pack_run(RunDir(run), tmp_path / "packed", data="d", licence="l").is_file()


def test_weights_that_float16_cannot_hold_are_named(tmp_path: Path):
    with h5py.File(tmp_path / "wild.h5", "w") as file:
        file["layers/conv/vars/0"] = np.full((2, 2), 1e6, np.float32)
    with pytest.raises(ValueError, match="layers/conv/vars/0 is too large for half precision"):
        halve_weights(tmp_path / "wild.h5")


def test_the_command_says_how_large_it_is(run_dir: Path, tmp_path: Path, capsys):
    options = ["--run_dir", str(run_dir), "--output_dir", str(tmp_path / "out")]
    assert main([*options, "--data", "twelve frames"]) == 0
    assert f"{tmp_path}/out/README.md: 0.2 MB" in capsys.readouterr().out


def test_the_run_is_looked_for_before_the_data_of_the_card(run_dir: Path, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="nope is no run directory"):
        main(["--run_dir", str(tmp_path / "nope")])
    with pytest.raises(ValueError, match="--data is missing: what the run was trained"):
        main(["--run_dir", str(run_dir)])


@pytest.mark.parametrize(
    ("data", "sentence"), [("40 frames", "40 frames. Which"), ("My own!", "My own! Which")]
)
def test_the_data_of_the_card_are_a_sentence(run_dir: Path, tmp_path: Path, data, sentence):
    card = pack_run(RunDir(run_dir), tmp_path / "packed", data=data, licence="l").read_text()
    assert f"- Data: {sentence} frames" in card


@pytest.mark.parametrize(
    ("options", "licence"),
    [
        (["--data", "twelve frames of KITTI"], "CC BY-NC-SA 3.0"),
        (["--data", "pictures of my garden"], "weights: not said (`pack_run --licence`)"),
        (["--data", "pictures of my garden", "--licence", "CC0"], "weights: CC0"),
    ],
)
def test_the_licence_is_kittis_for_kitti_alone(run_dir: Path, tmp_path: Path, options, licence):
    assert main(["--run_dir", str(run_dir), "--output_dir", str(tmp_path), *options]) == 0
    card = (tmp_path / "README.md").read_text()
    assert licence in card and ("kitti" in options[1].lower()) == ("CC BY-NC-SA" in card)


def test_the_output_follows_the_run_and_nothing_is_lost(run_dir: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(run_dir, run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    options = ["--run_dir", str(run), "--data", "twelve frames"]
    assert main(options) == 0
    assert {path.name for path in (run / "packed").iterdir()} == {
        "README.md",
        "best.weights.h5",
        "config.json",
    }
    with pytest.raises(FileExistsError, match=r"packed/best\.weights\.h5 is there.*--overwrite"):
        main(options)
    assert main([*options, "--overwrite"]) == 0
    for overwrite in ([], ["--overwrite"]):
        with pytest.raises(FileExistsError, match="is the run itself"):
            main([*options, "--output_dir", str(run), *overwrite])
    assert all(path.read_bytes() == content for path, content in before.items())


def test_what_was_measured_of_the_former_weights_goes_with_them(run_dir: Path, packed: Path):
    former = {"calibration.json": "[[9.0, 9.0], [9.0, 9.0], [9.0, 9.0]]"}
    former |= {"best_f1_scores.json": "{}", "eval/metrics.json": "{}", "eval/report.html": ""}
    former |= {"eval/analysis.json": "{}", "eval/detections/000001.txt": ""}
    own = {"eval/notes.txt": "mine", "overlays/mine.jpg": "mine"}
    for folder in ("eval/detections", "overlays"):
        (packed / folder).mkdir(parents=True)
    for name, text in (former | own).items():
        (packed / name).write_text(text)
    pack_run(RunDir(run_dir), packed, data="frames", licence="none", overwrite=True)
    assert not RunDir(packed).read_config().postprocess.calibration
    assert not any((packed / name).exists() for name in former)
    assert all((packed / name).read_text() == "mine" for name in own)
    (packed / "checkpoint.npz").touch()
    with pytest.raises(FileExistsError, match="packed holds a training"):
        pack_run(RunDir(run_dir), packed, data="frames", licence="none", overwrite=True)


def test_a_packing_that_was_killed_is_done_again(run_dir: Path, tmp_path: Path, monkeypatch):
    options = ["--run_dir", str(run_dir), "--data", "frames", "--output_dir", str(tmp_path / "out")]
    replace = os.replace

    def replace_one(source, target):
        replace(source, target)
        if Path(target).name == "best.weights.h5" and Path(target).parent.name == "out":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", replace_one)
        main(options)
    assert (tmp_path / "out/best.weights.h5").exists()
    assert main(options) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"README.md", "best.weights.h5", "config.json"}


def test_the_weights_that_ship_are_not_replaced(run_dir: Path):
    shipped = open_run("ssd_fpn")
    before = shipped.best_weights.read_bytes()
    options = ["--run_dir", str(run_dir), "--data", "twelve frames"]
    for output in (str(shipped.path), "ssd_fpn"):
        with pytest.raises(ValueError, match="names weights that ship"):
            main([*options, "--output_dir", output, "--overwrite"])
    assert shipped.best_weights.read_bytes() == before
