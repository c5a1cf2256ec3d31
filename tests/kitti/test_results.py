import hashlib
import json
from dataclasses import replace

import pytest

from mobilenetdet.config.classes import EvalTask
from mobilenetdet.kitti.ap_result import AveragePrecision
from mobilenetdet.kitti.results import kitti_ap, read_label_files, read_result_set

LABEL = "Car 0.00 0 -1.50 100.00 150.00 200.00 200.00 1.50 1.60 3.90 1.00 1.50 20.00 -1.50\n"
RESULT = "Car -1 -1 -10 100.00 150.00 200.00 200.00 -1 -1 -1 -1000 -1000 -1000 -10 0.9000\n"


@pytest.fixture
def folders(tmp_path):
    """Labels of four frames, results of frames 1, 2 (empty) and 8, which has no label."""
    label_dir, result_dir = tmp_path / "label_2", tmp_path / "data"
    label_dir.mkdir()
    result_dir.mkdir()
    for index in range(4):
        (label_dir / f"{index:06d}.txt").write_text(LABEL)
    for index, text in ((1, RESULT), (2, ""), (8, RESULT)):
        (result_dir / f"{index:06d}.txt").write_text(text)
    (result_dir / "notes.md").write_text("not a result")
    return label_dir, result_dir


def test_frames_of_a_split_are_paired(folders):
    results = read_result_set(*folders, ["000002", "000001", "000000"])
    assert results.frame_ids == ["000002", "000001", "000000"]
    assert [len(frame) for frame in results.labels] == [1, 1, 1]
    assert [len(frame) for frame in results.detections] == [0, 1, 0]
    assert all(frame.scores is not None for frame in results.detections)
    assert results.without_result == ["000000"]
    assert results.not_scored == ["000008"]


def test_by_default_all_labelled_frames_are_scored(folders):
    label_dir, result_dir = folders
    (result_dir / "000008.txt").unlink()
    results = read_result_set(label_dir, result_dir)
    assert results.frame_ids == ["000000", "000001", "000002", "000003"]
    assert [len(frame) for frame in results.detections] == [0, 1, 0, 0]
    assert results.without_result == ["000000", "000003"] and not results.not_scored
    assert results.missing_results() == [
        "2 of 4 frames have no result file, counted as empty: 000000, 000003"
    ]


def test_labels_are_read_in_the_order_of_their_names(folders):
    label_dir, _ = folders
    (label_dir / "000001.txt").write_text(LABEL * 2)
    assert [len(frame) for frame in read_label_files(label_dir)] == [1, 2, 1, 1]


def test_frames_without_label_are_named(folders):
    with pytest.raises(FileNotFoundError, match=r"1 of 3 frames have no label in .*: 000008;"):
        read_result_set(*folders)


@pytest.mark.parametrize("which", [0, 1])
def test_absent_and_empty_folders_are_named(folders, tmp_path, which):
    for folder, message in (
        (tmp_path / "nowhere", r"nowhere, does not exist"),
        (tmp_path, r"holds no (labels|results) \(NNNNNN.txt\); did you mean .*data\?"),
    ):
        given = list(folders)
        given[which] = folder
        with pytest.raises(FileNotFoundError, match=message):
            read_result_set(*given)


def test_labels_are_no_results(folders):
    label_dir, result_dir = folders
    with pytest.raises(ValueError, match=r"000000\.txt:1: 15 columns, expected 16"):
        read_result_set(label_dir, label_dir)
    with pytest.raises(ValueError, match=r"000001\.txt:1: 16 columns, expected 15"):
        read_result_set(result_dir, result_dir, ["000001"])


def test_ids_that_would_be_paths_and_files_of_the_system(folders):
    labels, results = folders
    with pytest.raises(ValueError, match=r"'\.\./000000' is no frame id"):
        kitti_ap(labels, results, frames=["../000000"])
    for folder in folders:
        (folder / "._000000.txt").write_bytes(b"\0\5\x16\7 of macOS")
    (results / "000008.txt").unlink()
    assert read_result_set(labels, results).frame_ids == [f"00000{i}" for i in range(4)]


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "frames names no frame"),
        (["000001", "000001"], "frames names a frame twice"),
        ([1], "write 000001 instead of 1"),
    ],
)
def test_lists_of_frames_that_cannot_be_meant(folders, frames, message):
    (folders[1] / "000008.txt").unlink()
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        kitti_ap(*folders, frames=frames)


