"""The files of a split, complete and not."""

import json
from dataclasses import replace

import pytest

from mobilenetdet.records.manifest import (
    Manifest,
    Shard,
    manifest_path,
    read_manifest,
    shard_name,
    write_manifest,
)
from mobilenetdet.records.remote_path import RemotePath
from mobilenetdet.records.shards import count_frames, records_order, shard_paths
from mobilenetdet.records.tfrecord import write_record


def shard(index, **changes):
    values = {"num_frames": 2, "num_objects": 5, "num_bytes": 3, "source": "ab", "fingerprint": 7}
    return Shard(name=shard_name("train", index), **(values | changes))


def write_set(folder, *shards, partial=False):
    manifest = Manifest("train", len(shards), 0, {"jpeg_quality": None}, shards)
    for item in shards:
        (folder / item.name).write_bytes(b"abc")
    write_manifest(manifest_path(folder, "train", partial=partial), manifest)
    return manifest


def test_a_complete_set(tmp_path):
    manifest = write_set(tmp_path, shard(0), shard(1, fingerprint=2**64 - 1))
    names = [path.name for path in shard_paths(tmp_path, "train")]
    assert names == ["train_000.tfrecord", "train_001.tfrecord"]
    assert read_manifest(tmp_path / "train.json") == manifest
    assert (manifest.num_frames, manifest.num_objects, manifest.num_bytes) == (4, 10, 6)
    assert manifest.fingerprint == "0000000000000006"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.json", *names]


def test_nothing_there_names_the_command(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no records of val.*mobilenetdet tf_convert_data --split"
    ):
        shard_paths(tmp_path, "val")
    with pytest.raises(FileNotFoundError, match=r"--split val --dataset_root data/rendered`"):
        shard_paths("data/rendered/tfrecord", "val")


def test_an_unfinished_set_is_refused(tmp_path):
    write_set(tmp_path, shard(0), partial=True)
    with pytest.raises(FileNotFoundError, match="incomplete.*interrupted.*goes on"):
        shard_paths(tmp_path, "train")


def test_a_shard_that_is_gone(tmp_path):
    write_set(tmp_path, shard(0), shard(1))
    (tmp_path / "train_001.tfrecord").unlink()
    with pytest.raises(FileNotFoundError, match=r"train_001\.tfrecord is gone"):
        shard_paths(tmp_path, "train")


def test_a_shard_of_another_size(tmp_path):
    write_set(tmp_path, shard(0, num_bytes=4))
    message = r"train_000\.tfrecord has 3 bytes and was written with 4; run .* --overwrite`"
    with pytest.raises(ValueError, match=message):
        shard_paths(tmp_path, "train")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"num_frames": 1, "fingerprint": "", "x": 1}'])
def test_a_damaged_manifest(tmp_path, text):
    (tmp_path / "train.json").write_text(text)
    with pytest.raises(ValueError, match=r"train\.json is not the manifest"):
        shard_paths(tmp_path, "train")


def test_a_manifest_whose_totals_were_edited(tmp_path):
    write_set(tmp_path, shard(0))
    fields = json.loads((tmp_path / "train.json").read_text())
    fields["shards"][0]["num_frames"] = 1
    (tmp_path / "train.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match=r"train\.json was edited: .* --overwrite"):
        shard_paths(tmp_path, "train")


@pytest.mark.parametrize(("counted", "listed"), [(0, 2), (1, 2), (3, 2)])
def test_a_shard_with_another_number_of_frames(tmp_path, counted, listed):
    item = shard(0, num_frames=listed)
    with (tmp_path / item.name).open("wb") as file:
        for _ in range(counted):
            write_record(file, [b"frame"])
    size = (tmp_path / item.name).stat().st_size
    manifest = Manifest("train", 1, 0, {}, (replace(item, num_bytes=size),))
    write_manifest(manifest_path(tmp_path, "train", partial=False), manifest)
    message = rf"train_000\.tfrecord holds {counted} frames and train\.json says 2; .*--overwrite"
    with pytest.raises(ValueError, match=message):
        count_frames(tmp_path, "train")


def test_the_order_of_records_is_told_by_their_sizes(tmp_path):
    orders = {}
    for name, files in (("one", [[3, 5, 35]]), ("two", [[3], [5, 35]]), ("turned", [[3, 35, 5]])):
        paths = [tmp_path / f"{name}_{index}" for index in range(len(files))]
        for path, sizes in zip(paths, files, strict=True):
            with path.open("wb") as file:
                for size in sizes:
                    write_record(file, [bytes(size)])
        orders[name] = records_order(paths)
    assert orders["one"] == orders["two"] != orders["turned"]
    assert records_order([RemotePath((tmp_path / "one_0").as_uri())]) == ""


def test_a_manifest_of_another_version(tmp_path):
    write_set(tmp_path, shard(0))
    fields = json.loads((tmp_path / "train.json").read_text()) | {"version": 99}
    (tmp_path / "train.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match="version 99 .* --overwrite"):
        shard_paths(tmp_path, "train")


def test_a_manifest_of_another_split(tmp_path):
    write_set(tmp_path, shard(0))
    (tmp_path / "train.json").rename(tmp_path / "val.json")
    with pytest.raises(ValueError, match=r"val\.json is the manifest of .* train, not of val"):
        shard_paths(tmp_path, "val")


@pytest.mark.parametrize("split", ["../train", "/tmp/train", ".train", "", "train.partial"])
def test_a_split_that_is_no_name_of_files(tmp_path, split):
    with pytest.raises(ValueError, match=f"{tmp_path}: {split!r} is no name of a split"):
        shard_paths(tmp_path, split)


@pytest.mark.parametrize("name", ["../escaped.tfrecord", "/etc/passwd", ".hidden"])
def test_a_manifest_whose_shards_would_be_elsewhere(tmp_path, name):
    write_set(tmp_path, shard(0))
    path = tmp_path / "train.json"
    path.write_text(path.read_text().replace("train_000.tfrecord", name))
    with pytest.raises(ValueError, match="is no shard"):
        read_manifest(path)
