"""import and export_labels as a user gives them."""

import json

import pytest
from fixtures.label_folders import draw_picture

from mobilenetdet.cli import export_labels, import_labels, tf_convert_data
from mobilenetdet.cli.import_labels import type_table
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.shards import shard_paths


@pytest.fixture
def coco(tmp_path):
    """A COCO file of two pictures for training."""
    images = [{"id": index, "file_name": f"{index}.jpg"} for index in (1, 2)]
    for index in (1, 2):
        draw_picture(tmp_path / f"in/train/{index}.jpg", seed=index)
    boxes = [([10, 10, 50, 50], 1), ([20, 20, 50, 50], 2), ([150, 20, 100, 50], 1)]
    annotations = [{"image_id": 1, "bbox": box, "category_id": key} for box, key in boxes]
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "fire hydrant"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path = tmp_path / "in/instances_train.json"
    path.write_text(json.dumps(content))
    return path


def test_a_coco_file_becomes_records(coco, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["--format", "coco", str(coco), str(out), "--class_map", "person", "Pedestrian"]
    assert import_labels.main(words) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{out}: 2 frames (1 without object), 3 objects, in ")
    assert lines == [
        "  in the source  objects  in the folder  objects",
        "  person               2  Pedestrian           2",
        "  fire hydrant         1  fire_hydrant         1",
        "note: names of classes were joined to one word: 1 ('fire hydrant' is fire_hydrant)",
        "note: boxes were clipped at the border of their picture: 1 (train/1.jpg person 150 20 250 "
        "70)",
        "lists of frames: train 2",
    ]
    tf_convert_data.main(["--dataset_root", str(out), "--split", "train"])
    one, two = read_frames(shard_paths(out / "tfrecord", "train"))
    assert one.objects.types.tolist() == ["Pedestrian", "fire_hydrant", "Pedestrian"]
    assert one.objects.boxes_xyxy[2].tolist() == [150, 20, 200, 70] and len(two.objects) == 0


def test_the_next_step_is_said_where_the_source_has_no_parts(coco, tmp_path, capsys):
    path = coco.rename(coco.with_name("labels.json"))
    words = ["--format", "coco", str(path), str(tmp_path / "out"), "--image_files", "copy"]
    import_labels.main([*words, "--image_dir", str(tmp_path / "in/train")])
    assert "mobilenetdet kitti_split --kitti_root" in capsys.readouterr().out


def test_a_type_whose_pictures_are_all_missing_has_no_object(coco, tmp_path, capsys):
    (tmp_path / "in/train/1.jpg").rename(tmp_path / "in/train/2.jpg")
    content = json.loads(coco.read_text())
    content["annotations"].append({"image_id": 2, "bbox": [1, 1, 50, 50], "category_id": 1})
    coco.write_text(json.dumps(content))
    words = ["--format", "coco", str(coco), str(tmp_path / "out"), "--skip_missing_images"]
    import_labels.main([*words, "--class_map", "person", "Car", "fire_hydrant", "Car"])
    assert capsys.readouterr().out.splitlines()[2:4] == [
        "  person               1  Car                  1",
        "  fire hydrant         0",
    ]


@pytest.mark.parametrize(
    ("how", "is_link", "is_same"),
    [("hardlink", False, True), ("symlink", True, True), ("copy", False, False)],
)
def test_pictures_are_linked_or_copied(coco, tmp_path, how, is_link, is_same):
    out = tmp_path / "out"
    import_labels.main(["--format", "coco", str(coco), str(out), "--image_files", how])
    first = out / "training/image_2/1.jpg"
    assert (first.is_symlink(), first.samefile(tmp_path / "in/train/1.jpg")) == (is_link, is_same)
    again = tmp_path / "again"
    export_labels.main(["--format", "voc", str(out), str(again), "--image_files", how])
    second = again / "JPEGImages/1.jpg"
    assert (second.is_symlink(), second.samefile(first)) == (is_link, is_same)


@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        (
            import_labels,
            "tf_records SRC out --image_dir SRC",
            "image_dir .* on --format tf_records; .* coco or yolo",
        ),
        (import_labels, "coco SRC out --label_map SRC", "label_map .* on --format coco; .* tf_rec"),
        (import_labels, "tf_records SRC out --image_files copy", "image_files .* on --format tf_"),
        (import_labels, "tf_records SRC out --skip_missing_images", "skip_missing_images .* on"),
        (export_labels, "coco KITTI out --coco_file SRC", "coco_file .* on the KITTI folder"),
        (export_labels, "yolo KITTI out --kitti_root SRC", "kitti_root .* on the KITTI folder"),
        (export_labels, "voc SRC out --split val", "split .* on the result files in"),
        (export_labels, "voc SRC out --image_files copy", "image_files .* on the result files in"),
        (export_labels, "voc SRC out --kitti_root SRC", "kitti_root .* on --format voc"),
        (export_labels, "yolo SRC out --coco_file SRC", "coco_file .* on --format yolo"),
    ],
)
def test_options_without_effect_are_refused(labelled_kitti, tmp_path, command, words, message):
    source = tmp_path / "source"
    source.mkdir()
    places = {"SRC": source, "KITTI": labelled_kitti.root, "out": tmp_path / "out"}
    words = [str(places.get(word, word)) for word in words.split()]
    with pytest.raises(ValueError, match=f"^--{message.replace(' .* ', ' has no effect ', 1)}"):
        command.main(["--format", *words])
    assert not (tmp_path / "out").exists()


def test_labels_go_out_and_results(labelled_kitti, tmp_path, capsys):
    words = [
        "--format",
        "coco",
        str(labelled_kitti.root),
        str(tmp_path / "coco"),
        "--image_files",
        "symlink",
    ]
    assert export_labels.main(words) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path / 'coco'}: train 2 frames, val 2 frames; Car 1, Pedestrian 1, Cyclist 1, "
        "Van 1, Person_sitting 1, DontCare 1\n"
    )
    assert (tmp_path / "coco/images/000000.png").is_symlink()
    results = tmp_path / "results"
    results.mkdir()
    line = labelled_kitti.label_path("000002").read_text().strip()
    (results / "000002.txt").write_text(f"{line} 0.75\n{line.replace('Pedestrian', 'Tree')} 0.5\n")
    words = ["--format", "coco", str(results), str(tmp_path / "out")]
    coco_file = tmp_path / "coco/annotations/instances_train.json"
    assert export_labels.main([*words, "--coco_file", str(coco_file)]) == 0
    (row,) = json.loads((tmp_path / "out/results.json").read_text())
    assert row == {
        "image_id": 1,
        "category_id": 2,
        "bbox": [0.0, 0.0, 33.33, 99.99],
        "score": 0.75,
    }
    assert "were left out: 1 (Tree)" in capsys.readouterr().out


def test_types_that_are_mapped_to_one_are_one(capsys):
    table = type_table(
        {"car": 1000, "van": 3, "crowd": 2},
        {"Car": 1002, "DontCare": 2},
        {"car": "Car", "van": "Car", "crowd": "DontCare"},
    )
    assert table == [
        "  in the source  objects  in the folder  objects",
        "  car              1,000  Car              1,002",
        "  van                  3",
        "  crowd                2  DontCare             2",
    ]
    assert type_table({}, {}, {}) == ["no object is labelled"]


def test_the_result_is_a_kitti_folder(coco, tmp_path):
    import_labels.main(["--format", "coco", str(coco.parent), str(tmp_path / "out")])
    layout = KittiLayout(tmp_path / "out")
    assert layout.check_frames().num_incomplete == 0
    assert layout.read_image_set("train") == ["1", "2"]
