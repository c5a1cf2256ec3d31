"""Records by URL: file:// goes the way of gs://, through TensorFlow's file systems."""

from pathlib import Path

import pytest
import tensorflow as tf

from mobilenetdet.records import shards
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.frame_hashes import hash_frames
from mobilenetdet.records.remote_path import RemotePath, is_url, records_path
from mobilenetdet.records.shards import count_frames, records_fingerprint, shard_paths


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("gs://bucket/records", True),
        ("s3://bucket", True),
        ("file:///data/records", True),
        ("data/KITTI/tfrecord", False),
        ("/data//records", False),
        ("C://records", False),  # a drive of Windows
        ("gs:/bucket", False),
        (Path("records"), False),
    ],
)
def test_urls_are_known_by_their_scheme(path, url):
    assert is_url(path) == url
    assert isinstance(records_path(path), RemotePath if url else Path)


@pytest.fixture(scope="session")
def small_records(small_config) -> Path:
    return Path(small_config.data.records_dir)


def test_parts_of_a_url():
    path = RemotePath("gs://bucket/records/") / "train_000.tfrecord"
    assert str(path) == "gs://bucket/records/train_000.tfrecord"
    assert (path.name, path.stem) == ("train_000.tfrecord", "train_000")


def test_records_by_url_are_those_of_the_folder(small_records):
    url = Path(small_records).as_uri()
    assert count_frames(url, "train") == count_frames(small_records, "train")
    assert records_fingerprint(url, "train") == records_fingerprint(small_records, "train")
    assert hash_frames(url, "train") == hash_frames(small_records, "train")
    remote, local = (list(read_frames(shard_paths(d, "train"))) for d in (url, small_records))
    assert [frame.encoded for frame in remote] == [frame.encoded for frame in local]
    read = tf.data.TFRecordDataset([str(path) for path in shard_paths(url, "train")])
    assert sum(1 for _ in read) == len(local)


def test_counting_by_url_opens_no_shard(small_records, monkeypatch):
    monkeypatch.delattr(shards, "record_lengths")
    assert count_frames(Path(small_records).as_uri(), "train") == 8


def test_a_shard_is_asked_for_once(small_records, monkeypatch):
    asked = []
    stat = tf.io.gfile.stat
    monkeypatch.setattr(tf.io.gfile, "stat", lambda path: asked.append(path) or stat(path))
    exists = tf.io.gfile.exists
    monkeypatch.setattr(tf.io.gfile, "exists", lambda path: asked.append(path) or exists(path))
    url = Path(small_records).as_uri()
    paths = shard_paths(url, "train")
    assert sorted(asked) == sorted([f"{url}/train.json", *map(str, paths)])


def test_a_folder_is_no_shard(small_records, tmp_path):
    for path in Path(small_records).iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    shard = shard_paths(tmp_path, "train")[0]
    shard.unlink()
    shard.mkdir()
    for folder in (tmp_path, tmp_path.as_uri()):
        with pytest.raises(FileNotFoundError, match=rf"{shard.name} is gone"):
            shard_paths(folder, "train")


def test_damage_by_url_is_named(small_records, tmp_path):
    for path in Path(small_records).iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    url = tmp_path.as_uri()
    with pytest.raises(FileNotFoundError, match=r"no records of nights in file:///"):
        shard_paths(url, "nights")
    shard = shard_paths(tmp_path, "train")[0]
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    with pytest.raises(ValueError, match=rf"file://.*{shard.name} has {len(content) - 1:,} bytes"):
        count_frames(url, "train")
    shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match=rf"file://.*{shard.name}: record .* is cut off or damag"):
        hash_frames(url, "train")
    shard.unlink()
    with pytest.raises(FileNotFoundError, match=rf"file://.*{shard.name} is gone"):
        count_frames(url, "train")


def test_a_file_system_that_is_not_there_is_named():
    with pytest.raises(OSError, match=r"hdfs://.*no file system for hdfs://; copy the folder"):
        shard_paths("hdfs://host/records", "train")


def test_a_file_that_is_not_there(tmp_path):
    path = RemotePath((tmp_path / "a.json").as_uri())
    assert not path.is_file()
    for read in (path.read_bytes, path.num_bytes):
        with pytest.raises(FileNotFoundError, match=r"a\.json does not exist"):
            read()
