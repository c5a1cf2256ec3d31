"""The conversion of class folders as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from mobilenetdet.cli.imagenet_convert import Options, main
from mobilenetdet.records.shards import shard_paths

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ("-m", "mobilenetdet", "imagenet_convert")


def arguments(root, out, *more):
    return ["--dataset_root", str(root), "--output_dir", str(out), "--num_shards", "2", *more]


def test_it_converts_and_says_what(class_folders, tmp_path, capsys):
    assert main(arguments(class_folders, tmp_path)) == 0
    first = capsys.readouterr()
    assert "train: 32 images" in first.out and "val: 20 images" in first.out
    assert first.err == ""  # no bar where there is no terminal
    main(arguments(class_folders, tmp_path))
    assert capsys.readouterr().out.count("all complete and unchanged") == 2


def test_the_records_follow_the_data_set(class_folders, tmp_path):
    assert Options().records_dir == Path("data/imagenet/tfrecord")
    (tmp_path / "train").symlink_to(class_folders / "train")
    main(["--dataset_root", str(tmp_path), "--split", "train", "--num_shards", "2"])
    assert len(shard_paths(tmp_path / "tfrecord", "train")) == 2


def test_notes_follow_the_sum(class_folders, tmp_path, capsys):
    root = tmp_path / "root"
    for name in ("a", "b"):
        (root / "train" / name).mkdir(parents=True)
        for path in (class_folders / "train/n01").iterdir():
            (root / "train" / name / path.name).write_bytes(path.read_bytes())
    (root / "train/a/n01_2.JPEG").write_bytes(b"")
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="--skip_damaged"):
        main(arguments(root, out, "--split", "train"))
    capsys.readouterr()
    main(arguments(root, out, "--split", "train", "--skip_damaged"))
    total, note = capsys.readouterr().out.splitlines()
    assert total.startswith("train: 15 images") and total.endswith("1 damaged ones left out")
    assert note.startswith("  left out: ") and "n01_2.JPEG" in note


def test_the_command_starts_without_tensorflow_and_ends_with_one_line(tmp_path):
    command = [sys.executable, "-X", "importtime", *COMMAND, *arguments(tmp_path, tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == ""
    imports = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert not any(line.endswith(("| tensorflow", "| keras")) for line in imports)
    (message,) = set(done.stderr.splitlines()) - set(imports)
    assert message.startswith("error: no images of train")
