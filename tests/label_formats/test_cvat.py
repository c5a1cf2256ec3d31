"""Exports of CVAT for images 1.1, as its documentation has them."""

import pytest
from fixtures.label_folders import draw_picture, frame_table, lines_of, run_import

from mobilenetdet.kitti.layout import KittiLayout

HEAD = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><job><id>1</id><size>2</size></job></meta>"""
BOX = """<box label="car" source="manual" occluded="{}" xtl="{}" ytl="{}" xbr="{}" ybr="{}"{}
 z_order="0">{}</box>"""
ATTRIBUTE = '<attribute name="{}">{}</attribute>'


def write_cvat(root, shapes, name="1.png", more="", folder="images"):
    draw_picture(root / folder / name)
    image = f'<image id="0" name="{name}" width="200" height="100"{more}>{shapes}</image>'
    (root / "annotations.xml").write_text(f"{HEAD}{image}</annotations>")
    return root


def test_boxes_and_their_attributes(tmp_path):
    attributes = ATTRIBUTE.format("truncated", "true") + ATTRIBUTE.format("alpha", "-1.25")
    attributes += ATTRIBUTE.format("colour", "red")
    shapes = BOX.format(1, 10.5, 20.25, 40, 60.75, "", attributes)
    shapes += BOX.format(0, 1, 2, 3, 4, "", ATTRIBUTE.format("occluded", "2"))
    run_import("cvat", write_cvat(tmp_path / "in", shapes), tmp_path / "out")
    text = KittiLayout(tmp_path / "out").label_path("1").read_text().splitlines()
    assert [" ".join(line.split()[:8]) for line in text] == [
        "car 0.30 1 -1.25 10.50 20.25 40.00 60.75",
        "car -1 2 -10 1.00 2.00 3.00 4.00",
    ]


@pytest.mark.parametrize(
    ("shape", "box", "note"),
    [
        (
            '<polygon label="a" points="10.5,20;30,5.25;20,40" z_order="0"/>',
            "a 10.50 5.25 30.00 40.00",
            "shapes (polygon) became their boxes",
        ),
        (
            '<ellipse label="a" cx="50" cy="50" rx="20" ry="10" rotation="90.00"/>',
            "a 40.00 30.00 60.00 70.00",
            "shapes (ellipse) became their boxes",
        ),
        (
            '<mask label="a" rle="1,2" left="5" top="6" width="7" height="8"/>',
            "a 5.00 6.00 12.00 14.00",
            "shapes (mask) became their boxes",
        ),
        (
            BOX.format(0, 40, 40, 80, 60, ' rotation="90.0"', ""),
            "car 50.00 30.00 70.00 70.00",
            "turned boxes became the upright ones around them",
        ),
        (
            BOX.format(0, 40, 40, 60, 60, ' rotation="45.0"', ""),
            "car 35.857864 35.857864 64.142136 64.142136",
            "turned boxes became",
        ),
        ('<polyline label="a" points="1,2;3,4"/>', None, "shapes without box (polyline) were left"),
        ('<points label="a" points="1,2"/>', None, "shapes without box (points) were left out"),
        ('<tag label="night"/>', None, "shapes without box (tag) were left out"),
        ("<hologram/>", None, "elements that are not known (hologram) were left out"),
    ],
)
def test_other_shapes_are_noted(tmp_path, shape, box, note):
    report = run_import("cvat", write_cvat(tmp_path / "in", shape), tmp_path / "out")
    assert lines_of(tmp_path / "out", "1") == ([box] if box else [])
    (line,) = report.notes.lines()
    assert line.startswith(note) and line.endswith(": 1 (annotations.xml, 1.png)")


@pytest.mark.parametrize("ending", [".PNG", ".png", ".jpg"])
def test_frames_of_a_video_have_no_ending_in_the_file(tmp_path, ending):
    root = write_cvat(tmp_path / "in", BOX.format(0, 1, 2, 30, 40, "", ""), "frame_000000.png")
    path = root / "annotations.xml"
    path.write_text(path.read_text().replace("frame_000000.png", "frame_000000"))
    (root / "images/frame_000000.png").unlink()
    draw_picture(root / f"images/frame_000000{ending}")
    run_import("cvat", root, tmp_path / "out")
    assert lines_of(tmp_path / "out", "frame_000000") == ["car 1.00 2.00 30.00 40.00"]


@pytest.mark.parametrize("folder", ["images", "images/Train"])
def test_subsets_are_lists(tmp_path, folder):
    root = write_cvat(tmp_path / "in", "", "a/1.jpg", ' subset="Train"', folder)
    report = run_import("cvat", root, tmp_path / "out")
    assert report.splits == {"train": 1} and report.num_empty == 1


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ('<box label="a" xtl="1" ytl="2" xbr="3"/>', "ybr is None; it must be a number"),
        ('<box xtl="1" ytl="2" xbr="3" ybr="4"/>', "a box without label"),
        ('<polygon label="a" points="1;2"/>', "points of a polygon are '1;2'"),
        ('<polygon label="a" points=""/>', "points of a polygon are ''"),
    ],
)
def test_damaged_shapes_are_told(tmp_path, shapes, message):
    root = write_cvat(tmp_path / "in", shapes)
    with pytest.raises(ValueError, match=message):
        run_import("cvat", root, tmp_path / "out")


def test_tracks_and_nameless_pictures_are_refused(tmp_path):
    path = tmp_path / "annotations.xml"
    path.write_text(f'{HEAD}<track id="0" label="car"/></annotations>')
    with pytest.raises(ValueError, match="CVAT for videos"):
        run_import("cvat", tmp_path, tmp_path / "out")
    path.write_text(f'{HEAD}<image id="3"/></annotations>')
    with pytest.raises(ValueError, match="image 3 has no name"):
        run_import("cvat", path, tmp_path / "out")


@pytest.mark.parametrize(
    "places", [("images/Train/1.png", "images/Test/1.png"), ("images/1.png", "images/2.png")]
)
def test_each_subset_may_have_a_folder(tmp_path, places):
    root = tmp_path / "in"
    images = [
        f'<image id="{index}" name="{place[-5:]}" subset="{subset}" width="200" height="100"/>'
        for index, (place, subset) in enumerate(zip(places, ("Train", "Test"), strict=True))
    ]
    for index, place in enumerate(places):
        draw_picture(root / place, seed=index)
    (root / "annotations.xml").write_text(f"{HEAD}{''.join(images)}</annotations>")
    report = run_import("cvat", root, tmp_path / "out")
    assert report.splits == {"train": 1, "test": 1}
    assert {row[1] for row in frame_table(tmp_path / "out")} == set(places)
