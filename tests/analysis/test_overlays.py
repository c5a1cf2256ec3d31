from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobilenetdet.analysis.overlays import (
    draw_frames,
    measure_scores,
    read_images,
    tensorboard_overlays,
    write_overlays,
    write_pictures,
)
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.storage import to_json
from mobilenetdet.detections import Detections
from mobilenetdet.evaluation.evaluate import Evaluation, spread_places
from mobilenetdet.evaluation.evaluation_files import write_evaluation
from mobilenetdet.files.output_folder import MANIFEST_FILE, OutputFolder
from mobilenetdet.kitti.ap_result import AveragePrecision
from mobilenetdet.kitti.frames_seen import SeenInSplit
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.shards import shard_paths
from mobilenetdet.runs import RunDir


@pytest.fixture()
def evaluation(small_config: DetectionConfig) -> Evaluation:
    """Perfect detections of the validation frames."""
    frames = list(read_frames(shard_paths(small_config.data.records_dir, "val")))
    found = {}
    for frame in frames:
        real = frame.objects[frame.objects.types != "DontCare"]
        ids = [small_config.data.classes.index(name) for name in real.types]
        scores = np.full(len(real), 0.8)
        found[frame.frame_id] = Detections(
            real.boxes_xyxy, scores, np.array(ids, int), small_config.data.classes
        )
    return Evaluation(
        small_config,
        "val",
        AveragePrecision({}, "current", len(frames)),
        {frame.frame_id: frame.objects for frame in frames},
        found,
        {frame.frame_id: frame.encoded for frame in frames},
        SeenInSplit("val", len(frames), (), complete=True),
    )


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, []), (1, [0]), (2, [0, 2]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3])],
)
def test_spread_places(count: int, expected: list[int]):
    assert spread_places(4, count) == expected


def test_overlays_and_montage(evaluation, tmp_path: Path):
    folder = tmp_path / "overlays"
    folder.mkdir()
    (folder / "mine.jpg").write_text("of a user")
    write_overlays(evaluation, OutputFolder(folder), count=1)
    path = write_overlays(evaluation, OutputFolder(folder), count=2)
    (folder / MANIFEST_FILE).unlink()
    names = sorted(p.name for p in folder.iterdir())
    assert names == ["000008.jpg", "000010.jpg", "mine.jpg", "montage.jpg"]
    assert [p.name for p in tmp_path.iterdir()] == ["overlays"]
    assert cv2.imread(str(path)).shape[1] > 1000
    overlay = cv2.imread(str(folder / "000008.jpg"))
    assert overlay.shape[1] == 192 and overlay.shape[0] > 64


def test_pictures_of_an_older_evaluation_go(evaluation, tmp_path: Path):
    write_overlays(evaluation, OutputFolder(tmp_path))
    write_overlays(evaluation, OutputFolder(tmp_path), count=1)
    assert sorted(p.name for p in tmp_path.glob("*.jpg")) == ["000008.jpg", "montage.jpg"]


def test_images_are_read_by_id(small_config: DetectionConfig):
    records = small_config.data.records_dir
    read = list(read_images(records, "val", ["000010", "000009"]))
    assert [frame_id for frame_id, _ in read] == ["000009", "000010"]
    assert read[0][1].shape == (64, 192, 3)


def test_an_evaluation_without_images_is_refused(evaluation, tmp_path: Path):
    bare = replace(evaluation, images={})
    with pytest.raises(ValueError, match="kept no image"):
        write_overlays(bare, OutputFolder(tmp_path))


def test_tensorboard_pictures_have_one_size(evaluation):
    pictures = tensorboard_overlays(evaluation)
    assert pictures.shape == (4, 64, 192, 3)
    assert pictures.dtype == np.uint8


@pytest.mark.parametrize("frame_id", ["../../escaped", "/tmp/escaped", ".hidden", "a/b"])
def test_ids_that_would_be_paths_are_refused(evaluation, tmp_path: Path, frame_id: str):
    (first, labels), *_ = evaluation.labels.items()
    hostile = replace(
        evaluation,
        labels={frame_id: labels},
        detections={frame_id: evaluation.detections[first]},
        images={frame_id: evaluation.images[first]},
    )
    folder = tmp_path / "deep/out"
    for write in (write_overlays, write_evaluation):
        with pytest.raises(ValueError, match="is no (frame id|name)"):
            write(hostile, OutputFolder(folder))
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".jpg", ".txt")]


def test_pictures_of_one_name_get_counters(tmp_path: Path):
    pictures = [(name, np.zeros((8, 8, 3), np.uint8)) for name in ("a", "A", "montage", "a")]
    write_pictures(iter(pictures), OutputFolder(tmp_path))
    names = sorted(path.name for path in tmp_path.glob("*.jpg"))
    assert names == ["A_2.jpg", "a.jpg", "a_3.jpg", "montage.jpg", "montage_2.jpg"]


def test_overlays_are_drawn_from_the_best_f1_on(evaluation, tmp_path: Path):
    unsure = {
        name: replace(found, scores=found.scores / 4)
        for name, found in evaluation.detections.items()
    }
    unsure = replace(evaluation, detections=unsure)
    (tmp_path / "config.json").write_text(to_json(unsure.config))
    measured = measure_scores(unsure, RunDir(tmp_path))
    scores = measured.config.drawing_scores()
    assert (scores["Car"], scores["Cyclist"]) == (0.2, 0.5)  # no frame of val has a Cyclist
    assert RunDir(tmp_path).read_config().drawing_scores() == scores
    drawn = [{name: picture for name, picture in draw_frames(e)} for e in (unsure, measured)]
    assert any((drawn[0][name] != drawn[1][name]).any() for name in drawn[0])
