"""Folders are whole or not there, and what is changed is told."""

import json
import os
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from fixtures.label_folders import draw_picture, frame_table, lines_of, run_import

from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.label_formats.importing import RECORD_NAME
from mobilenetdet.records.kitti_convert import convert_split


def write_yolo(root, names, label="0 0.25 0.5 0.5 0.5\n"):
    """Writes pictures of a data set for training, each with the same label."""
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    (root / "data.yaml").write_text("train: images\nnames: [car]\n")
    for index, name in enumerate(names):
        draw_picture(root / "images" / name, seed=index)
        (root / "labels" / name).with_suffix(".txt").write_text(label)
    return root


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize(
    ("how", "is_link", "is_same_file"),
    [("hardlink", False, True), ("symlink", True, True), ("copy", False, False)],
)
def test_pictures_keep_their_bytes(tmp_path, ending, how, is_link, is_same_file):
    root = write_yolo(tmp_path / "in", [f"1.{ending}"])
    run_import("yolo", root, tmp_path / "out", image_files=how)
    image = KittiLayout(tmp_path / "out").image_path("1")
    original = root / f"images/1.{ending}"
    assert image.suffix == f".{ending}" and image.read_bytes() == original.read_bytes()
    assert image.is_symlink() == is_link and image.samefile(original) == is_same_file


