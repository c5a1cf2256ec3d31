import pytest

from mobilenetdet.cli.eval_benchmark import main

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


@pytest.mark.parametrize("option", ["num_detections", "repeats"])
def test_counts_are_checked(option, capsys):
    with pytest.raises(SystemExit):
        main([f"--{option}", "0"])
    assert f"{option} is 0; it must be above 0" in capsys.readouterr().err
