"""YOLO's data sets in the layouts that people have."""

import pytest
from fixtures.label_folders import SIZE, draw_picture, frame_table, lines_of, run_import

from mobilenetdet.kitti.layout import KittiLayout


def write_yolo(root, data, labels):
    """Writes data.yaml, and a picture and its label file (None: none) by path of the picture."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "data.yaml").write_text(data)
    for index, (name, text) in enumerate(labels.items()):
        path = draw_picture(root / name, seed=index)
        label = root / name.replace("images", "labels")
        label.parent.mkdir(parents=True, exist_ok=True)
        if text is not None:
            label.with_suffix(".txt").write_text(text)
        assert path.is_file()
    return root


NAMES = "names: [car, traffic light]\n"


def test_a_data_set_of_two_parts(tmp_path):
    root = write_yolo(
        tmp_path / "in",
        f"path: .\ntrain: images/train\nval: images/val\n{NAMES}",
        {
            "images/train/a.png": "0 0.5 0.5 0.25 0.5\n1 0.1 0.2 0.1 0.2\n",
            "images/train/b.jpg": "",
            "images/val/a.png": None,
        },
    )
    report = run_import("yolo", root, tmp_path / "out", class_map={"car": "Car"})
    assert lines_of(tmp_path / "out", "train_a") == [
        "Car 75.00 25.00 125.00 75.00",
        "traffic_light 10.00 10.00 30.00 30.00",
    ]
    assert lines_of(tmp_path / "out", "b") == lines_of(tmp_path / "out", "val_a") == []
    assert report.splits == {"train": 2, "val": 1} and report.num_empty == 2
    assert list(report.notes.names) == [
        "pictures without label file were taken for pictures without objects",
        "names of classes were joined to one word",
    ]
    assert frame_table(tmp_path / "out")[2] == ["val_a", "images/val/a.png", "val"]


@pytest.mark.parametrize(
    "data",
    [
        f"train: ../train/images\nval: ../valid/images\n{NAMES}",  # Roboflow's
        f"train: [train/images]\nval: valid/images\n{NAMES}",
        "train: train.txt\nval: valid/images\nnames: {0: car, 1: traffic light}\n",
    ],
)
def test_folders_and_lists_are_found(tmp_path, data):
    labels = {"train/images/1.jpg": "0 .5 .5 .5 .5\n", "valid/images/2.jpg": ""}
    root = write_yolo(tmp_path / "in", data, labels)
    (root / "train.txt").write_text("./train/images/1.jpg\n\n")
    report = run_import("yolo", root / "data.yaml", tmp_path / "out")
    assert report.splits == {"train": 1, "val": 1} and report.read == {"car": 1}


def test_a_folder_with_a_list_of_classes_alone(tmp_path):
    root = write_yolo(tmp_path / "in", "", {"images/1.jpg": "1 .5 .5 .5 .5\n"})
    (root / "data.yaml").unlink()
    (root / "classes.txt").write_text("car\nbus\n")
    report = run_import("yolo", root, tmp_path / "out")
    assert report.read == {"bus": 1} and report.splits == {}


@pytest.mark.parametrize(
    ("line", "box", "note"),
    [
        ("0 0.1 0.2 0.3 0.4 0.2 0.9", "20.00 20.00 60.00 90.00", "outlines became their boxes"),
        ("0 .1 .1 .2 .1 .2 .2 .1 .2", "20.00 10.00 40.00 20.00", "outlines became their boxes"),
        ("0 0.9 0.5 0.4 0.5", "140.00 25.00 200.00 75.00", "boxes were clipped at the border"),
        ("0 0.5 0.5 0 0.5", None, "boxes without area were left out"),
        ("0 1.5 0.5 0.4 0.5", None, "boxes outside of their picture were left out"),
    ],
)
def test_what_is_changed_is_noted(tmp_path, line, box, note):
    root = write_yolo(tmp_path / "in", f"train: images\n{NAMES}", {"images/1.png": line})
    report = run_import("yolo", root, tmp_path / "out")
    assert lines_of(tmp_path / "out", "1") == ([f"car {box}"] if box else [])
    assert len(report.notes.names) == 1 and report.notes.lines()[0].startswith(note)


def test_keypoints_are_left_out(tmp_path):
    data = f"train: images\nkpt_shape: [1, 3]\n{NAMES}"
    root = write_yolo(tmp_path / "in", data, {"images/1.png": "0 .5 .5 .5 .5 .1 .1 2"})
    report = run_import("yolo", root, tmp_path / "out")
    assert lines_of(tmp_path / "out", "1") == ["car 50.00 25.00 150.00 75.00"]
    assert report.notes.lines()[0].startswith("keypoints were left out: 1 (")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 .5 .5 .5 .5", "1.txt:2: class 2, but there are names for 2 classes"),
        ("0.5 .5 .5 .5 .5", "class 0.5, but"),
        ("0 .5 .5 .5", "4 numbers; expected class, x, y, width, height"),
        ("0 .5 .5 .5 .5 .9", "as detections with their score have"),
        ("0 100 50 20 20", "are no shares of the picture"),
        ("0 nan .5 .5 .5", "are no shares"),
        ("car .5 .5 .5 .5", "are no numbers"),
    ],
)
def test_damaged_lines_are_named(tmp_path, line, message):
    root = write_yolo(tmp_path / "in", f"train: images\n{NAMES}", {"images/1.png": f"\n{line}\n"})
    with pytest.raises(ValueError, match=message):
        run_import("yolo", root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("train: images\n", "has no names of classes"),
        ("names: {.inf: b}\ntrain: images\n", "names must be a list, or names by number"),
        ("names: [a\n", "is no YAML"),
        ("names: [a]\n", "names no pictures"),
        ("names: [a]\ntrain: absent\n", "names absent, which is not there"),
        ("names: [a]\ntrain: /\n", "names /, the whole disk; name a folder of pictures"),
        ("!!python/object/apply:os.system ['true']", "is no YAML"),
    ],
)
def test_a_damaged_data_yaml_is_told(tmp_path, data, message):
    root = write_yolo(tmp_path / "in", data, {"images/1.png": ""})
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run_import("yolo", root, tmp_path / "out")


def test_the_number_of_a_picture_in_several_lists_is_one(tmp_path):
    root = write_yolo(tmp_path / "in", f"train: images\nval: images\n{NAMES}", {"images/1.png": ""})
    report = run_import("yolo", root, tmp_path / "out")
    assert report.splits == {"train": 1, "val": 1} and report.num_frames == 1
    assert report.notes.lines()[0].startswith("parts of data.yaml are those for training again")
    layout = KittiLayout(tmp_path / "out")
    assert layout.read_image_set("val") == ["1"] and SIZE == (200, 100)


@pytest.mark.parametrize("folder", ["images", "pictures", "my/images/of/cars"])
def test_label_files_may_lie_beside_the_pictures(tmp_path, folder):
    """As LabelImg leaves them, whatever the folder is called."""
    root = tmp_path / folder
    draw_picture(root / "1.png")
    (root / "1.txt").write_text("1 0.5 0.5 0.25 0.5\n")
    (root / "classes.txt").write_text("car\nbus\n")
    run_import("yolo", root, tmp_path / "out")
    assert lines_of(tmp_path / "out", "1") == ["bus 75.00 25.00 125.00 75.00"]


def test_pictures_that_all_lack_labels_are_refused(tmp_path):
    root = write_yolo(tmp_path / "in", f"train: images\n{NAMES}", {"images/1.png": None})
    with pytest.raises(FileNotFoundError, match=r"none of 1 picture .*labels/1.txt and .*images/1"):
        run_import("yolo", root, tmp_path / "out")


def test_the_path_of_data_yaml_may_be_of_another_place(tmp_path):
    """Ultralytics' `path` is below the folder of its settings; --image_dir says where it is."""
    write_yolo(tmp_path / "mine", NAMES, {"images/train/1.png": "0 .5 .5 .5 .5"})
    data = tmp_path / "configs/mine.yaml"
    data.parent.mkdir()
    data.write_text(f"path: ../datasets/mine\ntrain: images/train\n{NAMES}")
    with pytest.raises(FileNotFoundError, match="name the folder that its paths are below with --"):
        run_import("yolo", data, tmp_path / "out")
    run_import("yolo", data, tmp_path / "out", image_dir=tmp_path / "mine")
    assert lines_of(tmp_path / "out", "1") == ["car 50.00 25.00 150.00 75.00"]


def test_what_six_digits_lead_over_the_border_is_no_change_to_be_told(tmp_path):
    root = write_yolo(
        tmp_path / "in", f"train: images\n{NAMES}", {"images/1.png": "0 .1 .5 .200001 1"}
    )
    assert run_import("yolo", root, tmp_path / "out").notes.names == {}
    assert lines_of(tmp_path / "out", "1") == ["car 0.00 0.00 40.0001 100.00"]
