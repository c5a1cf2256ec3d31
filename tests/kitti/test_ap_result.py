import json
import sys
import types
import zipfile

import pytest
from fixtures.naive_ap import make_detections, make_labels

from mobilenetdet.config.classes import EvalTask
from mobilenetdet.kitti.ap_result import AveragePrecision, ClassAp, DifficultyAp
from mobilenetdet.kitti.average_precision import evaluate_detections
from mobilenetdet.kitti.labels import write_objects
from mobilenetdet.kitti.results import kitti_ap

BOX = (100, 100, 200, 150)


@pytest.fixture
def ap() -> AveragePrecision:
    """Cars that are all found, Vans of which half are, no Tram anywhere."""
    labels = [make_labels(("Car", *BOX), ("Van", 300, 100, 400, 150))] * 60
    found = [
        make_detections(
            ("Car", *BOX, 0.5 + index / 200),
            *([("Van", 300, 100, 400, 150, 0.4 + index / 200)] if index % 2 else []),
        )
        for index in range(60)
    ]
    return evaluate_detections(labels, found, task=EvalTask.of(["Car", "Van", "Tram"]))


def test_figures_by_name(ap):
    assert ap["Car"].moderate.r40 == ap["car"]["easy"].r11 == 100
    assert ap["Van"].hard.r40 == pytest.approx(50) and ap["Van"].hard.num_objects == 60
    assert (ap["Tram"].moderate.r40, ap["Tram"].detected) == (0, False)
    assert ap.mean.moderate.r40 == pytest.approx(50) and ap.mean.detected
    assert list(ap) == ["Car", "Van", "Tram"] and len(ap) == 3 and "van" in ap and "Bus" not in ap
    assert (ap.protocol, ap.num_frames) == ("current", 60)
    assert len(ap["Van"].easy.precisions) == 41


def test_it_says_in_a_line_what_it_is(ap):
    assert repr(ap) == (
        "AveragePrecision(60 frames, moderate R40: Car 100.00, Van 50.00, Tram 0.00, mean 50.00)"
    )
    assert "precisions" not in repr(ap["Car"])


def test_unknown_names_are_refused(ap):
    with pytest.raises(KeyError, match="no class 'Vann' among Car, Van, Tram; did you mean Van"):
        ap["Vann"]
    assert ap.get("Vann") is None
    with pytest.raises(ValueError, match="unknown difficulty 'modrate'.*'moderate'"):
        ap["Van"]["modrate"]


def test_the_json_is_read_back_equal_and_has_the_old_layout(ap):
    written = json.loads(json.dumps(ap.to_dict(), allow_nan=False))
    assert list(written) == ["protocol", "frames", "Car", "Van", "Tram", "mean"]
    assert written["Tram"] is None
    assert written["mean"]["moderate"] == {"R11": ap.mean.moderate.r11, "R40": ap.mean.moderate.r40}
    assert list(written["Van"]["hard"]) == ["R11", "R40", "num_objects", "precision41"]
    assert AveragePrecision.from_dict({"split": "val", **written, "coco": {"AP": 1.0}}) == ap


def test_older_files_without_counts_are_read():
    level = {"R11": 1.0, "R40": 2.0}
    old = {
        "protocol": "pre2017",
        "frames": 2,
        "Car": dict.fromkeys(("easy", "moderate", "hard"), level),
    }
    expected = DifficultyAp(r40=2.0, r11=1.0)
    read = AveragePrecision.from_dict(old)
    assert read["Car"] == ClassAp(expected, expected, expected)


def test_other_files_are_refused():
    with pytest.raises(ValueError, match="no 'protocol' in them"):
        AveragePrecision.from_dict({"top1": 3.0})


@pytest.mark.parametrize("more", [{}, {"note": {"a": 1}}, {"task": {}}])
def test_figures_of_no_class_are_refused(more):
    with pytest.raises(ValueError, match="no class in them"):
        AveragePrecision.from_dict({"protocol": "current", "frames": 3, **more})


