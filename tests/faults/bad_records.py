"""TFRecord shards, their manifests, and what is in the records."""

import dataclasses
import io
import struct
from collections.abc import Callable, Sequence

import google_crc32c
import numpy as np
from faults.user_folder import CAR, UserFolder, bad
from fixtures.records import serialize_frame

from mobilenetdet.kitti.labels import parse_objects
from mobilenetdet.records.detection_record import decode_record
from mobilenetdet.records.manifest import (
    manifest_path,
    read_manifest,
    record_fingerprint,
    write_manifest,
)
from mobilenetdet.records.tfrecord import payload_checksum, read_records, write_record


def evaluate(user: UserFolder, *more) -> list:
    places = ["--data.records_dir", user.records, "--output_dir", user.out]
    return ["eval", "--run_dir", user.run, *places, "--eval.num_overlays", "0", *more]


def train(user: UserFolder, *more) -> list:
    config = ["--config", user.run / "config.json", "--data.records_dir", user.records]
    return ["train", *config, "--run_dir", user.out, *more]


def inspect(user: UserFolder, *more) -> list:
    return ["inspect_records", "--records_dir", user.records, "--num_frames", "0", *more]


def fit(user: UserFolder) -> list:
    return ["fit_anchors", "--records_dir", user.records, "--num_shapes", "2"]


def classify(user: UserFolder) -> list:
    data = ["--data.data_dir", user.classes / "tfrecord", "--data.num_classes", "4"]
    small = ["--model.alpha", "0.25", "--model.weights", "none", "--data.image_size", "32"]
    return ["train_classifier", "--preset", "imagenet", *data, *small, "--run_dir", user.out]


def masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def length_only(length: int) -> bytes:
    """The header of a record of that length, with its right checksum."""
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", masked(google_crc32c.value(packed)))


def shard(content: bytes | Callable[[bytes], bytes], command: Callable = evaluate):
    """Changes the bytes of the first shard of val; the manifest knows its size."""

    def make(user: UserFolder) -> list:
        path = user.records / "val_000.tfrecord"
        new = content(path.read_bytes()) if callable(content) else content
        path.write_bytes(new)
        resize(user, len(new))
        return command(user)

    return make


def resize(user: UserFolder, num_bytes: int, **changes) -> None:
    path = manifest_path(user.records, "val", partial=False)
    manifest = read_manifest(path)
    first = dataclasses.replace(manifest.shards[0], num_bytes=num_bytes, **changes)
    write_manifest(path, dataclasses.replace(manifest, shards=(first, *manifest.shards[1:])))


def records(change: Callable[[list[bytes]], Sequence[bytes]], command: Callable = evaluate):
    """Changes the records of the first shard of val; the manifest agrees with them."""

    def make(user: UserFolder) -> list:
        path = user.records / "val_000.tfrecord"
        payloads = change(list(read_records(path)))
        buffer = io.BytesIO()
        for payload in payloads:
            write_record(buffer, [payload])
        path.write_bytes(buffer.getvalue())
        marks = [record_fingerprint(frame_id(p), payload_checksum(p)) for p in payloads]
        known = {"num_frames": len(payloads), "fingerprint": sum(marks) % 2**64}
        resize(user, path.stat().st_size, **known)
        return command(user)

    return make


def frame_id(payload: bytes) -> str:
    try:
        return decode_record(payload).frame_id
    except ValueError:
        return ""


def frame(**changes) -> Callable:
    """A record of another frame."""

    def change(payloads: list[bytes]) -> list[bytes]:
        old = decode_record(payloads[0])
        values = {"frame_id": old.frame_id, "encoded": old.encoded, "image_format": old.format}
        values |= {"image_size": (old.height, old.width), "objects": old.objects}
        return [serialize_frame(**(values | changes))]

    return change


def objects(box: float = 10.0, **changes):
    found = parse_objects(CAR.format(1), "label")
    boxes = np.array([[box, 14.0, 70.0, 44.0]])
    return dataclasses.replace(found, boxes_xyxy=boxes, **changes)


def gone(name: str, command: Callable, *, of: str = "records"):
    """Removes a file of the records."""

    def make(user: UserFolder) -> list:
        folder = user.records if of == "records" else user.classes / "tfrecord"
        (folder / name).unlink()
        return command(user)

    return make


def twice(user: UserFolder) -> list:
    """The same shard under two names."""
    first, second = (user.records / f"val_00{n}.tfrecord" for n in (0, 1))
    second.write_bytes(first.read_bytes())
    path = manifest_path(user.records, "val", partial=False)
    found = read_manifest(path)
    copy = dataclasses.replace(found.shards[0], name=second.name)
    shards = (found.shards[0], copy, *found.shards[2:])
    write_manifest(path, dataclasses.replace(found, shards=shards))
    return evaluate(user)


