"""The detections of another run, read beside those of a report."""

import numpy as np
import pytest

from mobilenetdet.analysis.compared_run import find_result_files, read_compared
from mobilenetdet.kitti.labels import KittiObjects, write_objects
from mobilenetdet.label_formats.source_frame import make_objects

FRAMES = ["000001", "000002", "000003"]
BOX = [100.0, 100.0, 200.0, 160.0]
LABELS = [make_objects([name], [BOX]) for name in ("Car", "Pedestrian", "Cyclist")]


def write_results(folder, types):
    """Writes a detection of each type on the object of its frame."""
    folder.mkdir(parents=True)
    for frame_id, name in zip(FRAMES, types, strict=False):
        found = KittiObjects.from_detections([name], np.array([BOX]), np.array([0.75]))
        write_objects(folder / f"{frame_id}.txt", found)
    return folder


def test_detections_come_with_their_own_scores_of_the_best_f1(tmp_path):
    write_results(tmp_path / "run/eval/detections", ("Car", "pedestrian", "Cyclist"))
    run, findings = read_compared(tmp_path / "run", FRAMES, LABELS)
    assert findings == [] and run.name == str(tmp_path / "run")
    assert [len(each) for each in run.detections] == [1, 1, 1]
    assert run.thresholds["Car"] == 0.75


@pytest.mark.parametrize(
    ("types", "found"),
    [
        (("Car", "Pedestrian"), ["1 of 3 frames have no result file in", "has no Cyclist; is it"]),
        (("Van", "Tram", "Cyclist"), ["has no Car, Pedestrian; is it of a detector of these"]),
    ],
)
def test_what_another_run_lacks_is_said(tmp_path, types, found):
    folder = write_results(tmp_path / "results", types)
    run, findings = read_compared(folder, FRAMES, LABELS)
    assert len(findings) == len(found)
    assert all(text in line for text, line in zip(found, findings, strict=True))
    assert len(run.detections) == 3 and set(run.thresholds) == {"Car", "Pedestrian", "Cyclist"}


def test_results_of_another_split_are_refused(tmp_path):
    folder = write_results(tmp_path / "results", ("Car",))
    with pytest.raises(ValueError, match=r"holds no result of these 1 frames, such as 000009.txt"):
        read_compared(folder, ["000009"], LABELS[:1])
    with pytest.raises(FileNotFoundError, match=r"no result files NNNNNN.txt to compare with"):
        find_result_files(tmp_path)