def test_only_classes_of_the_task_are_classes(ap):
    values = {"task": dict.fromkeys(ap.classes, {}), **ap.to_dict(), "note": None}
    assert AveragePrecision.from_dict(values) == ap


def test_a_table_needs_pandas(ap, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        ap.to_pandas()


def test_rows_of_the_table(ap, monkeypatch):
    """What pandas is given; the frame itself is tested where pandas is installed."""
    fake = types.SimpleNamespace(DataFrame=lambda rows, columns: [columns, *rows])
    monkeypatch.setitem(sys.modules, "pandas", fake)
    heading, *rows = ap.to_pandas()
    assert heading == ["class", "difficulty", "R40", "R11", "num_objects"]
    assert len(rows) == 9
    assert rows[0] == ("Car", "easy", 100.0, 100.0, 60)
    assert rows[8] == ("Tram", "hard", 0.0, 0.0, None)


def test_the_table_of_pandas(ap):
    pandas = pytest.importorskip("pandas")
    table = ap.to_pandas().set_index(["class", "difficulty"])
    assert isinstance(table, pandas.DataFrame)
    assert table.loc[("Van", "hard"), "R40"] == pytest.approx(50)


@pytest.fixture
def folders(tmp_path):
    """Ten frames with a Car and a Van; both are found, in frame 9 the Van is not."""
    for folder in ("label_2", "data"):
        (tmp_path / folder).mkdir()
    for index in range(10):
        name = f"{index:06d}.txt"
        write_objects(
            tmp_path / "label_2" / name, make_labels(("Car", *BOX), ("Van", 300, 100, 400, 150))
        )
        rows = [("Car", *BOX, 0.9), ("Van", 300, 100, 400, 150, 0.8)]
        write_objects(tmp_path / "data" / name, make_detections(*rows[: 1 + (index < 9)]))
    return tmp_path / "label_2", tmp_path / "data"


@pytest.mark.parametrize("as_path", [False, True])
def test_result_files_are_scored(folders, tmp_path, as_path):
    frames = ["000000", "000008", "000009"]
    if as_path:
        (tmp_path / "val.txt").write_text("\n".join(frames) + "\n")
        frames = tmp_path / "val.txt"
    ap = kitti_ap(*map(str, folders), frames=frames, classes=["Van"], protocol="pre2017")
    assert list(ap) == ["Van"] and (ap.num_frames, ap.protocol) == (3, "pre2017")
    assert ap["Van"].easy.precisions[:3] == (1, 1, 0) and ap["Van"].easy.num_objects == 3


def test_by_default_all_result_files_and_kittis_classes(folders):
    ap = kitti_ap(*folders)
    assert list(ap) == ["Car", "Pedestrian", "Cyclist"] and ap.num_frames == 10
    mapped = kitti_ap(*folders, classes=EvalTask.of(["Car"], class_map={"Van": "Car"}))
    assert mapped["Car"].easy.num_objects == 20


def test_frames_without_result_file_count_as_empty(folders):
    for index in range(5):
        (folders[1] / f"{index:06d}.txt").unlink()
    with pytest.warns(UserWarning, match="5 of 10 frames have no result file, counted as empty"):
        ap = kitti_ap(*folders, classes=["Car"])
    assert (ap.num_frames, ap["Car"].easy.num_objects) == (10, 10)
    assert ap["Car"].easy.precisions[:6] == (1, 1, 1, 1, 1, 0)


def test_a_golden_case_by_the_function(shared_dir, tmp_path):
    case = shared_dir / "golden/kitti_eval/ties"
    for archive in (case / "detections.zip", shared_dir / "kitti_labels/label_2_all_7481.zip"):
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tmp_path)
    ap = kitti_ap(tmp_path / "label_2", tmp_path / "data", frames=case / "frames.txt")
    expected = json.loads((case / "expected.json").read_text())["current"]
    for name, of_class in expected.items():
        for difficulty, values in of_class.items():
            assert ap[name][difficulty].r40 == pytest.approx(values["R40"], abs=1e-6)
