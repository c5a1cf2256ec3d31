"""Frames of a run, and those that it shares with what it is measured on."""

from dataclasses import replace

import pytest

from mobilenetdet.config.storage import to_json, with_changes
from mobilenetdet.kitti.frames_seen import FramesSeen, write_frames_seen
from mobilenetdet.records.frame_hashes import hash_frames
from mobilenetdet.runs import FRAMES_SEEN_FILE, RunDir
from mobilenetdet.training.training_frames import frames_of_training


@pytest.fixture
def hashes(small_config):
    """The hashes of the training and of the validation frames, in their order."""
    return [list(hash_frames(small_config.data.records_dir, s).values()) for s in ("train", "val")]


def begun_from(config, **model):
    return replace(config, model=replace(config.model, **model))


def test_a_run_has_seen_its_training_split(small_config, hashes, tmp_path, capsys):
    seen = frames_of_training(small_config, RunDir(tmp_path), strict=True).seen
    assert seen == FramesSeen.of(hashes[0])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("setting", ["detector_weights", "weights"])
def test_frames_of_the_weights_that_it_begins_from_count(
    small_config, hashes, tmp_path, capsys, setting
):
    base = tmp_path / "base"
    (base).mkdir()
    (base / "last.weights.h5").touch()
    config = begun_from(small_config, **{setting: str(base / "last.weights.h5")})
    # Weights of a whole detector have seen frames that nobody has listed, others perhaps none.
    unlisted = frames_of_training(config, RunDir(tmp_path / "run")).seen
    assert unlisted == replace(FramesSeen.of(hashes[0]), complete=setting == "weights")
    write_frames_seen(base / FRAMES_SEEN_FILE, FramesSeen.of([hashes[1][2], ["other"]]))
    seen = frames_of_training(config, RunDir(tmp_path / "run")).seen
    assert seen == FramesSeen.of([*hashes[0], hashes[1][2], ["other"]])
    line = "1 of 4 val frames were trained on by the weights that this run begins from: 000010"
    assert f"warning: {line}; AP on them flatters\n" in capsys.readouterr().out
    with pytest.raises(ValueError, match=line):
        frames_of_training(config, RunDir(tmp_path / "run"), strict=True)


def test_frames_of_teachers_count(small_config, hashes, tmp_path, capsys):
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    (teacher / "config.json").write_text(to_json(small_config))
    config = with_changes(small_config, {"train.teachers": [str(teacher)]})
    unlisted = frames_of_training(config, RunDir(tmp_path / "run")).seen
    assert unlisted == replace(FramesSeen.of(hashes[0]), complete=False)
    write_frames_seen(teacher / FRAMES_SEEN_FILE, FramesSeen.of([hashes[1][2], ["other"]]))
    seen = frames_of_training(config, RunDir(tmp_path / "run")).seen
    assert seen == FramesSeen.of([*hashes[0], hashes[1][2], ["other"]])
    line = "trained on by the weights that this run begins from or its teachers: 000010; AP on them"
    assert line in capsys.readouterr().out


def test_a_split_that_is_measured_and_trained_on_is_said(small_config, tmp_path, capsys):
    config = replace(small_config, data=replace(small_config.data, val_split="train"))
    frames_of_training(config, RunDir(tmp_path))
    assert capsys.readouterr().out == (
        "warning: 8 of 8 train frames are in the split train, too: 000000, 000001, 000002; "
        "AP on them flatters\n"
    )


def test_a_run_that_goes_on_keeps_what_it_has_seen(small_config, hashes, tmp_path):
    run = RunDir(tmp_path)
    write_frames_seen(run.frames_seen_file, FramesSeen(frozenset({"earlier"})))
    config = begun_from(small_config, detector_weights=str(tmp_path / "gone.weights.h5"))
    with pytest.raises(FileNotFoundError, match="gone"):
        frames_of_training(config, run)
    run.state_file.touch()
    seen = frames_of_training(config, run).seen
    assert seen == FramesSeen.of([*hashes[0], ["earlier"]])
