"""Lists that are whole at any moment, and do not grow in memory."""

import csv
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from mobilenetdet.detections import Detections
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.media.sources import FrameOf, Picture
from mobilenetdet.media.video import VideoFrame
from mobilenetdet.predictions import lists
from mobilenetdet.predictions.lists import CSV_COLUMNS, CocoList, CsvList, JsonList

CLASSES = ("Car", "=Van")
FOUND = Detections([[1.0, 2.0, 31.0, 12.0], [0.126, 0, 5, 5]], [0.9, 0.25], [0, 1], CLASSES)
IMAGE = np.zeros((40, 60, 3), np.uint8)


def picture(name: str = "road") -> Picture:
    return Picture(name, Path(f"in/{name}.png"), IMAGE)


def test_rows_of_a_table(tmp_path: Path):
    table = CsvList(OutputFolder(tmp_path))
    for name in ("road", "-1"):
        table.add(picture(name), FOUND)
    table.add(picture("empty"), Detections.empty(CLASSES))
    table.close()
    with (tmp_path / "detections.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert rows[1] == "road,in/road.png,Car,0.9,1.0,2.0,31.0,12.0,60,40".split(",")
    # No cell begins with what a spreadsheet would compute.
    assert [row[2] for row in rows[1:]] == ["Car", "'=Van"] * 2
    assert rows[3][0] == "'-1" and len(rows) == 5


def test_json_is_what_json_would_write(tmp_path: Path):
    entries = JsonList(OutputFolder(tmp_path))
    for name in ("a", "b"):
        entries.add(picture(name), FOUND)
    entries.close()
    text = (tmp_path / "detections.json").read_text()
    assert text == json.dumps(json.loads(text), indent=1) + "\n"
    assert [entry["name"] for entry in json.loads(text)] == ["a", "b"]


@pytest.mark.parametrize("kind", [JsonList, CsvList, CocoList])
def test_without_pictures_a_list_is_empty(tmp_path: Path, kind):
    kind(OutputFolder(tmp_path)).close()
    text = (tmp_path / kind.name).read_text()
    assert text.count("\n") >= 1
    if kind is JsonList:
        assert json.loads(text) == []
    if kind is CocoList:
        assert json.loads(text) == {"categories": [], "images": [], "annotations": []}


def test_pycocotools_reads_it(tmp_path: Path):
    coco = CocoList(OutputFolder(tmp_path))
    coco.add(picture("a"), FOUND)
    frame = VideoFrame(IMAGE, 0.0, 25.0, 3)
    coco.add(
        Picture("clip_000003", Path("clip.mp4"), IMAGE, FrameOf("clip", frame, None)), FOUND[:1]
    )
    coco.close()
    read = COCO(str(tmp_path / "coco.json"))
    assert [read.imgs[i]["file_name"] for i in (1, 2)] == ["in/a.png", "clip_000003.jpg"]
    assert [category["name"] for category in read.loadCats([1, 2])] == list(CLASSES)
    first = read.loadAnns(read.getAnnIds(imgIds=[1], catIds=[1]))[0]
    assert (
        first["bbox"] == [1.0, 2.0, 30.0, 10.0] and first["area"] == 300 and first["score"] == 0.9
    )
    results = read.loadRes(json.loads((tmp_path / "coco.json").read_text())["annotations"])
    assert len(results.getAnnIds()) == 3


def test_a_list_is_whole_while_it_grows(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(lists, "_LEAST_PAUSE", 0.0)
    monkeypatch.setattr(lists, "_PAUSE", 0.0)
    monkeypatch.setattr(lists, "_IN_MEMORY", 100)  # the rest is in a temporary file
    coco, entries = CocoList(OutputFolder(tmp_path / "a")), JsonList(OutputFolder(tmp_path / "b"))
    for count in range(1, 5):
        for each in (coco, entries):
            each.add(picture(str(count)), FOUND)
        assert len(json.loads((tmp_path / "a/coco.json").read_text())["images"]) == count
        assert len(json.loads((tmp_path / "b/detections.json").read_text())) == count


@pytest.mark.parametrize("kind", [JsonList, CsvList, CocoList])
def test_memory_does_not_grow_with_the_pictures(tmp_path: Path, monkeypatch, kind):
    monkeypatch.setattr(lists, "_IN_MEMORY", 10_000)
    many = Detections([[1.0, 2.0, 31.0, 12.0]] * 20, [0.9] * 20, [0] * 20, CLASSES)
    each = kind(OutputFolder(tmp_path))
    tracemalloc.start()
    try:
        for index in range(400):
            each.add(picture(str(index)), many)
            if index == 100:
                before = tracemalloc.get_traced_memory()[0]
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    each.close()
    assert grown < (tmp_path / kind.name).stat().st_size / 4
