from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenetdet.label_formats.source_frame import (
    Notes,
    inside,
    join_objects,
    known_attributes,
    make_objects,
    path_name,
    read_attributes,
)


def test_notes_name_the_first_three():
    notes = Notes()
    for name in "abbcd":
        notes.add("boxes were clipped", name)
    notes.add("pictures were copied", "x")
    assert notes.lines() == ["boxes were clipped: 5 (a; b; ...)", "pictures were copied: 1 (x)"]


VALUES = {
    "truncated": st.floats(0, 1),
    "occluded": st.integers(0, 3),
    "alpha": st.floats(-4, 4),
    "z_m": st.floats(-100, 100),
}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.fixed_dictionaries({}, optional=VALUES), max_size=4))
def test_what_is_known_comes_back(attributes):
    boxes = [[0, 0, 1, 1]] * len(attributes)
    objects = make_objects(["Car"] * len(attributes), boxes, attributes)
    assert known_attributes(objects) == attributes
    notes = Notes()
    assert [read_attributes(each, notes, "") for each in known_attributes(objects)] == attributes
    assert not notes.names


@pytest.mark.parametrize(
    ("raw", "expected", "num_notes"),
    [
        ({"truncated": "true", "occluded": True}, {"truncated": 0.3, "occluded": 1}, 0),
        ({"truncated": False, "occluded": "no"}, {"truncated": 0, "occluded": 0}, 0),
        ({"truncated": "0.5", "occluded": "2", "colour": 3}, {"truncated": 0.5, "occluded": 2}, 0),
        ({"truncated": -1, "alpha": -10}, {"alpha": -10}, 0),
        ({"truncated": 50, "occluded": "half", "alpha": "nan"}, {}, 3),
        ({"truncated": None, "occluded": "1e999", "alpha": [1]}, {}, 3),
    ],
)
def test_attributes_are_flags_or_numbers(raw, expected, num_notes):
    notes = Notes()
    assert read_attributes(raw, notes, "a.json") == expected
    assert len(notes.names) == num_notes


def test_objects_are_joined():
    first, second = make_objects(["Car"], [[0, 0, 1, 1]]), make_objects([], [])
    joined = join_objects(first, join_objects(second, first))
    assert joined.types.tolist() == ["Car", "Car"] and joined.scores is None
    np.testing.assert_array_equal(joined.boxes_xyxy, [[0, 0, 1, 1]] * 2)


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "b/../../a.png", "..\\a.png"])
def test_names_do_not_lead_out_of_a_folder(tmp_path, name):
    with pytest.raises(ValueError, match="outside of"):
        inside(tmp_path, name)
    assert inside(tmp_path, "b\\..\\c/a.png") == tmp_path / "c/a.png"
    assert inside(tmp_path, str(tmp_path / "a.png")) == tmp_path / "a.png"


def test_paths_have_short_names():
    assert path_name(Path("/data/in/a/1.png"), Path("/data/in")) == "a/1.png"
    assert path_name(Path("/data/in/a/1.png"), Path("/other")) == "a/1.png"
