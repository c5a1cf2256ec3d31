"""Our TFRecord files and Examples against TensorFlow's own, both ways."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from mobilenetdet.records.tfrecord import (
    decode_example,
    encode_example,
    read_records,
    record_lengths,
    write_record,
)

FLOATS = st.lists(st.floats(width=32, allow_nan=False), max_size=40)
INTS = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20)
STRINGS = st.lists(st.binary(max_size=300), max_size=20)


def reference(features):
    """The same Example made by TensorFlow."""
    example = tf.train.Example()
    for key, value in features.items():
        feature = example.features.feature[key]
        if isinstance(value, list):
            feature.bytes_list.value.extend(value)
        elif value.dtype.kind == "f":
            feature.float_list.value.extend(value.tolist())
        else:
            feature.int64_list.value.extend(value.tolist())
        feature.SetInParent()
    return example


def encode(features):
    return b"".join(encode_example(features))


@given(floats=FLOATS, ints=INTS, strings=STRINGS)
def test_examples_are_tensorflows(floats, ints, strings):
    features = {
        "floats": np.array(floats, np.float32),
        "ints": np.array(ints, np.int64),
        "strings": strings,
    }
    expected = reference(features)
    ours = tf.train.Example.FromString(encode(features))
    for key in ("floats", "ints"):
        for kind in ("float_list", "int64_list"):
            value = getattr(ours.features.feature[key], kind).value
            assert list(value) == list(getattr(expected.features.feature[key], kind).value)
    assert list(ours.features.feature["strings"].bytes_list.value) == strings

    decoded = decode_example(expected.SerializeToString())
    assert decoded["strings"] == strings
    np.testing.assert_array_equal(decoded["floats"], features["floats"], strict=bool(floats))
    np.testing.assert_array_equal(decoded["ints"], features["ints"], strict=bool(ints))


@given(floats=FLOATS, ints=INTS, strings=STRINGS)
def test_their_bytes_are_protobufs(floats, ints, strings):
    """So that records of earlier versions keep their fingerprints."""
    features = {
        "strings": strings,
        "ints": np.array(ints, np.int64),
        "floats": np.array(floats, np.float32),
        "without floats": np.empty(0, np.float32),
        "without ints": np.empty(0, np.int64),
        "without strings": [],
    }
    assert encode(features) == reference(features).SerializeToString(deterministic=True)


def test_single_values_and_a_large_image_keep_their_buffers():
    image = bytes(range(256)) * 4000
    parts = encode_example({"height": 375, "image": image})
    assert any(part is image for part in parts)
    example = tf.train.Example.FromString(b"".join(parts))
    assert example.features.feature["height"].int64_list.value[:] == [375]
    assert example.features.feature["image"].bytes_list.value[:] == [image]


def test_the_bytes_do_not_depend_on_the_run():
    """The fingerprint of records goes by them: entries stand in the order of their keys."""
    features = {f"key {index:02}": np.arange(index) for index in reversed(range(40))}
    message = encode(features)
    places = [message.index(key.encode()) for key in sorted(features)]
    assert places == sorted(places)


def test_the_docstrings_example():
    assert len(encode({"a": b"x"})) == 14


@pytest.mark.parametrize(
    "message", [b"\x0a\xff", b"\x0a\x04\x0a\x02\x0a", b"junk", b"\x0a\x02\x0a"]
)
def test_what_tensorflow_refuses_is_no_example(message):
    with pytest.raises(Exception, match="Error parsing message"):
        tf.train.Example.FromString(message)
    with pytest.raises(ValueError, match=r"not a tf\.train\.Example"):
        decode_example(message)


def test_fields_of_a_later_version_are_passed_over():
    """As protocol buffers have it, and TensorFlow with them."""
    message = b"\x08\x01" + encode({"a": b"x"})
    assert tf.train.Example.FromString(message).features.feature["a"].bytes_list.value == [b"x"]
    assert decode_example(message) == {"a": [b"x"]}


def test_images_may_stand_anywhere_among_the_features():
    image, other = bytes(10_000), bytes(5_000)
    features = {"first": image, "height": 3, "second": other, "name": b"x"}
    keys = {key: tf.io.FixedLenFeature([], tf.string) for key in ("first", "second", "name")}
    parsed = tf.io.parse_single_example(
        encode(features), keys | {"height": tf.io.FixedLenFeature([], tf.int64)}
    )
    assert {key: value.numpy() for key, value in parsed.items()} == features
    assert decode_example(encode(features))["second"] == [other]


def test_files_are_tensorflows(tmp_path):
    payloads = [b"", b"x", b"y" * 100_000]
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    with open(ours, "wb") as file:
        for payload in payloads:
            write_record(file, [payload[:1], payload[1:]])
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        for payload in payloads:
            writer.write(payload)
    assert ours.read_bytes() == theirs.read_bytes()
    assert list(read_records(theirs)) == payloads
    with tf.io.TFRecordWriter(str(theirs), tf.io.TFRecordOptions("GZIP")) as writer:
        writer.write(b"x")
    with pytest.raises(ValueError, match=r"theirs: the file is packed by gzip; unpack it"):
        list(read_records(theirs))


@pytest.mark.parametrize(
    ("damage", "record"),
    [
        (lambda data: data[:-1], 1),  # cut off in a checksum
        (lambda data: data[:30], 1),  # cut off in a payload
        (lambda data: data[:21], 1),  # cut off in a header
        (lambda data: b"\x09" + data[1:], 0),  # length changed
        (lambda data: data[:12] + b"!" + data[13:], 0),  # payload changed
    ],
)
def test_damage_names_file_and_record(tmp_path, damage, record):
    path = tmp_path / "train_000.tfrecord"
    with open(path, "wb") as file:
        for payload in (b"a", b"b" * 20):
            write_record(file, [payload])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"train_000\.tfrecord: record {record} is cut off"):
        list(read_records(path))


@pytest.mark.parametrize(("cut", "whole"), [(0, True), (1, False), (40, False)])
def test_counting_reads_lengths_alone(tmp_path, cut, whole):
    path = tmp_path / "records"
    with path.open("wb") as file:
        for size in (0, 5, 1000):
            write_record(file, [bytes(size)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size - cut])
    if whole:
        assert record_lengths(path) == [0, 5, 1000]
    else:
        with pytest.raises(ValueError, match="records: record 2 is cut off"):
            record_lengths(path)


def test_counting_finds_what_is_no_tfrecord_file(tmp_path):
    (tmp_path / "text").write_text("no records" * 10)
    with pytest.raises(ValueError, match="text: record 0 is cut off or damaged"):
        record_lengths(tmp_path / "text")
