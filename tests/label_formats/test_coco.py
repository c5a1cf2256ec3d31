"""COCO files of the kinds that people have, read."""

import json

import pytest
from fixtures.label_folders import draw_picture, frame_table, lines_of, run_import

from mobilenetdet.kitti.layout import KittiLayout

CATEGORIES = [{"id": 1, "name": "person"}, {"id": 3, "name": "traffic light"}]


def annotation(image_id, bbox, category_id=1, **more):
    return {"image_id": image_id, "bbox": bbox, "category_id": category_id} | more


def write_coco(path, names, annotations, change=()):
    """Writes a file whose images have the ids 1, 2, ..."""
    images = [
        {"id": index, "file_name": name, "width": 200, "height": 100}
        for index, name in enumerate(names, 1)
    ]
    content = {"images": images, "categories": CATEGORIES, "annotations": annotations}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content | dict(change)))
    return path


@pytest.fixture
def coco_2017(tmp_path):
    """A folder as COCO's own: train2017, val2017 and annotations of several tasks."""
    root = tmp_path / "coco"
    for name, seed in (("train2017/1.jpg", 0), ("train2017/2.jpg", 1), ("val2017/7.jpg", 2)):
        draw_picture(root / name, seed=seed)
    train = [
        annotation(1, [10.25, 20, 30.5, 40.123], segmentation=[], iscrowd=0, area=1.0, id=1),
        annotation(1, [0, 0, 50, 50], iscrowd=1, segmentation={"counts": [1], "size": [1, 1]}),
        annotation(1, [5, 5, 50, 50], 3, ignore=1),
        annotation(1, [60, 5, 10, 10], 3),
    ]
    write_coco(root / "annotations/instances_train2017.json", ["1.jpg", "2.jpg"], train)
    write_coco(root / "annotations/instances_val2017.json", ["7.jpg"], [])
    (root / "annotations/captions_val2017.json").write_text("{}")
    return root


def test_a_folder_of_cocos_own(coco_2017, tmp_path):
    out = tmp_path / "out"
    report = run_import("coco", coco_2017, out, class_map={"Person": "Pedestrian"})
    assert lines_of(out, "1") == [
        "Pedestrian 10.25 20.00 40.75 60.123",
        "DontCare 0.00 0.00 50.00 50.00",
        "DontCare 5.00 5.00 55.00 55.00",
        "traffic_light 60.00 5.00 70.00 15.00",
    ]
    assert lines_of(out, "2") == lines_of(out, "7") == []
    layout = KittiLayout(out)
    assert layout.read_image_set("train") == ["1", "2"] and layout.read_image_set("val") == ["7"]
    assert (report.num_frames, report.num_empty) == (3, 2)
    assert report.read == {"person": 1, "DontCare": 2, "traffic light": 1}
    assert report.written == {"Pedestrian": 1, "DontCare": 2, "traffic_light": 1}
    told = "\n".join(report.notes.lines())
    assert "crowds (iscrowd) became DontCare regions of all classes: 1" in told
    assert "boxes to ignore (ignore) became DontCare regions of all classes: 1" in told
    assert "files beside instances_*.json were not read: 1 (captions_val2017.json)" in told
    assert "'traffic light' is traffic_light" in told
    assert frame_table(out)[0] == ["1", "train2017/1.jpg", "train"]


def test_a_folder_as_roboflow_writes_it_with_one_name_twice(tmp_path):
    root = tmp_path / "rf"
    for split in ("train", "valid"):
        draw_picture(root / split / "a b.jpg")
        write_coco(root / split / "_annotations.coco.json", ["a b.jpg"], [])
    run_import("coco", root, tmp_path / "out")
    assert frame_table(tmp_path / "out") == [
        ["train_a_b", "train/a b.jpg", "train"],
        ["valid_a_b", "valid/a b.jpg", "val"],
    ]
    assert KittiLayout(tmp_path / "out").read_image_set("val") == ["valid_a_b"]


@pytest.mark.parametrize("place", [".", "images", "../images", "../pictures"])
def test_pictures_are_found_around_the_file(tmp_path, place):
    path = write_coco(tmp_path / "in/labels.json", ["deep/1.png"], [annotation(1, [1, 1, 5, 5])])
    draw_picture(path.parent / place / "deep/1.png")
    asked = {"image_dir": tmp_path / "pictures"} if place == "../pictures" else {}
    report = run_import("coco", path, tmp_path / "out", **asked)
    assert report.splits == {}  # nobody says what is for training
    assert lines_of(tmp_path / "out", "1") == ["person 1.00 1.00 6.00 6.00"]


