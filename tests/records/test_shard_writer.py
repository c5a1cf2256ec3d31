"""Shards on disk: what is kept, what is replaced, and what an interruption leaves."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fixtures.small_layout import LABELS, SHARDS, convert, names, options

import mobilenetdet
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.kitti_convert import convert_split
from mobilenetdet.records.manifest import read_manifest
from mobilenetdet.records.shard_writer import ShardProgress
from mobilenetdet.records.shards import shard_paths


@pytest.mark.parametrize(("asked", "expected"), [(None, 6), (1, 1), (100, 6)])
def test_number_of_shards(layout, out, asked, expected):
    manifest, _ = convert(layout, out, num_shards=asked)
    assert len(shard_paths(out, "train")) == manifest.num_shards == expected


def test_a_second_call_writes_nothing(layout, out):
    first, _ = convert(layout, out)
    before = {name: os.stat(out / name).st_mtime_ns for name in names(out)}
    started = []
    second, num_kept = convert_split(
        layout, "train", out, options(), progress=ShardProgress(on_start=started.append)
    )
    assert (second, num_kept, started) == (first, 3, [0])
    assert {name: os.stat(out / name).st_mtime_ns for name in names(out)} == before


@pytest.mark.parametrize(
    ("changes", "num_kept"),
    [({"overwrite": True}, 0), ({"jpeg_quality": 80}, 0), ({"sha256": True}, 0), ({}, 3)],
)
def test_other_options_convert_again(layout, out, changes, num_kept):
    convert(layout, out)
    assert convert(layout, out, **changes)[1] == num_kept


def test_a_changed_label_converts_its_shard_again(layout, out):
    first, _ = convert(layout, out)
    path = layout.label_path("000005")
    path.write_text(LABELS["000005"].replace("10.00", "11.00"))  # as long as before
    os.utime(path, ns=(0, 1))
    second, num_kept = convert(layout, out)
    assert num_kept == 2
    assert second.fingerprint != first.fingerprint
    assert next(read_frames(shard_paths(out, "train"))).objects.boxes_xyxy[0, 0] == 11


def test_the_fingerprint_is_of_the_content(layout, out, tmp_path):
    first, _ = convert(layout, out)
    for path in layout.label_dir.iterdir():
        os.utime(path, ns=(0, 1))
    other, num_kept = convert(layout, tmp_path / "other", num_shards=2)
    assert (other.fingerprint, num_kept) == (first.fingerprint, 0)


@pytest.mark.parametrize("name", ["train_001.tfrecord", "train.json", "train.partial.json"])
def test_files_of_others_are_replaced_only_with_overwrite(layout, out, name):
    out.mkdir()
    (out / name).write_bytes(b"mine")
    with pytest.raises((FileExistsError, ValueError), match=rf"{name} .*--overwrite"):
        convert(layout, out)
    assert names(out) == [name] and (out / name).read_bytes() == b"mine"
    assert convert(layout, out, overwrite=True)[0].num_frames == 6
    assert names(out) == ["train.json", *SHARDS]


def test_files_of_others_stay(layout, out):
    out.mkdir()
    foreign = {"train_050.tfrecord", "train_003.tfrecord", "val.json", "train_small_000.tfrecord"}
    for name in foreign:
        (out / name).write_bytes(b"mine")
    convert(layout, out)
    convert(layout, out, num_shards=2)
    convert(layout, out, overwrite=True)
    assert all((out / name).read_bytes() == b"mine" for name in foreign)
    assert set(names(out)) == foreign | {"train.json", *SHARDS}


def test_shards_of_a_larger_set_go_even_after_an_interruption(layout, out):
    convert(layout, out, num_shards=6)

    def interrupt():
        raise KeyboardInterrupt

    progress = ShardProgress(on_record=interrupt)
    with pytest.raises(KeyboardInterrupt):
        convert_split(layout, "train", out, options(num_shards=2), progress=progress)
    assert "train.partial.json" in names(out) and "train.json" not in names(out)
    convert(layout, out, num_shards=2)
    assert names(out) == ["train.json", *SHARDS[:2]]


@pytest.mark.parametrize("changes", [{}, {"num_shards": 2}, {"overwrite": True}])
def test_a_bad_label_leaves_the_complete_records_of_before(layout, out, changes):
    convert(layout, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    path = layout.label_path("000005")
    path.write_text("Car nonsense\n")
    with pytest.raises(ValueError, match=r"000005\.txt:1"):
        convert(layout, out, **changes)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_fewer_shards_leave_none_of_the_old(layout, out):
    (out).mkdir()
    (out / "train_small_000.tfrecord").write_bytes(b"of another split")
    convert(layout, out)
    convert(layout, out, num_shards=2)
    assert names(out) == ["train.json", *SHARDS[:2], "train_small_000.tfrecord"]


def test_an_error_leaves_whole_shards_and_the_next_call_goes_on(layout, out):
    path = layout.label_path("000001")  # in the last shard
    good = path.read_text()
    path.write_text("Car nonsense\n")
    with pytest.raises(ValueError, match=r"000001\.txt:1"):
        convert(layout, out)
    assert names(out) == ["train.partial.json", *SHARDS[:2]]
    assert len(read_manifest(out / "train.partial.json").shards) == 2
    with pytest.raises(FileNotFoundError, match="incomplete"):
        shard_paths(out, "train")
    path.write_text(good)
    manifest, num_kept = convert(layout, out)
    assert (manifest.num_frames, num_kept) == (6, 2)
    assert names(out) == ["train.json", *SHARDS]


def test_a_conversion_under_way_hides_the_old_records(layout, out):
    convert(layout, out)
    seen = []
    convert_split(
        layout,
        "train",
        out,
        options(overwrite=True),
        progress=ShardProgress(on_record=lambda: seen.append(names(out))),
    )
    assert all("train.json" not in listing for listing in seen)
    assert len(seen) == 6


SCRIPT = """
import os, sys, time
from mobilenetdet.records.kitti_convert import ConversionOptions, convert_split
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.records.shard_writer import ShardProgress
done = 0
def on_frame():
    global done
    done += 1
    if done == 3:  # the first of the second shard
        while {first!r} not in open(sys.argv[2] + "/train.partial.json").read():
            time.sleep(0.01)  # another thread notes that the first shard is whole
        {at_third}
convert_split(KittiLayout(sys.argv[1]), "train", sys.argv[2],
              ConversionOptions(num_shards=3, num_workers=1),
              progress=ShardProgress(on_record=on_frame))
"""


def run_script(layout, out, at_third):
    command = [
        sys.executable,
        "-c",
        SCRIPT.format(first=SHARDS[0], at_third=at_third),
        layout.root,
        out,
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(mobilenetdet.__file__).parents[1])}
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background ignores Ctrl-C, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_a_killed_conversion_goes_on_and_is_cleaned_up(layout, out):
    process = run_script(layout, out, "os.kill(os.getpid(), 9)")
    process.wait(timeout=60)
    left = names(out)
    assert [name for name in left if not name.startswith(".")] == ["train.partial.json", SHARDS[0]]
    assert any(name.endswith(".tmp") for name in left)  # nobody could remove it
    assert convert(layout, out)[1] == 1
    assert names(out) == ["train.json", *SHARDS]


def test_ctrl_c_leaves_no_half_file(layout, out):
    process = run_script(layout, out, "print('here', flush=True); time.sleep(1)")
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and "KeyboardInterrupt" in errors
    assert time.monotonic() - start < 30
    assert names(out) == ["train.partial.json", SHARDS[0]]
    assert convert(layout, out)[1] == 1
