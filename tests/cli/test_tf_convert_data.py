"""The conversion command as a user runs it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mobilenetdet.cli import kitti_split
from mobilenetdet.cli.tf_convert_data import Options, main
from mobilenetdet.kitti import frames_seen
from mobilenetdet.kitti.frames_seen import FramesSeen, frame_hashes, write_frames_seen
from mobilenetdet.kitti.labels import read_objects
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.shards import shard_paths
from mobilenetdet.runs import RunDir

TOOL = Path(__file__).resolve().parents[2] / "tools/tf_convert_data.py"


def arguments(small_kitti, out, *more):
    return ["--dataset_root", str(small_kitti), "--output_dir", str(out), *more]


def test_the_promised_defaults():
    options = Options()
    assert options.dataset_name == "kitti"
    assert options.dataset_root == Path("data/KITTI")
    assert options.records_dir == Path("data/KITTI/tfrecord")
    assert options.split == ("train", "val")


def test_it_converts_and_says_what(small_kitti, tmp_path, capsys):
    assert main(arguments(small_kitti, tmp_path, "--num_shards", "2")) == 0
    first = capsys.readouterr()
    assert "train: 8 frames, 22 objects" in first.out and "in 2 shards" in first.out
    assert "val: 4 frames" in first.out
    assert first.err == ""  # no bar where there is no terminal
    assert len(shard_paths(tmp_path, "train")) == len(shard_paths(tmp_path, "val")) == 2
    assert main(arguments(small_kitti, tmp_path, "--num_shards", "2")) == 0
    assert capsys.readouterr().out.count("all complete and unchanged") == 2


def test_the_records_follow_the_data_set(small_kitti, tmp_path):
    for folder in ("training", "ImageSets"):
        (tmp_path / folder).symlink_to(small_kitti / folder)
    main(["--dataset_root", str(tmp_path), "--split", "val"])
    assert len(shard_paths(tmp_path / "tfrecord", "val")) == 4


def test_lists_are_read_from_where_the_split_has_put_them(small_kitti, tmp_path, capsys):
    (tmp_path / "training").symlink_to(small_kitti / "training")
    lists, out = tmp_path / "lists", tmp_path / "out"
    split = ["--kitti_root", str(tmp_path), "--output_dir", str(lists), "--val_fraction", "0.25"]
    kitti_split.main(split)
    main(arguments(tmp_path, out, "--split_dir", str(lists)))
    assert "train: 9 frames" in (printed := capsys.readouterr().out) and "val: 3 frames" in printed
    listed = (lists / "val.txt").read_text().split()
    assert sorted(f.frame_id for f in read_frames(shard_paths(out, "val"))) == listed
    KittiLayout(tmp_path, split_dir=lists).write_image_set("val", ["000005", "000006", "000007"])
    with pytest.raises(ValueError, match=r"of 3 frames of val\.txt are in train\.txt, too"):
        main(arguments(tmp_path, out, "--split_dir", str(lists), "--strict"))


def test_images_without_label_are_what_one_option_says(own_kitti, tmp_path, capsys):
    labels = tmp_path / "KITTI/training"
    shutil.copytree(labels.resolve(), tmp_path / "training")
    labels.unlink()
    (tmp_path / "training").rename(labels)
    (labels / "label_2/000009.txt").unlink()
    frames = {"skip": "val: 3 frames", "negative": "val: 4 frames"}
    for unlabelled, line in frames.items():
        out = tmp_path / unlabelled
        assert main(arguments(own_kitti, out, "--unlabelled", unlabelled)) == 0
        assert line in capsys.readouterr().out
    empty = {f.frame_id: len(f.objects) for f in read_frames(shard_paths(out, "val"))}
    assert empty["000009"] == 0 and len(empty) == 4
    for more in ([], ["--unlabelled", "error"]):
        with pytest.raises(FileNotFoundError, match="000009: no label"):
            main(arguments(own_kitti, tmp_path / "none", *more))
    assert not (tmp_path / "none").exists()


@pytest.fixture
def own_kitti(small_kitti, tmp_path):
    """The frames of `small_kitti`, with lists of its own."""
    root = tmp_path / "KITTI"
    root.mkdir()
    (root / "training").symlink_to(small_kitti / "training")
    shutil.copytree(small_kitti / "ImageSets", root / "ImageSets")
    return root


def test_frames_on_both_sides_are_said_and_refused_if_strict(own_kitti, tmp_path, capsys):
    KittiLayout(own_kitti).write_image_set("val", ["000007", "000008", "000009"])
    line = "1 of 3 frames of val.txt are in train.txt, too: 000007; AP on them flatters"
    with pytest.raises(ValueError, match=line):
        main(arguments(own_kitti, tmp_path / "out", "--strict"))
    assert not (tmp_path / "out").exists()
    assert main(arguments(own_kitti, tmp_path / "out", "--split", "val")) == 0
    assert capsys.readouterr().out.startswith(f"warning: {line}\n")


@pytest.fixture
def known_frames(own_kitti, tmp_path, monkeypatch):
    """Weights that ship and were trained on the frames 000005 and 000010."""
    layout, run = KittiLayout(own_kitti), RunDir(tmp_path / "shipped", "mine")
    seen = {i: frame_hashes(i, read_objects(layout.label_path(i))) for i in ("000005", "000010")}
    write_frames_seen(run.frames_seen_file, FramesSeen.of(seen.values()))
    monkeypatch.setattr(frames_seen, "shipped_weights", lambda: {"mine": run})


def test_frames_that_the_shipped_weights_know_are_said(known_frames, own_kitti, tmp_path, capsys):
    assert main(arguments(own_kitti, tmp_path / "out", "--strict")) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last == (
        "1 of 4 val frames were trained on: 000010; by the weights that ship, mine, whose AP "
        "would flatter there"
    )


def test_weights_that_know_the_same_frames_share_a_line(
    known_frames, own_kitti, tmp_path, monkeypatch
):
    mine, other = frames_seen.shipped_weights()["mine"], RunDir(tmp_path / "others", "other")
    layout = KittiLayout(own_kitti)
    hashes = frame_hashes("000005", read_objects(layout.label_path("000005")))
    write_frames_seen(other.frames_seen_file, FramesSeen.of([hashes]))
    known = {"mine": mine, "twin": mine, "other": other}
    monkeypatch.setattr(frames_seen, "shipped_weights", lambda: known)
    told = frames_seen.seen_by_shipped_weights(layout, "val", ["000005", "000010", "000011"])
    by, end = "by the weights that ship", "whose AP would flatter there"
    assert told == [
        f"2 of 3 val frames were trained on: 000005, 000010; {by}, mine, twin, {end}",
        f"1 of 3 val frames were trained on: 000005; {by}, other, {end}",
    ]


def test_the_split_says_so_too(known_frames, own_kitti, capsys):
    shutil.rmtree(own_kitti / "ImageSets")
    kitti_split.main(["--kitti_root", str(own_kitti), "--val_fraction", "0.9"])
    printed = capsys.readouterr().out
    assert "1 of 11 val frames were trained on: 000005; by the weights that ship, mine" in printed


def test_damaged_images_that_conversion_takes_are_named(layout, out, capsys):
    path = layout.image_path("000004")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    command = ["--dataset_root", str(layout.root), "--output_dir", str(out), "--split", "train"]
    assert main(command) == 0
    with pytest.raises(ValueError) as error:
        main([*command, "--verify"])
    first, second, last = str(error.value).splitlines()
    assert first == "1 of 6 images of train are damaged: 000004.png"
    assert second.startswith(f"  {path}: ") and last == "replace them, or take them out of the list"
    capsys.readouterr()
    path.write_bytes(layout.image_path("000005").read_bytes())
    main([*command, "--verify"])
    assert capsys.readouterr().out.startswith("train: all 6 images can be decoded\n")


def test_one_split(small_kitti, tmp_path, capsys):
    main(arguments(small_kitti, tmp_path, "--split", "val"))
    assert capsys.readouterr().out.startswith("val: 4 frames")
    with pytest.raises(FileNotFoundError, match="no records of train"):
        shard_paths(tmp_path, "train")


def test_the_tool_starts_without_tensorflow_and_ends_with_one_line(small_kitti, tmp_path):
    command = [sys.executable, "-X", "importtime", str(TOOL)]
    command += arguments(small_kitti, tmp_path, "--split", "nosuch")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == ""
    imports = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert not any(line.endswith("| tensorflow") for line in imports)
    (message,) = set(done.stderr.splitlines()) - set(imports)
    assert message.startswith("error: ") and "nosuch.txt does not exist" in message
