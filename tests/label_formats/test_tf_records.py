"""Records as the TensorFlow Object Detection API's scripts write them, by TensorFlow itself."""

import csv

import cv2
import numpy as np
import pytest
from fixtures.label_folders import draw_picture, lines_of, run_import

from mobilenetdet.cli import import_labels, tf_convert_data, train
from mobilenetdet.kitti.labels import read_objects
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.label_formats.tf_records import read_label_map
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.kitti_convert import convert_split
from mobilenetdet.records.shards import shard_paths

LABEL_MAP = """# of the tutorial
item {
  id: 1
  name: 'car'
}
item { name: "/m/01g317", id: 2  display_name: "traffic light" }
"""
BOXES = {"xmin": [0.1, 0.5], "xmax": [0.30005, 1.0], "ymin": [0.25, 0.0], "ymax": [0.75, 0.5]}


def write_records(path, tmp_path, **changes):
    """Writes one record with the keys of create_pascal_tf_record.py; None leaves a key out."""
    import tensorflow as tf

    lists = {bytes: tf.train.BytesList, float: tf.train.FloatList, int: tf.train.Int64List}
    kinds = {bytes: "bytes_list", float: "float_list", int: "int64_list"}
    values = {
        "height": [100],
        "width": [200],
        "filename": [b"2007_1.jpg"],
        "source_id": [b"2007_1.jpg"],
        "encoded": [draw_picture(tmp_path / "picture.jpg").read_bytes()],
        "format": [b"jpeg"],
        "object/class/text": [b"car", b"traffic light"],
        "object/class/label": [1, 2],
        "object/difficult": [0, 1],
        "object/truncated": [1, 0],
        "object/view": [b"Left", b"Unspecified"],
        **{f"object/bbox/{side}": numbers for side, numbers in BOXES.items()},
    } | changes
    feature = {
        f"image/{key}": tf.train.Feature(
            **{kinds[type(value[0])]: lists[type(value[0])](value=value)}
        )
        for key, value in values.items()
        if value is not None
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(example.SerializeToString())
    return path


def test_records_of_the_api_become_our_records(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write_records(folder / "pascal_train.record-00000-of-00001", tmp_path)
    write_records(folder / "pascal_val.record", tmp_path, filename=[b"a/2.jpg"])
    report = run_import("tf_records", folder, tmp_path / "out", class_map={"car": "Car"})
    assert report.splits == {"train": 1, "val": 1}
    assert list(report.notes.names)[0] == "difficult objects do not count (occlusion 3)"
    layout = KittiLayout(tmp_path / "out")
    assert layout.image_path("2007_1").read_bytes() == (tmp_path / "picture.jpg").read_bytes()
    convert_split(layout, "train", tmp_path / "records")
    (frame,) = read_frames(shard_paths(tmp_path / "records", "train"))
    assert frame.frame_id == "2007_1" and (frame.width, frame.height) == (200, 100)
    assert frame.objects.types.tolist() == ["Car", "traffic_light"]
    np.testing.assert_allclose(
        frame.objects.boxes_xyxy, [[20, 25, 60.01, 75], [100, 0, 200, 50]], atol=1e-3
    )
    assert frame.objects.truncated.tolist() == [0.3, 0] and frame.objects.occluded.tolist() == [
        -1,
        3,
    ]


def test_folders_of_records_are_parts_as_roboflow_writes_them(tmp_path):
    for part in ("train", "valid"):
        folder = tmp_path / "in" / part
        folder.mkdir(parents=True)
        name = f"{part}.jpg".encode()
        write_records(folder / "Cars.tfrecord", tmp_path, filename=[name], source_id=[name])
        (folder / "Cars_label_map.pbtxt").write_text(LABEL_MAP)
    report = run_import("tf_records", tmp_path / "in", tmp_path / "out")
    assert report.splits == {"train": 1, "val": 1}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("coco_train.record-00000-of-00010", "train"),
        ("coco_val.record-00000-of-00010", "val"),
        ("pascal_train.record", "train"),
        ("pet_faces_train.record-00000-of-00010", "train"),
        ("oid_train.tfrecord-00001-of-00100", "train"),
        ("train-00000-of-00010.tfrecord", "train"),
        ("train-00000-of-00256", "train"),
        ("coco_testdev.record-00000-of-00100", "coco_testdev"),
        ("val_001.tfrecords", "val"),
    ],
)
def test_usual_names_are_found_and_what_lies_beside_is_not(tmp_path, name, part):
    """Names of create_{coco,pascal,pet,oid}_tf_record.py, and files of trained models."""
    folder = tmp_path / "in"
    folder.mkdir()
    write_records(folder / name, tmp_path)
    for other in (
        *("model.ckpt-0.data-00000-of-00001", "model.ckpt-0.index", "checkpoint"),
        *("ckpt-3.data-00000-of-00002", "predictions.csv-00000-of-00001", "pipeline.config"),
        *("generate_tfrecord.py", "tf_record_map.pbtxt", "create_tf_record.ipynb"),
    ):
        (folder / other).write_text("no record")
    report = run_import("tf_records", folder, tmp_path / "out")
    assert report.splits == {part: 1}
    assert ("sets of files are not all there" in report.notes.names) == ("-of-" in name)


