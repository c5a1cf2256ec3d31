import numpy as np
import pytest

from mobilenetdet.config.type_names import check_class_names
from mobilenetdet.label_formats.cleaning import clean_objects, type_map
from mobilenetdet.label_formats.source_frame import Notes, SourceFrame, make_objects


@pytest.mark.parametrize(
    ("box", "expected", "note"),
    [
        ([10, 20, 30, 40], [10, 20, 30, 40], None),
        ([0, 0, 200, 100], [0, 0, 200, 100], None),  # the border is inside
        ([-1e-9, 0, 200, 100 + 1e-9], [0, 0, 200, 100], None),  # dust of a division
        ([-5, -6, 210, 50], [0, 0, 200, 50], "boxes were clipped at the border of their picture"),
        ([200, 0, 210, 50], None, "boxes outside of their picture were left out"),
        ([-9, -9, -1, -1], None, "boxes outside of their picture were left out"),
        ([30, 20, 10, 40], None, "boxes without area were left out"),
        ([30, 20, 30, 40], None, "boxes without area were left out"),
    ],
)
@pytest.mark.parametrize("normalised", [False, True])
def test_boxes_lie_in_their_picture(box, expected, note, normalised):
    scale = (200, 100, 200, 100) if normalised else (1, 1, 1, 1)
    boxes = [np.divide(box, scale).tolist(), np.divide([1, 2, 3, 4], scale).tolist()]
    objects = make_objects(["car", "bus"], boxes, [{"occluded": 1}, {}])
    frame, notes = SourceFrame("a.png", b"", objects, normalised=normalised), Notes()
    types = {"car": "Car", "bus": "Bus"}
    cleaned = clean_objects(frame, (200, 100), types, notes)
    kept = [] if expected is None else [expected]
    assert cleaned.boxes_xyxy.tolist() == [*kept, [1, 2, 3, 4]]
    assert cleaned.types.tolist() == ["Car", "Bus"][-len(cleaned) :]
    assert cleaned.occluded.tolist() == [1, -1][-len(cleaned) :]
    assert list(notes.names) == ([note] if note else [])


def test_a_frame_without_object_stays_one():
    frame, notes = SourceFrame("a.png", b"", make_objects([], []), normalised=True), Notes()
    assert len(clean_objects(frame, (200, 100), {}, notes)) == 0 and not notes.names


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_coordinates_are_numbers(bad):
    frame = SourceFrame("a.png", b"", make_objects(["a"] * 2, [[0, 0, 1, 1], [0, bad, 1, 1]]))
    with pytest.raises(ValueError, match="a.png: the box of object 2 is 0 .*; it needs numbers"):
        clean_objects(frame, (200, 100), {"a": "a"}, Notes())


def test_types_of_several_words_become_one():
    notes = Notes()
    types = ["traffic light", "traffic_light", "car", "dontcare"]
    assert type_map(types, {"Traffic Light": "Light"}, notes) == {
        "traffic light": "Light",
        "traffic_light": "Light",
        "car": "car",
        "dontcare": "DontCare",
    }
    assert not notes.names
    assert type_map(["a b\tc"], {}, notes) == {"a b\tc": "a_b_c"}
    assert list(notes.names) == ["names of classes were joined to one word"]


def test_types_are_written_as_a_class_may_be_called():
    """What no class can be called is told: training would refuse it, after the conversion."""
    notes = Notes()
    types = type_map(["e-scooter/rider", "red, big", "mean", "Task"], {"Task": "Job"}, notes)
    assert types == {
        "e-scooter/rider": "e-scooter_rider",
        "red, big": "red_big",
        "mean": "mean",
        "Task": "Job",
    }
    check_class_names([name for name in types.values() if name != "mean"])
    with pytest.raises(ValueError, match="'mean' cannot name a class"):
        check_class_names(["mean"])
    assert notes.names["types that no class can be called, rename them with class_map"] == ["mean"]


@pytest.mark.parametrize("name", ["", "  ", "a\x1bb", "x" * 101])
def test_names_that_no_line_can_hold_are_refused(name):
    with pytest.raises(ValueError, match="is no name of a class"):
        type_map([name], {}, Notes())
