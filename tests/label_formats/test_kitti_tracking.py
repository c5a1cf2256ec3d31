import pytest
from fixtures.label_folders import draw_picture, lines_of, run_import

from mobilenetdet.kitti.layout import KittiLayout

LINE = "{} {} {} {} 0 -1.79 10.25 20.50 60.00 70.00 1.9 1.8 4.8 -4.6 1.9 13.4 -2.1\n"


def write_tracking(root):
    for name in ("0000/000000", "0000/000001", "0001/000000", "0007/000000"):
        draw_picture(root / f"training/image_02/{name}.png")
    (root / "training/label_02").mkdir()
    first = LINE.format(0, -1, "DontCare", -1) + LINE.format(0, 2, "Person", 0)
    (root / "training/label_02/0000.txt").write_text(first + LINE.format(0, 3, "Van", 2))
    (root / "training/label_02/0001.txt").write_text("")
    return root


def test_frames_of_sequences_have_names_of_their_own(tmp_path):
    report = run_import("kitti_tracking", write_tracking(tmp_path / "in"), tmp_path / "out")
    layout = KittiLayout(tmp_path / "out")
    assert layout.frame_ids() == ["0000_000000", "0000_000001", "0001_000000"]
    assert lines_of(layout.root, "0000_000000") == [
        "DontCare 10.25 20.50 60.00 70.00",
        "Person_sitting 10.25 20.50 60.00 70.00",
        "Van 10.25 20.50 60.00 70.00",
    ]
    line = layout.label_path("0000_000000").read_text().splitlines()[2]
    assert line == (
        "Van 1.00 0 -1.79 10.25 20.50 60.00 70.00 1.90 1.80 4.80 -4.60 1.90 13.40 -2.10"
    )
    assert report.num_empty == 2 and report.splits == {}
    assert report.notes.names == {
        "objects of the type Person are Person_sitting": ["0000.txt:2"],
        "truncation 2 (a track that begins or ends) became 1": ["0000.txt:3"],
        "sequences without label file were left out": ["0007"],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1 Car 0 0 1\n", r"0000.txt:1: 6 columns; expected 17"),
        ("\n" + LINE.format("x", 1, "Car", 0), r"0000.txt:2: 17 columns"),
        (LINE.format(0, 1, "Car", 0) + LINE.format(0, 1, "Car", "far"), "0000.txt:2: truncated is"),
        (LINE.format(5, 1, "Car", 0), "1 of 4 pictures are not there: 0000_000005.png"),
    ],
)
def test_damaged_lines_and_missing_pictures_are_told(tmp_path, text, message):
    root = write_tracking(tmp_path / "in")
    (root / "training/label_02/0000.txt").write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run_import("kitti_tracking", root, tmp_path / "out")


def test_a_folder_without_labels_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="label_02 holds no label files"):
        run_import("kitti_tracking", tmp_path, tmp_path / "out")