def test_a_set_of_which_files_are_absent_is_told(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a_train.record-00000-of-00003", "a_train.record-00002-of-00003"):
        write_records(folder / name, tmp_path)
    for name in ("val-00001-of-00002.tfrecord", "val-00002-of-00002.tfrecord"):
        write_records(folder / name, tmp_path)
    report = run_import("tf_records", folder, tmp_path / "out")
    told = report.notes.names["sets of files are not all there"]
    assert told == ["a_train.record-*-of-00003: 2 of 3"]
    alone = run_import("tf_records", folder / "a_train.record-00000-of-00003", tmp_path / "one")
    assert "sets of files are not all there" not in alone.notes.names


def test_numbers_of_classes_need_a_label_map(tmp_path):
    path = write_records(tmp_path / "a.tfrecord", tmp_path, **{"object/class/text": None})
    with pytest.raises(ValueError, match=r"a.tfrecord, record 0: .*--label_map FILE.pbtxt"):
        run_import("tf_records", path, tmp_path / "out")
    label_map = tmp_path / "map.pbtxt"
    label_map.write_text(LABEL_MAP)
    report = run_import("tf_records", path, tmp_path / "out", label_map=label_map)
    assert report.read == {"car": 1, "traffic light": 1}
    label_map.write_text("item { id: 1 name: 'car' }")
    with pytest.raises(ValueError, match="class 2 is not in the label map"):
        run_import("tf_records", path, tmp_path / "out_2", label_map=label_map)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        # As google.protobuf.text_format prints it.
        (r'item { id: 1 name: "Fu\303\237g\303\244nger" }', {1: "Fußgänger"}),
        ("item { id: 1 name: 'C# {a}' }  # }", {1: "C# {a}"}),
        (r"item { id: 1 name: 'driver\'s seat' }", {1: "driver's seat"}),
        (
            'item { id: 7 name: "face" keypoints { id: 0 label: "nose" } keypoints { id: 1 } } '
            'item { id: 8 name: "hand" }',
            {7: "face", 8: "hand"},
        ),
    ],
)
def test_label_maps_are_read_as_protobuf_reads_them(tmp_path, text, names):
    path = tmp_path / "map.pbtxt"
    path.write_text(text, encoding="utf-8")
    assert read_label_map(path) == names


def test_a_label_map_goes_before_names_in_the_records(tmp_path):
    """Those of Open Images are codes."""
    names = {"object/class/text": [b"/m/0k4j", b"traffic light"]}
    path = write_records(tmp_path / "oid_train.record", tmp_path, **names)
    (tmp_path / "map.pbtxt").write_text(LABEL_MAP)
    report = run_import("tf_records", path, tmp_path / "out", label_map=tmp_path / "map.pbtxt")
    assert report.read == {"car": 1, "traffic light": 1}
    what = "names of the label map were taken, not those in the records"
    assert report.notes.names[what] == ["2007_1.jpg: car, not /m/0k4j"]


def test_crowds_are_dont_care(tmp_path):
    path = write_records(
        tmp_path / "coco_val.record",
        tmp_path,
        **{"object/is_crowd": [1, 0], "object/difficult": None, "object/truncated": None},
    )
    report = run_import("tf_records", path, tmp_path / "out")
    assert lines_of(tmp_path / "out", "2007_1")[0] == "DontCare 20.00 25.00 60.01 75.00"
    assert report.written == {"DontCare": 1, "traffic_light": 1}


