"""Pictures of what training sees."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobilenetdet.analysis import dataset_overlays
from mobilenetdet.analysis.dataset_overlays import (
    write_batch_overlays,
    write_label_overlays,
    write_match_overlays,
)
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.drawing import draw_labels
from mobilenetdet.files.output_folder import OutputFolder


def test_labels_and_batches(small_config: DetectionConfig, tmp_path: Path):
    write_label_overlays(
        small_config, "train", OutputFolder(tmp_path / "labels"), frame_ids=["000003"]
    )
    assert (tmp_path / "labels/000003.jpg").is_file()  # the frame without objects
    write_batch_overlays(small_config, OutputFolder(tmp_path / "batches"))
    assert sorted(p.name for p in (tmp_path / "batches").glob("*.jpg")) == [
        "batch_000.jpg",
        "batch_001.jpg",
        "montage.jpg",
    ]


def test_objects_of_batches_are_named_without_a_score(
    small_config: DetectionConfig, tmp_path: Path, monkeypatch
):
    drawn = []

    def draw(image, objects, **more):
        drawn.append(objects)
        return draw_labels(image, objects, **more)

    monkeypatch.setattr(dataset_overlays, "draw_labels", draw)
    write_batch_overlays(small_config, OutputFolder(tmp_path))
    assert sum(map(len, drawn)) > 0
    assert all(objects.scores is None for objects in drawn)


def test_a_frame_that_fills_up_a_batch_is_not_drawn_again(
    small_config: DetectionConfig, tmp_path: Path
):
    # Three shares of 8 frames: one of them has a frame less than the others.
    train = replace(small_config.train, record_shares=3, batch_size=3)
    config = replace(small_config, train=train, eval=replace(small_config.eval, num_overlays=99))
    for write, name in ((write_batch_overlays, "batches"), (write_match_overlays, "matches")):
        write(config, OutputFolder(tmp_path / name))
        assert len(list((tmp_path / name).glob("batch_*.jpg"))) == 8


def test_labels_of_an_unknown_frame_are_refused(small_config: DetectionConfig, tmp_path: Path):
    with pytest.raises(ValueError, match="split: frames 000003, 999999"):
        write_label_overlays(
            small_config, "val", OutputFolder(tmp_path), frame_ids=["000008", "999999", "000003"]
        )
    assert not list(tmp_path.iterdir())


def test_frames_are_drawn_at_the_size_of_training(small_config: DetectionConfig, tmp_path: Path):
    config = replace(small_config, train=replace(small_config.train, image_scale=0.5))
    for write, folder in ((write_batch_overlays, "batches"), (write_match_overlays, "matches")):
        write(config, OutputFolder(tmp_path / folder))
        assert cv2.imread(str(tmp_path / folder / "batch_000.jpg")).shape[1] == 96


def test_matches_show_the_anchors_of_the_objects(small_config: DetectionConfig, tmp_path: Path):
    drawn = {}
    for stride in (8, 16):
        (level,) = small_config.model.levels
        model = replace(small_config.model, levels=(replace(level, stride=stride),))
        folder = OutputFolder(tmp_path / str(stride))
        write_match_overlays(replace(small_config, model=model), folder)
        drawn[stride] = cv2.imread(str(tmp_path / str(stride) / "batch_000.jpg")).astype(int)
    # The same frame, and other anchors on it.
    difference = np.abs(drawn[8] - drawn[16]).max(axis=2)
    assert 0 < (difference > 60).mean() < 0.3
