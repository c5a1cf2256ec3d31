"""No two pictures of one call share an output."""

from pathlib import Path

import pytest

from mobilenetdet.media.picture_names import name_pictures


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ([], []),
        (["x/road.jpg"], ["road"]),
        (["a/pic.jpg", "b/pic.jpg"], ["a_pic", "b_pic"]),
        (["pic.jpg", "b/pic.jpg"], ["pic_jpg", "b_pic"]),
        (["a/x/pic.jpg", "a/y/pic.jpg", "a/y/other.jpg"], ["x_pic", "y_pic", "other"]),
        (["r.jpg", "r.png"], ["r_jpg", "r_png"]),
        (["r.jpg", "r.png", "r_jpg.png"], ["r_jpg", "r_png", "r_jpg_png"]),
        (["Road.jpg", "road.png"], ["Road_jpg", "road_png"]),  # one file on macOS and Windows
        (["a.mp4", "a_000000.jpg"], ["a", "a_000000_jpg"]),
        (["a.mp4", "a_00.jpg", "b_000000.jpg"], ["a", "a_00", "b_000000"]),
        (["a.mp4", "a.avi", "a.jpg"], ["a_mp4", "a_avi", "a"]),
        (["a/pic.jpg", "a_pic.jpg", "pic.jpg"], ["a_pic_jpg", "a_pic_jpg_2", "pic_jpg"]),
        ([".hidden.jpg"], ["hidden"]),
        (["x/../pic.jpg", "pic.jpg"], ["pic_jpg", "pic_jpg_2"]),
        # Bytes that are no UTF-8, and a name that looks like what they are spelled as.
        (["a\udcff.jpg", "a_xff.jpg", "b\udcfe/c.jpg"], ["a_xff_jpg", "a_xff_jpg_2", "c"]),
        (["x/" + "日" * 80 + ".jpg"], ["日" * 40]),  # 240 bytes, more than an output may have
    ],
)
def test_names(files: list[str], names: list[str]):
    assert name_pictures([Path(file) for file in files]) == names


def test_all_kinds_at_once_and_the_order_does_not_matter():
    files = [
        *("a/pic.jpg", "b/pic.jpg", "r.jpg", "r.png", "r_jpg.png", "a.mp4", "a_000000.jpg"),
        *("a_pic.jpg", "B/pic.jpg", "a.avi", "a_mp4_000001.png", "a_000000.png", "pic_2.jpg"),
    ]
    for order in (files, files[::-1]):
        names = name_pictures([Path(file) for file in order])
        outputs = set()
        for file, name in zip(order, names, strict=True):
            assert "/" not in name and not name.startswith(".")
            frames = [f"{name}_{i:06d}" for i in range(3)] if file[-4:] in (".mp4", ".avi") else []
            for output in frames or [name]:
                assert output.lower() not in outputs, (file, output)
                outputs.add(output.lower())
        assert len(outputs) == 11 + 2 * 3
