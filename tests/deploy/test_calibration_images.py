"""Pictures for int8 come from a folder or from the records, and their absence is told."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobilenetdet.deploy.calibration_images import CalibrationImages


def test_frames_of_the_training_split_are_spread(small_config):
    images = CalibrationImages.find(small_config, None, 3)
    assert len(images) == 3
    for _ in range(2):  # as often as they are asked for
        found = list(images)
        assert [each.shape for each in found] == [(1, 64, 192, 3)] * 3
        assert all(each.dtype == np.uint8 for each in found)
    assert len(CalibrationImages.find(small_config, None)) == 8


def test_pictures_of_a_folder_are_letterboxed(small_config, tmp_path: Path):
    for index in range(4):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((50, 60, 3), index, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    images = CalibrationImages.find(small_config, tmp_path, 2)
    values = [int(each[0, 32, 96, 0]) for each in images]
    assert values == [0, 3]


def test_neither_is_an_error_that_names_both(small_config, tmp_path: Path):
    config = replace(small_config, data=replace(small_config.data, records_dir=str(tmp_path)))
    with pytest.raises(FileNotFoundError, match="--records_dir.*--calibration_images"):
        CalibrationImages.find(config, None)
    with pytest.raises(FileNotFoundError, match="no image or video in the folder"):
        CalibrationImages.find(config, tmp_path)
