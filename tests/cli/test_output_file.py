"""Files that users name for an output: what they have there already stays."""

import shutil
from pathlib import Path

import pytest

from mobilenetdet.analysis.learning_curve import Point
from mobilenetdet.cli import learning_curve, plot_metrics
from mobilenetdet.cli.output_file import check_output_file, output_file

HISTORY = "epoch,loss,learning_rate\n1,2.0,0.1\n2,1.0,0.1\n"


@pytest.fixture
def run_dir(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "metrics.csv").write_text(HISTORY)
    return folder


def test_a_file_of_a_user_stays_until_it_may_be_replaced(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("of a user")
    with pytest.raises(FileExistsError, match="mine.txt is there.*--overwrite"):
        check_output_file(path, overwrite=False)
    with pytest.raises(FileExistsError), output_file(path, overwrite=False) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "of a user"
    with output_file(path, overwrite=True) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    with output_file(path, overwrite=False) as temporary:  # what it has written itself
        temporary.write_text("newer")
    assert path.read_text() == "newer"


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(FileExistsError, match="is a folder; name a file in it"):
        check_output_file(tmp_path, overwrite=True)


@pytest.mark.parametrize("num_runs", [1, 2])
def test_plots_replace_no_picture_of_a_user(run_dir, tmp_path, num_runs):
    picture = tmp_path / "photo.png"
    picture.write_bytes(b"of a user")
    shutil.copytree(run_dir, tmp_path / "other")
    call = ["--run_dir", *map(str, [run_dir, tmp_path / "other"][:num_runs])]
    call += ["--output", str(picture)]
    with pytest.raises(FileExistsError, match="photo.png is there"):
        plot_metrics.main(call)
    assert picture.read_bytes() == b"of a user"
    assert plot_metrics.main([*call, "--overwrite"]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert plot_metrics.main(call) == 0


def test_a_learning_curve_replaces_no_picture_of_a_user(tmp_path, monkeypatch):
    points = iter([Point(Path("a"), 100, {"Car": 40.0}), Point(Path("b"), 200, {"Car": 50.0})])
    monkeypatch.setattr(learning_curve, "read_point", lambda run: next(points))
    picture = tmp_path / "photo.png"
    picture.write_bytes(b"of a user")
    with pytest.raises(FileExistsError, match="photo.png is there"):
        learning_curve.main(["--run_dir", "a", "b", "--output", str(picture)])
    assert picture.read_bytes() == b"of a user"