def test_a_class_that_nothing_has_is_a_typing_error(folders):
    (folders[1] / "000008.txt").unlink()
    words = r"no object and no detection is of type Crar; did you mean Car\? There are: Car"
    for classes in (["Crar"], EvalTask.of(["Car", "Crar"])):
        with pytest.raises(ValueError, match=words):
            kitti_ap(*folders, classes=classes)
    mapped = EvalTask.of(["Vehicle"], class_map={"Car": "Vehicle"})
    with pytest.warns(UserWarning):
        assert list(kitti_ap(*folders, classes=mapped)) == ["Vehicle"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": [3]}, r"classes is \[3\]; it must be a list of names"),
        ({"classes": 3}, "classes is 3; it must be a list of names"),
        ({"protocol": 3}, "unknown protocol 3, expected one of current, pre2017"),
        ({"frames": 3}, "frames is 3; it must be a list of ids or the path of one"),
        ({"label_dir": 3}, "label_dir is 3; it must be one path"),
        ({"result_dir": None}, "result_dir is None; it must be one path"),
        ({"frames": "/dev/null"}, "list of frames, /dev/null, is no regular file"),
    ],
)
def test_arguments_of_another_type_are_named(folders, changes, message):
    (folders[1] / "000008.txt").unlink()
    arguments = {"label_dir": folders[0], "result_dir": folders[1], **changes}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        kitti_ap(**arguments)


@pytest.mark.parametrize("setting", ["class_map", "neighbours", "min_overlaps", "difficulties"])
def test_settings_of_classes_map_names(setting):
    for values in ([1], {3: "Car"}):
        with pytest.raises(ValueError, match=f"{setting} is .*; it must map names"):
            EvalTask.of(["Car"], **{setting: values})


def test_what_looks_wrong_is_said_in_python_too(shared_dir, tmp_path):
    """As by the command: doubled lines are no better detector."""
    labels = tmp_path / "labels"
    results = tmp_path / "results"
    for folder in (labels, results):
        folder.mkdir()
    for path in sorted((shared_dir / "kitti/training/label_2").glob("*.txt"))[:12]:
        (labels / path.name).write_text(path.read_text())
        found = [line for line in path.read_text().splitlines() if line.startswith("Car")]
        (results / path.name).write_text("".join(f"{line} 0.9\n" for line in found * 2))
    with pytest.warns(UserWarning, match="was suppression skipped"):
        kitti_ap(labels, results)
    with pytest.raises(ValueError, match="was suppression skipped"):
        kitti_ap(labels, results, strict=True)


def test_an_ap_says_what_it_depends_on(tmp_path):
    labels, results = tmp_path / "labels", tmp_path / "results"
    for folder, score in ((labels, ""), (results, " 0.9")):
        folder.mkdir()
        for name in ("000001", "000002"):
            line = f"Car 0 0 -1.57 100 100 200 150 1.5 1.6 3.9 0 1.6 20 -1.5{score}\n"
            (folder / f"{name}.txt").write_text(line)
    with pytest.warns(UserWarning, match="fewer than 41 objects count, .* at most: Car"):
        ap = kitti_ap(labels, results, classes=["Car"])
    ids = hashlib.sha256(b"000001\n000002\n").hexdigest()
    assert ap.context == {"task": EvalTask.of(["Car"]).to_dict(), "frames_sha256": ids}
    read = AveragePrecision.from_dict(json.loads(json.dumps(ap.to_dict())))
    assert read == ap and read.context == ap.context
    assert repr(ap).startswith("AveragePrecision(2 frames, moderate R40: Car ")
    with pytest.warns(UserWarning):
        other = kitti_ap(
            labels,
            results,
            classes=EvalTask.of(["Car"], min_overlaps={"Car": 0.5}),
            protocol="pre2017",
        )
    assert "2 frames, protocol pre2017, by other rules than KITTI's, moderate" in repr(other)
    seen = replace(ap, context={**ap.context, "frames_seen_in_training": 1})
    assert "2 frames, 1 of them trained on, moderate" in repr(seen)
