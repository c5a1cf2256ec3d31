"""One frame to a record and back, with us and with TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf
from fixtures.records import serialize_frame

from mobilenetdet.kitti.labels import KittiObjects, parse_objects, read_objects
from mobilenetdet.records.detection_record import (
    CLASS_IDS,
    RecordFrame,
    class_ids,
    decode_record,
    frame_features,
    read_frames,
)
from mobilenetdet.records.tfrecord import encode_example, write_record

HEIGHT, WIDTH = 375, 1242
LABELS = """\
Truck 0.00 0 -1.57 599.41 156.40 629.75 189.25 2.85 2.63 12.34 0.47 1.49 69.44 -1.56
DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10
car 0.88 3 -0.69 0.00 192.37 1241.99 374.00 1.60 1.57 3.23 -2.70 1.74 3.68 -1.29
Car 0.00 1 2.04 -3.25 172.11 1250.00 380.12 1.55 1.65 4.25 16.53 2.39 58.49 1.57
Person_sitting 0.00 2 1.94 730.31 171.01 744.54 202.33 1.20 0.60 0.80 2.70 1.30 40.00 2.01
"""
OBJECTS = parse_objects(LABELS, "000001.txt")
FIELDS = [name for name, value in vars(OBJECTS).items() if value is not None]


def serialize(objects=OBJECTS, image_format="png"):
    return serialize_frame("000001", b"pixels", image_format, (HEIGHT, WIDTH), objects)


def assert_same(actual, expected):
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name), name)


@pytest.mark.parametrize("objects", [OBJECTS, OBJECTS[:1], KittiObjects.empty()])
def test_every_field_comes_back_in_order(objects):
    frame = decode_record(serialize(objects))
    assert (frame.frame_id, frame.encoded, frame.format) == ("000001", b"pixels", "png")
    assert (frame.height, frame.width) == (HEIGHT, WIDTH)
    assert_same(frame.objects, objects)


@pytest.mark.parametrize("objects", [OBJECTS, KittiObjects.empty()])
def test_tensorflow_parses_the_same(objects):
    scalars = {
        **dict.fromkeys(("encoded", "format", "source_id"), tf.string),
        **dict.fromkeys(("height", "width"), tf.int64),
    }
    lists = {
        "class/text": tf.string,
        **dict.fromkeys(("class/label", "occluded"), tf.int64),
        **dict.fromkeys(("truncated", "alpha"), tf.float32),
        **{f"bbox/{side}": tf.float32 for side in ("xmin", "ymin", "xmax", "ymax")},
        **{f"3d_bbox/{key}": tf.float32 for key in ("height", "width", "length", *"xyz", "rot_y")},
    }
    features = {f"image/{k}": tf.io.FixedLenFeature([], dtype) for k, dtype in scalars.items()}
    for key, dtype in lists.items():
        kind = tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True)
        features[f"image/object/{key}"] = kind
    parsed = tf.io.parse_single_example(serialize(objects), features)
    image = {key: parsed[f"image/{key}"].numpy() for key in scalars}
    expected = {"encoded": b"pixels", "format": b"png", "source_id": b"000001"}
    assert image == {**expected, "height": HEIGHT, "width": WIDTH}
    found = {key: parsed[f"image/object/{key}"].numpy() for key in lists}
    assert found["class/text"].astype(str).tolist() == objects.types.tolist()
    assert found["class/label"].tolist() == class_ids(objects.types).tolist()
    left, top, right, bottom = objects.boxes_xyxy.T
    height, width, length = objects.dimensions_hwl.T
    x, y, z = objects.locations_xyz.T
    for key, values, scale in (
        *(("bbox/xmin", left, WIDTH), ("bbox/xmax", right, WIDTH)),
        *(("bbox/ymin", top, HEIGHT), ("bbox/ymax", bottom, HEIGHT)),
        *(("3d_bbox/height", height, 1), ("3d_bbox/width", width, 1)),
        *(("3d_bbox/length", length, 1), ("3d_bbox/rot_y", objects.rotation_y, 1)),
        *(("3d_bbox/x", x, 1), ("3d_bbox/y", y, 1), ("3d_bbox/z", z, 1)),
        *(("truncated", objects.truncated, 1), ("alpha", objects.alpha, 1)),
        ("occluded", objects.occluded, 1),
    ):
        np.testing.assert_allclose(found[key] * scale, values, rtol=1e-6, atol=2e-4, err_msg=key)


def test_the_keys_are_the_object_detection_apis():
    """Read as object_detection's TfExampleDecoder reads it: FixedLen and VarLen features."""
    image_keys = ("encoded", "format", "filename", "source_id")
    keys = {f"image/{key}": tf.io.FixedLenFeature((), tf.string) for key in image_keys}
    for key in ("height", "width"):
        keys[f"image/{key}"] = tf.io.FixedLenFeature((), tf.int64)
    for side in ("xmin", "ymin", "xmax", "ymax"):
        keys[f"image/object/bbox/{side}"] = tf.io.VarLenFeature(tf.float32)
    keys["image/object/class/text"] = tf.io.VarLenFeature(tf.string)
    keys["image/object/class/label"] = tf.io.VarLenFeature(tf.int64)
    keys["image/object/truncated"] = tf.io.VarLenFeature(tf.float32)
    for name in ("height", "width", "length", "x", "y", "z", "rot_y"):
        keys[f"image/object/3d_bbox/{name}"] = tf.io.VarLenFeature(tf.float32)
    parsed = tf.io.parse_single_example(serialize(image_format="jpeg"), keys)
    assert parsed["image/filename"].numpy() == b"000001.jpg"
    assert parsed["image/source_id"].numpy() == b"000001"
    assert parsed["image/object/class/text"].values[1].numpy() == b"DontCare"
    assert parsed["image/object/class/label"].values.numpy().tolist() == [5, 9, 1, 1, 6]
    xmax = parsed["image/object/bbox/xmax"].values.numpy()
    np.testing.assert_allclose(xmax, OBJECTS.boxes_xyxy[:, 2] / WIDTH, rtol=1e-6)
    rotation = parsed["image/object/3d_bbox/rot_y"].values.numpy()
    np.testing.assert_allclose(rotation, OBJECTS.rotation_y, rtol=1e-6)


