"""The inspection command as a user runs it."""

import shutil

import cv2
import numpy as np
import pytest

from mobilenetdet.cli import tf_convert_data
from mobilenetdet.cli.inspect_records import main
from mobilenetdet.drawing.class_colours import overlay_colours
from mobilenetdet.kitti.frames_seen import FramesSeen, read_frames_seen
from mobilenetdet.records.frame_hashes import hash_frames


def test_it_counts_and_draws(small_kitti, tmp_path, capsys):
    picture = tmp_path / "sub/montage.png"
    arguments = ["--records_dir", str(small_kitti / "tfrecord"), "--montage", str(picture)]
    assert main([*arguments, "--num_frames", "2"]) == 0
    words = capsys.readouterr().out.split()
    assert words[:3] == ["train:", "8", "frames,"]
    car = words.index("Car")
    assert words[car : car + 5] == ["Car", "7", "7", "0", "0"]
    text = " ".join(words)
    assert "192x64 png 8" in text
    assert "frames without any object: 1 (000003)" in text
    assert f"montage of 4 frames: {picture}" in text
    assert cv2.imread(str(picture)).shape[1] == 1600


def test_own_types_have_colours_of_their_own(tmp_path):
    (tmp_path / "ImageSets").mkdir()
    for folder in ("image_2", "label_2"):
        (tmp_path / "training" / folder).mkdir(parents=True)
    line = "{} 0 0 -10 {} 40 {} 160 -1 -1 -1 -1000 -1000 -1000 -10\n"
    labels = line.format("Buggy", 20, 120) + line.format("Tug", 220, 320)
    (tmp_path / "training/label_2/000000.txt").write_text(labels)
    cv2.imwrite(str(tmp_path / "training/image_2/000000.png"), np.full((200, 400, 3), 120, "u1"))
    (tmp_path / "ImageSets/train.txt").write_text("000000\n")
    tf_convert_data.main(["--dataset_root", str(tmp_path), "--split", "train"])
    picture = tmp_path / "m.png"
    main(["--records_dir", str(tmp_path / "tfrecord"), "--montage", str(picture)])
    drawn = cv2.imread(str(picture))[..., ::-1].reshape(-1, 3)
    colours = overlay_colours(("Car", "Pedestrian", "Cyclist", "Buggy", "Tug"))
    for name in ("Buggy", "Tug"):
        assert (drawn == colours[name]).all(axis=1).sum() > 100, name


def test_no_montage(small_kitti, tmp_path, capsys):
    picture = tmp_path / "montage.jpg"
    records = str(small_kitti / "tfrecord")
    main(["--records_dir", records, "--montage", str(picture), "--num_frames", "0"])
    assert "montage" not in capsys.readouterr().out
    assert not picture.exists()


def test_frames_of_an_older_run_are_listed(small_kitti, tmp_path, capsys):
    path = tmp_path / "frames_seen.json"
    records = str(small_kitti / "tfrecord")
    command = ["--records_dir", records, "--num_frames", "0", "--frames_seen", str(path)]
    main([*command, "--split", "train"])
    assert f"{path}: 8 frames of train" in capsys.readouterr().out
    hashes = hash_frames(records, "train").values()
    assert read_frames_seen(path) == FramesSeen.of(hashes)
    with pytest.raises(FileExistsError, match="frames_seen.json is there"):
        main([*command, "--split", "train"])


def test_frames_of_which_splits_are_listed_has_to_be_said(small_kitti, tmp_path):
    path = tmp_path / "frames_seen.json"
    with pytest.raises(ValueError, match="--frames_seen needs the splits of the training"):
        main(["--records_dir", str(small_kitti / "tfrecord"), "--frames_seen", str(path)])


def test_splits_of_any_name_are_looked_at(small_kitti, tmp_path, capsys):
    for name in ("train", "val"):
        (tmp_path / f"{name}.txt").write_text("no records")
    records = ["--output_dir", str(tmp_path), "--split", "night", "val"]
    shutil.copytree(small_kitti, tmp_path / "kitti")
    lists = tmp_path / "kitti/ImageSets"
    (lists / "night.txt").write_text((lists / "train.txt").read_text())
    tf_convert_data.main(["--dataset_root", str(tmp_path / "kitti"), *records])
    (tmp_path / "notes.json").write_text("{}")
    capsys.readouterr()
    main(["--records_dir", str(tmp_path), "--num_frames", "0"])
    output = capsys.readouterr().out
    assert output.startswith("val: ") and "\nnight: 8 frames" in output


def test_no_records(tmp_path):
    with pytest.raises(FileNotFoundError, match="mobilenetdet tf_convert_data"):
        main(["--records_dir", str(tmp_path)])


@pytest.mark.parametrize("option", ["--columns=0", "--num_frames=-1"])
def test_numbers_that_are_none_are_refused_at_once(option):
    with pytest.raises(ValueError, match="they must be at least 0 and 1"):
        main([option])


def test_a_picture_of_the_user_is_not_replaced_unless_asked_for(small_kitti, tmp_path):
    picture = tmp_path / "montage.jpg"
    picture.write_bytes(b"holiday")
    arguments = ["--records_dir", str(small_kitti / "tfrecord"), "--montage", str(picture)]
    with pytest.raises(FileExistsError, match=r"montage\.jpg is there.*--overwrite"):
        main(arguments)
    assert picture.read_bytes() == b"holiday"
    main([*arguments, "--overwrite"])
    main(arguments)  # its own picture it may replace
    assert cv2.imread(str(picture)) is not None