def test_our_own_records_come_back(labelled_kitti, tmp_path):
    convert_split(labelled_kitti, "train", tmp_path / "records")
    report = run_import("tf_records", tmp_path / "records", tmp_path / "out")
    assert report.splits == {"train": 2}
    for frame_id in labelled_kitti.read_image_set("train"):
        text = KittiLayout(tmp_path / "out").label_path(frame_id).read_text()
        assert text == labelled_kitti.label_path(frame_id).read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoded": None}, "no picture in image/encoded"),
        ({"object/bbox/xmin": [0.1]}, "sides of boxes are of different numbers"),
        ({"object/class/text": None, "object/class/label": None}, "2 boxes, 0 names and 0 numbers"),
        ({"object/bbox/xmin": [float("nan"), 0.1]}, "it needs numbers"),
        ({"object/bbox/ymax": [0.5, 120.0]}, "bbox/ymax is 120; it must be a share of .* divide"),
        ({"object/class/text": [b"car", b"F\xfc"]}, r"b'F.xfc', which is no UTF-8 text"),
    ],
)
def test_damaged_records_are_told(tmp_path, changes, message):
    path = write_records(tmp_path / "a.record", tmp_path, **changes)
    with pytest.raises(ValueError, match=message):
        run_import("tf_records", path, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="holds no TFRecord files"):
        run_import("tf_records", tmp_path / "absent", tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no item"),
        ("item { name: 'a' }", "without id or name"),
        (r"item { id: 1 name: 'a\xg' }", "map.pbtxt: 'a.*' is no text of a label map"),
    ],
)
def test_damaged_label_maps_are_told(tmp_path, text, message):
    path = tmp_path / "map.pbtxt"
    path.write_text(LABEL_MAP)
    assert read_label_map(path) == {1: "car", 2: "traffic light"}
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_label_map(path)


def test_records_of_the_api_are_trained_on(small_kitti, tmp_path, capsys):
    """As a reader of docs/label_formats.md does: imported, converted, a few steps of training."""
    source, run = tmp_path / "in", tmp_path / "run"
    source.mkdir()
    layout = KittiLayout(small_kitti)
    for part in ("train", "val"):
        frame_ids = layout.read_image_set(part)
        for index, frame_id in enumerate(frame_ids):
            objects = read_objects(layout.label_path(frame_id))
            height, width = cv2.imread(str(layout.image_path(frame_id))).shape[:2]
            shares = (objects.boxes_xyxy / (width, height, width, height)).T.tolist()
            name = f"{frame_id}.png".encode()
            path = source / f"{part}.record-{index:05d}-of-{len(frame_ids):05d}"
            columns = dict(zip(("xmin", "ymin", "xmax", "ymax"), shares, strict=True))
            flags = [0] * len(objects)
            changes = {
                **{f"object/bbox/{side}": values for side, values in columns.items()},
                "object/class/text": [name.encode() for name in objects.types.tolist()],
                "object/class/label": list(range(1, len(objects) + 1)),
                **{"object/difficult": flags, "object/truncated": flags, "object/view": None},
                "encoded": [layout.image_path(frame_id).read_bytes()],
            }
            # Where there are no objects, TensorFlow's lists have no type.
            changes = {key: value or None for key, value in changes.items()}
            write_records(path, tmp_path, filename=[name], source_id=[name], **changes)
    with pytest.raises(FileNotFoundError, match="mobilenetdet import .* --format tf_records"):
        train.main(["--run_dir", str(run), "--data.records_dir", str(source)])
    folder = tmp_path / "kitti"
    assert import_labels.main([str(source), str(folder), "--format", "tf_records"]) == 0
    assert tf_convert_data.main(["--dataset_root", str(folder)]) == 0
    ours, theirs = small_kitti / "tfrecord", folder / "tfrecord"
    for one, other in zip(
        read_frames(shard_paths(ours, "train")),
        read_frames(shard_paths(theirs, "train")),
        strict=True,
    ):
        assert one.encoded == other.encoded
        assert one.objects.types.tolist() == other.objects.types.tolist()
        np.testing.assert_allclose(one.objects.boxes_xyxy, other.objects.boxes_xyxy, atol=2e-3)
    small = "--model.alpha 0.25 --model.weights none --head.channels 16 --train.epochs 1"
    size = "--data.image_height 64 --data.image_width 192 --eval.num_overlays 0"
    options = ["--preset", "squeezedet", "--data.records_dir", str(theirs), *small.split()]
    assert train.main(["--run_dir", str(run), *options, *size.split()]) == 0
    (row,) = csv.DictReader((run / "metrics.csv").open())
    assert float(row["loss"]) > 0 and (run / "best.weights.h5").is_file()