def test_where_links_are_not_possible_pictures_are_copied(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    report = run_import("yolo", write_yolo(tmp_path / "in", ["1.png"]), tmp_path / "out")
    assert report.notes.lines() == [
        "pictures were copied, since they cannot be linked from there: 1 (images/1.png)"
    ]
    assert KittiLayout(tmp_path / "out").image_path("1").is_file()


@pytest.mark.parametrize("ending", ["bmp", "webp", "tif"])
def test_other_pictures_are_encoded_as_png(tmp_path, ending):
    root = write_yolo(tmp_path / "in", [f"1.{ending}", "2.png"])
    report = run_import("yolo", root, tmp_path / "out")
    path = KittiLayout(tmp_path / "out").image_path("1")
    assert path.suffix == ".png"
    np.testing.assert_array_equal(
        cv2.imread(str(path)), cv2.imread(str(root / f"images/1.{ending}"))
    )
    assert report.notes.lines() == [
        f"pictures of other formats were written as PNG: 1 (images/1.{ending})"
    ]
    assert lines_of(tmp_path / "out", "1") == ["car 0.00 25.00 100.00 75.00"]


def test_a_wrong_ending_is_put_right(tmp_path):
    root = write_yolo(tmp_path / "in", ["1.png"])
    os.rename(root / "images/1.png", root / "images/1.jpg")
    run_import("yolo", root, tmp_path / "out")
    assert KittiLayout(tmp_path / "out").image_path("1").suffix == ".png"


@pytest.mark.parametrize(
    ("meant", "size", "box"),
    [
        ("obey", (100, 200), "0.00 50.00 50.00 150.00"),
        ("ignore", (200, 100), "0.00 25.00 100.00 75.00"),
    ],
)
def test_turned_pictures_are_written_upright(tmp_path, meant, size, box):
    from PIL import Image

    root = write_yolo(tmp_path / "in", ["1.jpg"])
    picture = Image.open(root / "images/1.jpg")
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(root / "images/1.jpg", exif=exif)
    with pytest.raises(ValueError, match="1.jpg is turned by its EXIF.*--exif_orientation obey"):
        run_import("yolo", root, tmp_path / "out")
    assert os.listdir(tmp_path) == ["in"]
    report = run_import("yolo", root, tmp_path / "out", exif_orientation=meant)
    layout = KittiLayout(tmp_path / "out")
    assert Image.open(layout.image_path("1")).size == size
    assert lines_of(layout.root, "1") == [f"car {box}"]
    assert "written upright, as PNG: 1" in report.notes.lines()[0]
    convert_split(layout, "train", tmp_path / "records")  # which asks no more


def test_the_record_and_the_table_say_all(tmp_path):
    root = write_yolo(tmp_path / "in", ["a b.png", "c.png"], "0 .5 .5 0 0\n" * 5)
    report = run_import("yolo", root, tmp_path / "out")
    assert frame_table(tmp_path / "out") == [
        ["a_b", "images/a b.png", "train"],
        ["c", "images/c.png", "train"],
    ]
    record = json.loads((tmp_path / "out" / RECORD_NAME).read_text())
    assert record["objects_read"] == {"car": 10} and record["objects_written"] == {}
    assert len(record["changed_or_left_out"]["boxes without area were left out"]) == 10
    assert report.num_empty == 2 and record["splits"] == {"train": 2}
    assert record["image_files"] == "hardlink" and record["unlabelled"] == "negative"
    line = "boxes without area were left out: 10 (images/a b.png car 100 50 100 50; ...)"
    assert report.notes.lines() == [line]


def test_missing_pictures_stop_the_import_or_are_left_out(tmp_path):
    root = write_yolo(tmp_path / "in", ["1.png", "2.png"])
    (root / "data.yaml").write_text("train: list.txt\nnames: [car]\n")
    (root / "list.txt").write_text("images/1.png\nimages/2.png\nimages/3.png\n")
    with pytest.raises(
        FileNotFoundError, match=r"1 of 3 pictures are not there: .*--skip_missing_images"
    ):
        run_import("yolo", root, tmp_path / "out")
    report = run_import("yolo", root, tmp_path / "out", skip_missing_images=True)
    assert report.num_frames == 2 and "labels without picture were left out" in report.notes.names
    (root / "list.txt").write_text("images/3.png\n")
    (root / "labels/3.txt").write_text("0 .5 .5 .1 .1")
    with pytest.raises(ValueError, match="none of the pictures of .* is there; .*--image_dir"):
        run_import("yolo", root, tmp_path / "out_2", skip_missing_images=True)


def test_a_damaged_picture_leaves_nothing(tmp_path):
    root = write_yolo(tmp_path / "in", ["1.png", "2.png"])
    content = (root / "images/2.png").read_bytes()
    (root / "images/2.png").write_bytes(content[:-20])
    with pytest.raises(ValueError, match="images/2.png: the PNG image is cut off"):
        run_import("yolo", root, tmp_path / "out")
    assert os.listdir(tmp_path) == ["in"]


def test_only_a_new_or_empty_folder_is_filled(tmp_path):
    root = write_yolo(tmp_path / "in", ["1.png"])
    out = tmp_path / "out"
    out.mkdir()
    run_import("yolo", root, out)
    with pytest.raises(FileExistsError, match="holds an import already, see .*import.json"):
        run_import("yolo", root, out)
    with pytest.raises(FileExistsError, match="is not empty"):
        run_import("yolo", root, root)
    with pytest.raises(FileExistsError, match="is a file"):
        run_import("yolo", root, root / "data.yaml")


@pytest.mark.parametrize(
    ("class_map", "written", "note"),
    [
        ({"CAR": "Car"}, "Car", None),
        ({"car": "dontcare"}, "DontCare", None),
        (
            {"cars": "Van"},
            "car",
            "names in class_map are of no object: 1 (cars; did you mean car?)",
        ),
    ],
)
def test_types_are_mapped(tmp_path, class_map, written, note):
    root = write_yolo(tmp_path / "in", ["1.png"])
    report = run_import("yolo", root, tmp_path / "out", class_map=class_map)
    assert report.written == {written: 1}
    assert [line[: len(note or "")] for line in report.notes.lines()] == ([note] if note else [])


@pytest.mark.parametrize("target", ["", "two words", "a/b", "a,b", "a\x1b[2J"])
def test_targets_are_words(tmp_path, target):
    root = write_yolo(tmp_path / "in", ["1.png"])
    with pytest.raises(ValueError, match="must be one word|is no name of a class"):
        run_import("yolo", root, tmp_path / "out", class_map={"car": target})


KILLED = """
import signal
import sys
from pathlib import Path
from mobilenetdet.label_formats import importing
from mobilenetdet.label_formats.source_frame import ImportOptions

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it

def wait(done):
    print(done, flush=True)
    sys.stdin.readline()

importing.import_labels("yolo", Path(sys.argv[1]), Path(sys.argv[2]), ImportOptions({}), wait)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_import_leaves_nothing_that_looks_whole(tmp_path, number):
    root = write_yolo(tmp_path / "in", ["1.png", "2.png"])
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, str(root), str(out)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout.readline() == "1\n"
        process.send_signal(number)
        process.wait(60)
    assert not out.exists()
    left = [name for name in os.listdir(tmp_path) if name != "in"]
    assert len(left) == (number == signal.SIGKILL)
    run_import("yolo", root, out)
    assert sorted(os.listdir(tmp_path)) == ["in", "out"]
    assert KittiLayout(out).read_image_set("train") == ["1", "2"]