def test_two_decimals_survive_float32():
    rng = np.random.default_rng(0)
    boxes = np.round(rng.uniform(-20, 1300, (5000, 4)), 2)
    scores = np.zeros(len(boxes))
    objects = KittiObjects.from_detections(["Car"] * len(boxes), boxes, scores)
    np.testing.assert_array_equal(decode_record(serialize(objects)).objects.boxes_xyxy, boxes)


def test_sha256_where_it_is_asked_for():
    frame = RecordFrame("000001", b"abc", "png", 1, 1, KittiObjects.empty())
    assert "image/key/sha256" not in frame_features(frame)
    expected = b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert frame_features(frame, sha256=True)["image/key/sha256"] == expected


def test_class_ids_leave_the_background_free():
    assert sorted(CLASS_IDS.values()) == list(range(1, len(CLASS_IDS) + 1))
    assert class_ids(["car", "DONTCARE"]).tolist() == [1, 9]


def test_any_type_is_kept_by_its_name():
    names = ["Scooter", "traffic_light", "SCOOTER", "Bus", "Straßenbahn"]
    objects = KittiObjects.from_detections(names, np.zeros((5, 4)), np.zeros(5))
    assert decode_record(serialize(objects)).objects.types.tolist() == names
    ids = class_ids(names)
    assert ids.min() >= 10 and ids.max() < 2**31 and ids[0] == ids[2]
    assert len(set(ids.tolist())) == 4
    # 10 + zlib.crc32(b"scooter") % 2**30, the same for ever.
    assert ids[0] == 64102549


def test_an_unknown_format_is_refused():
    with pytest.raises(ValueError, match="frame 000001: format 'gif'"):
        serialize(image_format="gif")


def test_other_records_are_refused_by_file(tmp_path):
    path = tmp_path / "other.tfrecord"
    with open(path, "wb") as file:
        write_record(file, encode_example({"image/encoded": b"x"}))
    with pytest.raises(ValueError, match=r"other\.tfrecord: a record without 'image/format'"):
        list(read_frames([path]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_by_file(tmp_path, value):
    boxes = np.array([[0.0, 0.0, value, 1.0]])
    objects = KittiObjects.from_detections(["Car"], boxes, np.ones(1))
    path = tmp_path / "other.tfrecord"
    with open(path, "wb") as file:
        write_record(file, [serialize_frame("000000", b"x", "png", (1, 1), objects)])
    with pytest.raises(ValueError, match=r"other\.tfrecord: a record with a number .* not finite"):
        list(read_frames([path]))


def test_real_labels(shared_dir):
    for path in sorted((shared_dir / "kitti/training/label_2").iterdir())[::40]:
        objects = read_objects(path)
        assert_same(decode_record(serialize(objects)).objects, objects)


@pytest.mark.parametrize("frame_id", ["../../home/x", "a/000000", ".000000", ""])
def test_a_record_whose_id_would_be_a_path_is_refused(tmp_path, frame_id):
    """Result files and overlays are named by it."""
    path = tmp_path / "train_000.tfrecord"
    with open(path, "wb") as file:
        write_record(file, [serialize_frame(frame_id, b"x", "png", (1, 1), OBJECTS)])
    with pytest.raises(ValueError, match=r"train_000\.tfrecord: a record: .* is no frame id"):
        list(read_frames([path]))