def fewer_images(user: UserFolder) -> list:
    """A shard of classified images with fewer records than the manifest says, at its size."""
    path = user.classes / "tfrecord/val_000.tfrecord"
    payloads = list(read_records(path))
    buffer = io.BytesIO()
    write_record(buffer, [payloads[0]])
    rest = path.stat().st_size - buffer.tell()
    write_record(buffer, [bytes(rest - 16)])
    path.write_bytes(buffer.getvalue())
    return classify(user)


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


# A varint of eleven bytes, where a message says how long its first field is.
LONG_VARINT = b"\x0a" + b"\xff" * 10 + b"\x01"
AGAIN = "convert|mobilenetdet tf_convert_data|write the file again"

SHARDS = [
    bad("a record of 2^62 bytes", shard(length_only(2**62)), "val_000.tfrecord: record 0", AGAIN),
    bad("the same, in training", shard(length_only(2**62), train), "val_000.tfrecord", AGAIN),
    bad(
        "a record of 2^64 bytes less one",
        shard(length_only(2**64 - 1), inspect),
        "val_000.tfrecord",
    ),
    bad("a flipped bit", shard(flipped), "val_000.tfrecord: record 0 is cut off or damaged"),
    bad(
        "a flipped bit, in training", shard(flipped, train), "val_000.tfrecord: record 0 .*damaged"
    ),
    bad("a shard gone, for anchors", gone("train_000.tfrecord", fit), "train_000.tfrecord is gone"),
    bad("a shard that is empty", shard(b""), "val_000.tfrecord holds 0 frames and val.json says 1"),
    bad("a shard of text", shard(b"hello, world, how are you?"), "val_000.tfrecord: record 0"),
    bad(
        "a shard cut off",
        lambda u: (u.records / "val_000.tfrecord").write_bytes(b"short") and evaluate(u),
        "val_000.tfrecord has 5 bytes and was written with",
        "mobilenetdet tf_convert_data --split val .*--overwrite",
    ),
    bad("a shard gone", gone("val_001.tfrecord", evaluate), "val_001.tfrecord is gone", AGAIN),
    bad(
        "a shard gone, in training", gone("train_001.tfrecord", train), "train_001.tfrecord is gone"
    ),
    bad("a frame twice", twice, "val_001.tfrecord: frame 000008 is in .*val_000.tfrecord already"),
    bad(
        "a shard of another conversion",
        records(frame(frame_id="000077")),
        code=0,
        writes=("out",),
    ),
    bad(
        "a shard that was edited",
        shard(lambda content: content[: len(content) // 2] * 2, inspect),
        "val_000.tfrecord",
    ),
    bad(
        "a shard of classified images that was edited",
        fewer_images,
        "val_000.tfrecord holds 2 frames and val.json says",
        "mobilenetdet imagenet_convert",
    ),
    bad(
        "a shard of classified images gone",
        gone("val_000.tfrecord", classify, of="classes"),
        "val_000.tfrecord is gone",
        "mobilenetdet imagenet_convert",
    ),
    bad("no records", lambda u: evaluate(u, "--split", "test"), "no records of test in", AGAIN),
    bad(
        "records that are elsewhere",
        lambda u: [*evaluate(u), "--data.records_dir", u.root / "nowhere"],
        "no records of val in .*nowhere",
    ),
]

RECORDS = [
    bad("a varint over 64 bits", records(lambda p: [LONG_VARINT]), "not a tf.train.Example"),
    bad("bytes that are no message", records(lambda p: [b"\xff\xff"]), "not a tf.train.Example"),
    bad("an empty record", records(lambda p: [b""]), "a record without 'image/encoded'"),
    bad(
        "an id that is a path",
        records(frame(frame_id="../../escaped")),
        "val_000.tfrecord: a record: '../../escaped' is no frame id",
    ),
    bad(
        "an id with an escape sequence",
        records(frame(frame_id="\x1b[2J")),
        "val_000.tfrecord: a record: .*control character",
    ),
    bad(
        "a box that is NaN",
        records(frame(objects=objects(np.nan))),
        "val_000.tfrecord: a record with a number that is not finite; convert the data again",
    ),
    bad(
        "a box of 1e30",
        records(frame(objects=objects(-1e30))),
        "val_000.tfrecord: a record: box -1e.30 14 70 44 lies far outside of any image",
    ),
    bad(
        "a type with an escape sequence",
        records(frame(objects=objects(types=np.array(["\x1b[2J"])))),
        "val_000.tfrecord: a record with the type",
    ),
    bad(
        "an image of another size",
        records(frame(image_size=(10, 10))),
        "frame 000008: the image is 192x64 pixels, but its record says 10x10",
        "convert again",
    ),
    bad("an image of no size", records(frame(image_size=(-5, 192))), "an image of 192x-5 pixels"),
    bad(
        "an image that cannot be decoded",
        records(frame(encoded=b"\x89PNG\r\n\x1a\nnone")),
        "frame 000008: its 12 bytes cannot be decoded",
        "convert again",
    ),
]

CASES = {"shards": SHARDS, "records": RECORDS}
