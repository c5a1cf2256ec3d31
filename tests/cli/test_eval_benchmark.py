import numpy as np
import pytest

from mobilenetdet.cli.eval_benchmark import main, make_detections
from mobilenetdet.kitti.labels import KittiObjects, parse_objects

LABEL = "Cyclist 0 0 -10 100 150 160 250 -1 -1 -1 -1000 -1000 -1000 -10\n"


@pytest.fixture
def label_dir(tmp_path):
    folder = tmp_path / "label_2"
    folder.mkdir()
    for index in range(8):
        (folder / f"{index:06d}.txt").write_text(LABEL * (index % 3))
    return folder


def test_every_way_is_timed(label_dir, capsys):
    arguments = ["--label_dir", str(label_dir), "--num_detections", "5", "--repeats", "1"]
    assert main([*arguments, "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "8 frames, 40 detections, 3 classes, 3 difficulties; best of 1"
    assert [line[:34].rstrip() for line in lines[2:-1]][:5] == [
        "AP from arrays, 2 frames",
        "AP from arrays, 4 frames",
        "AP from arrays, 8 frames",
        "AP from files",
        "error analysis",
    ]
    assert lines[-1].endswith(" MiB")


def test_frames_are_chosen(label_dir, tmp_path, capsys):
    (tmp_path / "val.txt").write_text("000001\n000002\n")
    arguments = ["--label_dir", str(label_dir), "--frames", str(tmp_path / "val.txt")]
    main([*arguments, "--num_detections", "3", "--repeats", "1"])
    assert capsys.readouterr().out.startswith("2 frames, 6 detections")


def test_detections_lie_near_objects_and_inside_the_image():
    labels = parse_objects(LABEL, "labels")
    found = make_detections(labels, 64, np.random.default_rng(0))
    assert len(found) == 64 and found.types[0] == "Cyclist"
    np.testing.assert_allclose(found.boxes_xyxy[0], labels.boxes_xyxy[0], atol=25)
    assert (found.boxes_xyxy >= 0).all() and (found.boxes_xyxy[:, 2] <= 1242).all()
    assert (found.boxes_xyxy[:, :2] <= found.boxes_xyxy[:, 2:]).all()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_more_objects_than_detections(count):
    labels = parse_objects(LABEL * 2, "labels")
    if count == 0:
        labels = KittiObjects.empty()
    assert len(make_detections(labels, max(count, 1), np.random.default_rng(0))) == max(count, 1)


@pytest.mark.parametrize("option", ["num_detections", "repeats"])
def test_counts_are_checked(option, capsys):
    with pytest.raises(SystemExit):
        main([f"--{option}", "0"])
    assert f"{option} is 0; it must be above 0" in capsys.readouterr().err