def test_objects_of_one_picture_in_two_files_are_joined(tmp_path):
    draw_picture(tmp_path / "in/images/1.jpg")
    for name, bbox in (("cars", [1, 1, 5, 5]), ("people", [2, 2, 5, 5]), ("again", [2, 2, 5, 5])):
        write_coco(tmp_path / f"in/{name}.json", ["1.jpg"], [annotation(1, bbox)])
    report = run_import("coco", tmp_path / "in", tmp_path / "out")
    assert len(lines_of(tmp_path / "out", "1")) == 3  # again, cars, people in this order
    assert "their objects were joined: 2 (images/1.jpg" in "\n".join(report.notes.lines())
    assert set(report.splits) == {"again", "cars", "people"}


def test_attributes_are_kittis_columns(tmp_path):
    attributes = [
        {"truncated": 0.25, "occluded": 2, "alpha": -1.5, "height_m": 1.5, "colour": "red"},
        {"truncated": True, "occluded": "true"},
        {"truncated": 30, "occluded": "half"},
        {"occluded": False},
    ]
    draw_picture(tmp_path / "1.jpg")
    path = write_coco(
        tmp_path / "labels.json",
        ["1.jpg"],
        [annotation(1, [1, 1, 5, 5], attributes=each) for each in attributes],
    )
    report = run_import("coco", path, tmp_path / "out")
    text = KittiLayout(tmp_path / "out").label_path("1").read_text()
    rows = [line.split() for line in text.splitlines()]
    assert [row[1:4] + row[8:10] for row in rows] == [
        ["0.25", "2", "-1.50", "1.50", "-1"],
        ["0.30", "1", "-10", "-1", "-1"],
        ["-1", "-1", "-10", "-1", "-1"],
        ["-1", "0", "-10", "-1", "-1"],
    ]
    assert "values of truncated are no such thing, taken for unknown: 1" in report.notes.lines()[0]
    assert len(report.notes.names) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": {}}, "images is no list"),
        ({"categories": None}, "categories is no list"),
        ({"annotations": [annotation(9, [1, 1, 2, 2])]}, "is of no image"),
        ({"annotations": [annotation(1, [1, 1, 2, 2], 2)]}, "category_id 2 is none"),
        ({"annotations": [annotation(1, [1, 1, 2])]}, r"bbox is \[1, 1, 2\]; it must be x, y, wid"),
        ({"annotations": [annotation(1, "all")]}, "bbox is 'all'"),
        ({"annotations": [annotation(1, [1, 1, 10**400, 2])]}, "it must be x, y, width, height"),
        ({"annotations": [annotation(1, [None] * 4)]}, "it must be x, y, width, height"),
        ({"annotations": [annotation(1, [1, 1, float("nan"), 2])]}, "it needs numbers"),
        ({"annotations": [annotation([], [1, 1, 2, 2])]}, r"image_id is \[\]"),
        ({"images": [{"id": 1, "file_name": "../1.jpg"}]}, "outside of .*--image_dir"),
        ({"images": [{"id": 1, "file_name": "/etc/passwd"}]}, "outside of"),
        ({"images": [{"id": 1, "file_name": "1.jpg"}] * 2}, "have one id"),
        ({"images": [{"id": 1, "file_name": "2.jpg"}]}, "which are in none of .*--image_dir"),
    ],
)
def test_what_is_damaged_is_told_and_nothing_written(tmp_path, change, message):
    draw_picture(tmp_path / "1.jpg")
    path = write_coco(tmp_path / "labels.json", ["1.jpg"], [], change)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run_import("coco", path, tmp_path / "out")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["1.jpg", "labels.json"]


def test_results_are_no_labels(tmp_path):
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(ValueError, match="is a list, as results with scores are"):
        run_import("coco", tmp_path / "results.json", tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        run_import("coco", tmp_path / "absent", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds neither annotations"):
        run_import("coco", tmp_path / "empty", tmp_path / "out")


@pytest.mark.parametrize(
    "name", ["../../media/upload/1/7.jpg", "/home/anna/7.jpg", "C:\\data\\7.jpg", "x/images/7.jpg"]
)
def test_paths_of_another_machine_lead_to_the_folder_that_is_named(tmp_path, name):
    draw_picture(tmp_path / "pictures/images/7.jpg")
    path = write_coco(tmp_path / "labels.json", [name], [])
    with pytest.raises((FileNotFoundError, ValueError), match=r"folder .*with --image_dir"):
        run_import("coco", path, tmp_path / "out")
    run_import("coco", path, tmp_path / "out", image_dir=tmp_path / "pictures/images")
    assert [row[0] for row in frame_table(tmp_path / "out")] == ["7"]


def test_two_paths_of_another_machine_do_not_become_one_picture(tmp_path):
    draw_picture(tmp_path / "pictures/1.jpg")
    path = write_coco(tmp_path / "labels.json", ["/a/1.jpg", "/b/1.jpg"], [])
    with pytest.raises(ValueError, match="/a/1.jpg and /b/1.jpg both lead to"):
        run_import("coco", path, tmp_path / "out", image_dir=tmp_path / "pictures")
