"""Frames by their hashes, and records that are not as they were written."""

import json

import pytest
from fixtures.small_layout import LABELS, SHARDS, convert

from mobilenetdet.kitti.frames_seen import frame_hashes
from mobilenetdet.kitti.labels import read_objects
from mobilenetdet.records.frame_hashes import hash_frames
from mobilenetdet.records.tfrecord import read_records, write_record


def test_records_and_label_files_give_the_same_hashes(layout, out):
    convert(layout, out, jpeg_quality=80)
    expected = {i: frame_hashes(i, read_objects(layout.label_path(i))) for i in LABELS}
    assert hash_frames(out, "train") == expected
    assert len(set(expected.values())) == len(LABELS)


def rewrite(out, name, payloads):
    """Replaces the records of a shard, and its size in the manifest."""
    with (out / name).open("wb") as file:
        for payload in payloads:
            write_record(file, [payload])
        size = file.tell()
    manifest = json.loads((out / "train.json").read_text())
    manifest["shards"][SHARDS.index(name)]["num_bytes"] = size
    (out / "train.json").write_text(json.dumps(manifest))


def test_a_frame_twice_is_named_with_both_files(layout, out):
    convert(layout, out)
    first, second = (list(read_records(out / name)) for name in SHARDS[:2])
    for name, payloads in ((SHARDS[1], [second[0], first[1]]), (SHARDS[0], [first[1], first[1]])):
        rewrite(out, name, payloads)
        found = rf"{name}: frame 000004 is in .*{SHARDS[0]} already; .*--overwrite"
        with pytest.raises(ValueError, match=found):
            hash_frames(out, "train")


def test_frames_that_were_edited_are_found(layout, out):
    convert(layout, out)
    payloads = list(read_records(out / SHARDS[2]))
    rewrite(out, SHARDS[2], [payload.replace(b"Car", b"Van") for payload in payloads])
    message = rf"{SHARDS[2]} does not hold the frames that train\.json lists: .*--overwrite"
    with pytest.raises(ValueError, match=message):
        hash_frames(out, "train")
