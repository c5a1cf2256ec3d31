import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenetdet.kitti.layout import parse_frame_ids
from mobilenetdet.label_formats.frame_names import frame_ids, split_names


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a/1.jpg", "b/1.jpg", "b/my cat.png"], ["a_1", "b_1", "my_cat"]),
        (["in/a/1.jpg", "in/b/1.jpg"], ["a_1", "b_1"]),
        (["a/x.jpg", "a/x.png"], ["x", "x_2"]),
        ([], []),
        (["a/X.jpg", "b/x.png"], ["a_X", "b_x"]),  # some file systems do not tell case apart
        (["a/1.jpg", "b/1.jpg", "a_1.jpg"], ["a_1", "b_1", "a_1_2"]),
        (["..hidden.png", "photo.jpg.png"], ["_hidden", "photo_jpg"]),
        (["a\u2028b\x1b.png", "\udcff.png"], ["a_b_", "_"]),
    ],
)
def test_ids_are_words_and_unique(names, expected):
    assert frame_ids(names) == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(min_size=1), max_size=8))
def test_lists_of_frames_take_any_of_them(names):
    ids = frame_ids(names)
    assert len({each.lower() for each in ids}) == len(names)
    assert parse_frame_ids("".join(f"{each}\n" for each in ids), "list") == ids
    assert all(len(each.encode()) <= 200 for each in ids)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["instances_train2017", "instances_val2017"], ["train", "val"]),
        (["train", "valid", "testing"], ["train", "val", "test"]),
        (["train2014", "train2017"], ["train2014", "train2017"]),
        (["cars (old)", ".partial"], ["cars_old", "partial"]),
    ],
)
def test_parts_have_the_usual_names(found, expected):
    assert list(split_names(found).values()) == expected
