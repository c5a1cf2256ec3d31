"""What a conversion replaces and removes: what it has written itself, and as it was written."""

import json
import shutil
import threading
import time

import pytest
from fixtures.small_layout import SHARDS, convert, names, options

from mobilenetdet.records import shard_writer
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.kitti_convert import convert_split
from mobilenetdet.records.manifest import read_manifest, write_manifest
from mobilenetdet.records.shard_writer import ShardProgress
from mobilenetdet.records.shards import shard_paths


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("num_shards", [3, 2, 1])
@pytest.mark.parametrize("content", [b"mine", b""])
def test_a_shard_that_was_changed_is_replaced_only_with_overwrite(layout, out, content, num_shards):
    convert(layout, out)
    (out / SHARDS[2]).write_bytes(content)
    before = contents(out)
    message = rf"{SHARDS[2]} has {len(content)} bytes and was written with .*move it .*--overwrite"
    with pytest.raises(FileExistsError, match=message):
        convert(layout, out, num_shards=num_shards)
    assert contents(out) == before
    convert(layout, out, num_shards=num_shards, overwrite=True)
    assert names(out) == ["train.json", *SHARDS[:num_shards]]
    assert len(list(read_frames(shard_paths(out, "train")))) == 6


def test_a_shard_that_is_gone_is_written_again(layout, out):
    convert(layout, out)
    (out / SHARDS[1]).unlink()
    assert convert(layout, out)[1] == 2
    assert len(list(read_frames(shard_paths(out, "train")))) == 6


@pytest.mark.parametrize("partial", ["", ".partial"])
def test_files_that_no_manifest_lists_stay(layout, out, partial):
    """However many shards a manifest counts, its own are those that it lists."""
    out.mkdir()
    empty = {"split": "train", "num_shards": 99_999, "num_skipped": 0, "options": {}}
    totals = {"shards": [], "num_frames": 0, "fingerprint": "0" * 16}
    (out / f"train{partial}.json").write_text(json.dumps(empty | totals))
    (out / "train_900.tfrecord").write_bytes(b"mine")
    (out / SHARDS[1]).write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=rf"{SHARDS[1]} is there and no conversion"):
        convert(layout, out)
    (out / SHARDS[1]).unlink()
    convert(layout, out)
    assert names(out) == ["train.json", *SHARDS, "train_900.tfrecord"]
    assert (out / "train_900.tfrecord").read_bytes() == b"mine"


@pytest.mark.parametrize("partial", ["", ".partial"])
def test_the_manifest_of_another_split_removes_none_of_its_shards(layout, out, partial):
    layout.write_image_set("val", ["000003", "000004"])
    convert_split(layout, "val", out, options())
    shutil.copy(out / "val.json", out / f"train{partial}.json")
    before = contents(out)
    message = rf"train{partial}\.json is the manifest of the split val, not of train.*--overwrite"
    with pytest.raises(ValueError, match=message):
        convert(layout, out)
    assert contents(out) == before
    convert(layout, out, overwrite=True)
    assert len(list(read_frames(shard_paths(out, "val")))) == 2
    assert len(list(read_frames(shard_paths(out, "train")))) == 6


def stop_after_listing(monkeypatch, number):
    """Ends a conversion, as a kill might, when so many of its shards are listed."""

    def write_and_stop(path, manifest):
        if len(manifest.shards) <= number:
            write_manifest(path, manifest)
        if len(manifest.shards) >= number:
            raise KeyboardInterrupt

    monkeypatch.setattr(shard_writer, "write_manifest", write_and_stop)


@pytest.mark.parametrize("earlier", [None, 2, 5])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_shard_is_listed_before_it_has_its_name(layout, out, monkeypatch, number, earlier):
    """A kill in between loses nothing, whatever was there before."""
    if earlier:
        convert(layout, out, num_shards=earlier)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after_listing(patch, number)
        convert(layout, out)
    listed = [shard.name for shard in read_manifest(out / "train.partial.json").shards]
    there = [name for name in names(out) if name.endswith(".tfrecord")]
    assert (listed, there) == (SHARDS[:number], SHARDS[: max(number - 1, 0)])
    assert convert(layout, out)[1] == len(there)
    assert names(out) == ["train.json", *SHARDS]


def test_a_file_that_an_unfinished_conversion_has_not_written_stays(layout, out, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after_listing(patch, 2)
        convert(layout, out)
    (out / SHARDS[2]).write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=rf"{SHARDS[2]} is there and no .*--overwrite"):
        convert(layout, out)
    (out / SHARDS[2]).rename(out / SHARDS[1])  # listed, and not written
    with pytest.raises(FileExistsError, match=rf"{SHARDS[1]} has 4 bytes and was written with"):
        convert(layout, out)
    assert (out / SHARDS[1]).read_bytes() == b"mine"


def test_a_link_that_leads_nowhere_is_a_file_of_another(layout, out):
    out.mkdir()
    (out / SHARDS[0]).symlink_to(out / "elsewhere")
    with pytest.raises(FileExistsError, match=rf"{SHARDS[0]} is there"):
        convert(layout, out)
    assert (out / SHARDS[0]).is_symlink()


def test_no_thread_writes_when_an_interruption_is_raised(layout, out, monkeypatch):
    """The lock of the folder goes then."""
    before = set(threading.enumerate())
    progress = ShardProgress(on_record=lambda: time.sleep(0.1))
    stop_after_listing(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt) as caught:
        convert_split(layout, "train", out, options(num_workers=3), progress=progress)
    assert not [each for each in threading.enumerate() if each not in before], caught
    assert set(names(out)) <= {"train.partial.json", *SHARDS}
