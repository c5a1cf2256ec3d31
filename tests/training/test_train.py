import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.storage import read_config
from mobilenetdet.evaluation.evaluate import evaluate_split
from mobilenetdet.inference.loaded_detector import load_detector
from mobilenetdet.kitti.labels import read_objects
from mobilenetdet.runs import RunDir, open_run
from mobilenetdet.training.callbacks import StopOnNaN
from mobilenetdet.training.train import train


@pytest.fixture(scope="module")
def trained(small_kitti: Path, straight_and_resumed: Callable) -> dict:
    """Two runs of two epochs with the same config: one straight, one interrupted and resumed."""
    return straight_and_resumed(train, _config(small_kitti))


def _config(small_kitti: Path) -> DetectionConfig:
    from mobilenetdet.config.detection import (
        AugmentConfig,
        DataConfig,
        EvalConfig,
        LevelConfig,
        ModelConfig,
        SqueezeDetHeadConfig,
        TrainConfig,
    )

    return DetectionConfig(
        data=DataConfig(
            records_dir=str(small_kitti / "tfrecord"), image_height=64, image_width=192
        ),
        augment=AugmentConfig(crop=0.5),
        model=ModelConfig(
            alpha=0.25,
            weights="none",
            levels=(LevelConfig(8, ((44.0, 30.0), (14.0, 34.0))),),
        ),
        head=SqueezeDetHeadConfig(blocks=1, channels=16, dropout=0.2),
        train=TrainConfig(epochs=2, batch_size=4, warmup_epochs=0.5, eval_every=1),
        eval=EvalConfig(num_overlays=2),
    )


def test_run_directory_is_complete(trained: dict):
    run_dir = trained["straight"]
    names = {path.name for path in run_dir.iterdir()}
    assert {
        "config.json",
        "metrics.csv",
        "tensorboard",
        "best.weights.h5",
        "last.weights.h5",
        "eval",
    } <= names
    assert not [name for name in names if "tmp" in name]
    assert read_config(run_dir / "config.json") == trained["config"]
    assert sorted(p.name for p in (run_dir / "eval/detections").iterdir()) == [
        f"{index:06d}.txt" for index in range(8, 12)
    ]
    metrics = json.loads((run_dir / "eval/metrics.json").read_text())
    assert (metrics["frames"], metrics["split"]) == (4, "val")
    for name in ("best.weights.h5", "last.weights.h5"):
        with h5py.File(run_dir / name) as file:
            assert "optimizer" not in file and len(file)


def test_metrics_have_losses_rate_and_ap(trained: dict):
    with (trained["straight"] / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for name in ("loss", "box_loss", "class_loss", "learning_rate", "val/Car/moderate/R40"):
        assert np.isfinite(float(rows[1][name]))


def test_the_run_is_used_with_calibrated_scores(trained: dict):
    run_dir, config = trained["straight"], open_run(trained["straight"]).read_config()
    lines = config.postprocess.calibration
    assert len(lines) == 3 and all(slope > 0 for slope, _ in lines)
    as_trained = replace(trained["config"], data=config.data)
    assert replace(config, postprocess=as_trained.postprocess) == as_trained
    again = evaluate_split(load_detector(run_dir), split="val")
    for frame_id, objects in trained["result"].detections.items():
        np.testing.assert_allclose(again.detections[frame_id].scores, objects.scores, atol=2e-3)
        stored = read_objects(run_dir / f"eval/detections/{frame_id}.txt", with_scores=True)
        np.testing.assert_allclose(stored.scores, objects.scores, atol=1e-3)


def test_scores_of_a_calibrated_config_are_calibrated_afresh(trained: dict, tmp_path):
    """Such as that of packed weights, which holds the calibration of these."""
    run = RunDir(shutil.copytree(trained["straight"], tmp_path / "run"))
    before = run.calibration_file.read_text()
    config = trained["config"]
    calibrated = replace(config.postprocess, calibration=((3.0, 1.0),) * 3)
    train(replace(config, postprocess=calibrated), run.path, verbose=0)  # only evaluates
    assert run.calibration_file.read_text() == before


def test_interrupted_run_ends_like_a_straight_one(trained: dict):
    assert trained["rows_before"].count("\n") == 2  # heading and the complete epoch
    straight, resumed = (
        np.load(trained[name] / "checkpoint.npz") for name in ("straight", "resumed")
    )
    assert set(straight.files) == set(resumed.files)
    for name in straight.files:
        if name.startswith(("model", "ema", "optimizer")):
            np.testing.assert_allclose(straight[name], resumed[name], rtol=2e-3, atol=2e-4)


def test_finished_run_only_evaluates(trained: dict):
    before = (trained["straight"] / "checkpoint.npz").stat().st_mtime_ns
    again = train(trained["config"], trained["straight"], verbose=0)
    assert again.ap == trained["result"].ap
    assert (trained["straight"] / "checkpoint.npz").stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_run_on_smaller_images_is_measured_at_the_full_size(small_kitti: Path, tmp_path: Path):
    config = _config(small_kitti)
    config = replace(
        config,
        data=replace(config.data, image_height=128, image_width=384),
        train=replace(config.train, epochs=1, image_scale=0.5, tensorboard_images=0),
        postprocess=replace(config.postprocess, score_threshold=0.0),
        eval=replace(config.eval, num_overlays=0),
    )
    result = train(config, tmp_path / "run", verbose=0)
    model = load_detector(tmp_path / "run")
    assert model.image_size == (128, 384)
    again = evaluate_split(model, split="val").detections
    assert sum(map(len, again.values())) > 0
    for frame_id, objects in result.detections.items():
        np.testing.assert_allclose(again[frame_id].boxes_xyxy, objects.boxes_xyxy, atol=0.1)


def test_files_of_others_in_the_run_stay(trained: dict):
    run_dir = trained["straight"]
    notes = [run_dir / "notes.txt", run_dir / "eval/notes.txt", run_dir / "overlays/mine.jpg"]
    for path in notes:
        path.write_text("of a user")
    train(trained["config"], run_dir, verbose=0)
    for path in notes:
        assert path.read_text() == "of a user"
        path.unlink()


def test_nan_stops_the_run():
    with pytest.raises(ValueError, match="loss at step 3.*NaN or infinite.*learning_rate"):
        StopOnNaN().on_train_batch_end(2, {"loss": float("nan")})
