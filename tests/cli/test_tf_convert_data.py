"""The conversion command as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from mobilenetdet.cli.tf_convert_data import Options, main
from mobilenetdet.records.shards import shard_paths

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
