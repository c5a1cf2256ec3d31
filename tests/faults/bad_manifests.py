"""Manifests of records, and what is asked of records that are whole."""

import json
from collections.abc import Callable

from faults.bad_records import inspect, train
from faults.user_folder import UserFolder, bad


def manifest(change: Callable[[dict], object], command: Callable = inspect):
    """Changes the manifest of val."""

    def make(user: UserFolder) -> list:
        path = user.records / "val.json"
        values = json.loads(path.read_text())
        new = change(values)
        path.write_text(json.dumps(values if new is None else new))
        return command(user)

    return make


def text_of_manifest(text: str | bytes, command: Callable = inspect):
    def make(user: UserFolder) -> list:
        path = user.records / "val.json"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return command(user)

    return make


MANIFESTS = [
    bad("a manifest that is no JSON", text_of_manifest("{"), "val.json is not the manifest"),
    bad("a manifest in UTF-16", text_of_manifest("{}".encode("utf-16")), "val.json .*UTF-16"),
    bad("a manifest of another kind", text_of_manifest("[1, 2]"), "val.json is not the manifest"),
    bad("a manifest of brackets", text_of_manifest("[" * 5000), "val.json is not the manifest"),
    bad("an empty manifest", text_of_manifest(""), "val.json is not the manifest"),
    bad(
        "edited totals",
        manifest(lambda m: m.update(num_frames=400)),
        "val.json was edited: its totals are not",
        "convert again with --overwrite",
    ),
    bad(
        "a later version",
        manifest(lambda m: m.update(version=99)),
        "val.json was written in version 99 .*reads version 1; convert again",
    ),
    bad(
        "a trillion shards",
        manifest(lambda m: m.update(num_shards=10**12)),
        "val.json is not the manifest .*1000000000000 shards",
    ),
    bad(
        "text for a count",
        manifest(lambda m: m["shards"][0].update(num_frames="1")),
        "val.json is not the manifest .*'1' is no count",
    ),
    bad(
        "a shard that is a path",
        manifest(lambda m: m["shards"][0].update(name="../../notes.txt")),
        "val.json is not the manifest .*notes.txt",
    ),
    bad(
        "a shard that is another file",
        manifest(lambda m: m["shards"][0].update(name="train_000.tfrecord")),
        "val.json is not the manifest .*'train_000.tfrecord' is no shard of val",
    ),
    bad(
        "a manifest of another split",
        lambda u: (
            (u.records / "val.json").write_bytes((u.records / "train.json").read_bytes())
            and inspect(u)
        ),
        "val.json is the manifest of the split train, not of val",
        "convert again with --overwrite",
    ),
    bad(
        "a shard that was replaced",
        lambda u: [
            *("tf_convert_data", "--dataset_root", u.kitti, "--num_shards", "2"),
            *("--output_dir", u.file("kitti/tfrecord/train_001.tfrecord", "mine").parent),
        ],
        "train_001.tfrecord has 4 bytes and was written with",
        "--overwrite",
    ),
    bad(
        "an unfinished conversion",
        lambda u: (u.records / "val.json").rename(u.records / "val.partial.json") and inspect(u),
        "the records of val in .* are incomplete",
        "goes on where it stopped",
    ),
    bad(
        "records of another data set there",
        lambda u: [
            *("tf_convert_data", "--dataset_root", u.kitti),
            *("--num_shards", "3", "--output_dir", u.records),
        ],
        "tfrecord holds 8 records of train, made of",
        "--overwrite",
    ),
    bad(
        "a file with the name of a shard",
        lambda u: [
            *("tf_convert_data", "--dataset_root", u.kitti, "--split", "trainval"),
            *("--output_dir", u.file("mine/trainval_000.tfrecord", "mine").parent),
        ],
        "trainval_000.tfrecord is there and no conversion has written it",
        "--overwrite",
    ),
    bad(
        "a frame that is not in the records",
        lambda u: [
            *("visualize", "--what", "labels", "--run_dir", u.run, "--frames", "000099"),
            *("--data.records_dir", u.records, "--output_dir", u.out),
        ],
        "not in the records of this split: frames 000099",
    ),
    bad(
        "a class that no object has",
        lambda u: train(u, "--data.classes", "Car", "Tram"),
        "is of class Tram",
        "There are: ",
    ),
    bad(
        "a picture of another in the place of the montage",
        lambda u: [*inspect(u)[:3], "--montage", u.file("mine.jpg", "mine")],
        "mine.jpg is there",
        "--overwrite",
    ),
]

CASES = {"manifests": MANIFESTS}
