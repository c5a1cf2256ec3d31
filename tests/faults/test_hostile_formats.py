"""Data sets, predictions and results that were made to do harm, and very large ones."""

import csv
import json
import os
import time
from pathlib import Path

import pytest
from faults.bad_imports import TRACK, voc
from faults.user_folder import RESULT, exit_code
from fixtures.label_folders import draw_picture, frame_table, lines_of, run_import

from mobilenetdet.analysis.frame_browser import BrowsedRun, browser_parts
from mobilenetdet.annotation.label_studio import write_label_studio
from mobilenetdet.annotation.predicted_frames import read_predicted
from mobilenetdet.files.atomic_write import refuse_filled
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.label_formats.frame_names import frame_ids
from mobilenetdet.label_formats.kitti_tracking import read_kitti_tracking
from mobilenetdet.label_formats.source_frame import ImportOptions, Notes

HOSTILE_NAMES = (
    *("a\x1b[2J\nerror: b.png", "\u202egnp.png", "=cmd|' C'!A0.png", "-rf.png", "@a.png"),
    *("+1.png", "\ufefftrain.png", "A.png", "a.png", "a.jpg", "..a.png"),
)
# Seconds of the processor, for thousands of things of which hundreds of thousands are usual.
PATIENCE = 10.0


@pytest.fixture
def takes_seconds():
    start = time.process_time()
    yield
    assert time.process_time() - start < PATIENCE


def coco_of(folder: Path, names) -> Path:
    for name in names:
        draw_picture(folder / "plain.png").rename(folder / name)
    content = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "categories": [{"id": 1, "name": "Car"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [-9, 1, 30, 900]}
            for i in range(len(names))
        ],
    }
    (folder / "a.json").write_text(json.dumps(content))
    return folder / "a.json"


def test_names_of_pictures_harm_no_terminal_no_table_and_no_list(tmp_path, capsys):
    source = coco_of(tmp_path / "in", HOSTILE_NAMES)
    argv = ["import", source, tmp_path / "out", "--format", "coco"]
    assert exit_code(argv) == 0
    told = capsys.readouterr()
    assert not set("\x1b\u202e") & set(told.out + told.err) and "\nerror:" not in told.out
    rows = frame_table(tmp_path / "out")
    assert len({row[0].lower() for row in rows}) == len(HOSTILE_NAMES)
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
    layout = KittiLayout(tmp_path / "out")
    layout.write_image_set("train", layout.frame_ids())
    assert layout.read_image_set("train") == layout.frame_ids()
    assert not [name for name in layout.frame_ids() if name.startswith(("-", "=", "."))]


def test_the_table_finds_each_picture_again(tmp_path):
    folder = tmp_path / "in"
    run_import("coco", coco_of(folder, HOSTILE_NAMES[2:]), tmp_path / "out")
    with (tmp_path / "out/frame_names.csv").open(newline="") as file:
        found = {(folder / row["picture"]).resolve().name for row in csv.DictReader(file)}
    assert found == set(HOSTILE_NAMES[2:])


def test_a_picture_of_two_files_is_one_frame(user_folder):
    argv = voc()(user_folder)
    first = user_folder.root / "in/Annotations/a.xml"
    other = first.read_text().replace("<xmax>5<", "<xmax>4<")
    user_folder.file("in/Annotations/b.xml", other)
    report = run_import("voc", argv[1], user_folder.out)
    assert report.num_frames == 1
    assert report.notes.lines() == [
        "pictures are there several times; their objects were joined: 1 (JPEGImages/a.png)"
    ]
    assert lines_of(user_folder.out, "a") == ["Car 0.00 0.00 5.00 4.00", "Car 0.00 0.00 4.00 4.00"]


def test_results_of_classes_that_look_alike_are_all_written(tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    names = ("a/b", "a_b", "A_B")
    lines = [RESULT.format(10, 0.5).replace("Car", name, 1) for name in names]
    (results / "000000.txt").write_text("".join(lines))
    assert exit_code(["export_labels", results, tmp_path / "out", "--format", "voc"]) == 0
    texts = [path.read_text() for path in (tmp_path / "out").iterdir()]
    assert len(texts) == 3 and all(len(text.splitlines()) == 1 for text in texts)
    assert len({path.name.lower() for path in (tmp_path / "out").iterdir()}) == 3


def test_a_folder_that_cannot_be_replaced_is_no_destination(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileExistsError, match="the working directory; name a new folder in it"):
        refuse_filled(Path("."))
    (tmp_path / "disk").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "disk")
    with pytest.raises(FileExistsError, match="where a file system begins"):
        refuse_filled(Path("disk"))


def test_many_pictures_of_one_name_have_ids_in_time(takes_seconds):
    ids = frame_ids(["a.jpg"] * 50_000 + ["a_2.jpg"] * 9)
    assert len(set(ids)) == 50_009


def test_a_long_sequence_is_read_in_time(tmp_path, takes_seconds):
    (tmp_path / "training/label_02").mkdir(parents=True)
    text = "".join(TRACK.format(number // 5) for number in range(30_000))
    (tmp_path / "training/label_02/0000.txt").write_text(text)
    frames = read_kitti_tracking(tmp_path, ImportOptions({}), Notes())
    assert [len(frame.objects) for frame in frames] == [5] * 6000


def test_many_predictions_are_read_in_time(tmp_path, takes_seconds):
    entries = [
        {"source": f"/in/{n}.png", "width": 9, "height": 7, "detections": []} for n in range(50_000)
    ]
    (tmp_path / "detections.json").write_text(json.dumps(entries))
    assert len(read_predicted(tmp_path)) == 50_000


def test_a_name_of_any_bytes_finds_its_picture_in_label_studio(tmp_path):
    source = "/in/" + os.fsdecode(b"a\xff.png")
    entry = {"source": source, "width": 9, "height": 7, "detections": []}
    (tmp_path / "detections.json").write_text(json.dumps([entry]))
    write_label_studio(read_predicted(tmp_path), tmp_path / "tasks.json", image_prefix="?d=")
    (task,) = json.loads((tmp_path / "tasks.json").read_text())
    assert task["data"] == {"image": "?d=a%FF.png"}


def test_the_name_of_a_run_beside_ends_no_script():
    name = "</script><img src=x onerror=alert(1)>"
    empty = [KittiObjects.empty(with_scores=True)]
    scores = dict.fromkeys(("Car", "Pedestrian", "Cyclist"), 0.5)
    runs = [BrowsedRun(each, empty, scores) for each in ("mine", name)]
    page = "".join(browser_parts([name], [KittiObjects.empty()], runs))
    assert name not in page and "<img src=x" not in page and "onerror=alert(1)" in page
