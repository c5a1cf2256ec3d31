"""What KITTI's server takes, and what it does not."""

import json

import numpy as np
import pytest

from mobilenetdet.detections import Detections
from mobilenetdet.evaluation.kitti_submission import (
    ResultFiles,
    check_classes,
    describe_archive,
    describe_detector,
)
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.kitti.layout import KittiLayout


@pytest.mark.parametrize(
    ("classes", "lines"),
    [
        (["Car", "Pedestrian", "Cyclist"], []),
        (["car", "PEDESTRIAN", "Cyclist"], []),
        (
            ["Car", "Cyclist", "Van"],
            [
                "the detector knows no Pedestrian, whose AP will be 0",
                "Van is left out: the server scores Car, Pedestrian, Cyclist alone",
            ],
        ),
    ],
)
def test_classes_that_differ_are_said(classes, lines):
    assert check_classes(classes) == lines


def test_a_detector_of_other_things_has_nothing_to_submit():
    with pytest.raises(ValueError, match=r"knows Tram, Van; .* scores Car, Pedestrian, Cyclist"):
        check_classes(["Tram", "Van"])


@pytest.fixture
def results(tmp_path):
    return ResultFiles(OutputFolder(tmp_path / "out"), {"weights": "1"})


def test_only_what_is_scored_is_written_rounded(results, tmp_path):
    boxes = np.array([[1.23456, 2, 30.5, 40], [5, 6, 7, 8]])
    results.add("000007", Detections(boxes, [0.123456789, 0.9], [0, 1], ("Car", "Van")))
    line = "Car -1 -1 -10 1.235 2.00 30.50 40.00 -1 -1 -1 -1000 -1000 -1000 -10 0.12345679\n"
    assert (tmp_path / "out/000007.txt").read_text() == line


def test_a_result_that_the_server_cannot_read_is_not_packed(results, tmp_path):
    (tmp_path / "out").mkdir()
    path = tmp_path / "out/000000.txt"
    line = "Car -1 -1 -10 1.23 2.00 30.50 40.00 -1 -1 -1 -1000 -1000 -1000 -10 0.5\n"
    for text, message in (
        (line[:30], "columns, expected 16"),
        (line.replace(" 0.5\n", " nan\n"), "score is 'nan'"),
        (line.replace("Car", "Tram"), "has a Tram, which the server does not score"),
        (line.replace("1.23", "99.0"), "right '30.50' < left '99.0'"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            results.archive(["000000"], tmp_path / "a.zip")
    path.unlink()
    with pytest.raises(FileNotFoundError, match="the same command again"):
        results.archive(["000000"], tmp_path / "a.zip")


def test_what_the_results_depend_on_is_said_in_json(red_finder, small_kitti):
    layout = KittiLayout(small_kitti)
    described = describe_detector(red_finder(), layout, layout.frame_ids())
    assert json.loads(json.dumps(described)) == described
    assert described["classes"] == ["Car", "Pedestrian", "Cyclist"]


def test_the_archive_is_described():
    assert describe_archive(7518, 120_000, 3_140_000) == (
        "7,518 frames, 120,000 detections, 3.1 MB"
    )
