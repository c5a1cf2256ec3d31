import json

import numpy as np
import pytest

from mobilenetdet.detections import Detections
from mobilenetdet.kitti.labels import format_objects, parse_objects

CLASSES = ("Car", "Pedestrian", "Cyclist")


@pytest.fixture
def detections() -> Detections:
    boxes = np.arange(12.0).reshape(3, 4)
    return Detections(boxes, np.array([0.9, 0.5, 0.1]), np.array([2, 0, 1]), CLASSES)


def test_it_says_how_many_there_are_of_each_class(detections):
    assert repr(detections) == "Detections(3: 1 Car, 1 Pedestrian, 1 Cyclist)"
    assert repr(detections[:1]) == "Detections(1: 1 Cyclist)"
    assert repr(Detections.empty(CLASSES)) == "Detections(0)"


@pytest.mark.parametrize(
    ("index", "classes"),
    [
        (np.array([True, False, True]), [2, 1]),
        (slice(1, None), [0, 1]),
        (np.array([2, 0]), [1, 2]),
        ([2, 0], [1, 2]),
        (1, [0]),
        (np.int64(-1), [1]),
        (np.zeros(3, bool), []),
    ],
)
def test_selection_keeps_the_rows_together(detections, index, classes):
    selected = detections[index]
    assert selected.class_ids.tolist() == classes
    assert len(selected) == len(classes)
    rows = [index] if np.ndim(index) == 0 and not isinstance(index, slice) else index
    np.testing.assert_array_equal(selected.boxes_xyxy, detections.boxes_xyxy[rows])
    np.testing.assert_array_equal(selected.scores, detections.scores[rows])
    assert selected.classes == CLASSES


def test_names_go_by_the_vocabulary(detections):
    assert detections.class_names.tolist() == ["Cyclist", "Car", "Pedestrian"]
    assert detections.class_names.dtype.kind == "U"
    assert Detections.empty([]).class_names.dtype.kind == "U"


def test_above_keeps_equal_scores(detections):
    assert detections.above(0.5).scores.tolist() == [0.9, 0.5]
    assert len(detections.above(1.0)) == 0


def test_nothing_found():
    nothing = Detections.empty(CLASSES)
    assert len(nothing) == len(nothing.above(0.0)) == len(nothing.to_kitti()) == 0
    assert nothing.to_json() == [] and nothing.to_kitti().scores is not None
    assert len(Detections.from_kitti(nothing.to_kitti(), CLASSES)) == 0


def test_lists_become_arrays_of_fixed_types():
    found = Detections([[1, 2, 3, 4]], [1], np.array([0], np.int32), ["Car"])
    kinds = [found.boxes_xyxy.dtype, found.scores.dtype, found.class_ids.dtype]
    assert kinds == [np.float64, np.float64, np.int64]
    assert found.classes == ("Car",)


@pytest.mark.parametrize(
    ("boxes", "scores", "classes"),
    [
        ((3, 4), (2,), (3,)),
        ((3, 4), (3,), (2,)),
        ((3, 5), (3,), (3,)),
        ((3, 4), (3, 1), (3,)),
        ((0,), (0,), (0,)),  # np.array([]) has no four columns
        ((4,), (), ()),  # one detection is a row as well
    ],
)
def test_arrays_that_do_not_fit_together(boxes, scores, classes):
    with pytest.raises(ValueError, match=r"want \(N, 4\), N, N"):
        Detections(np.zeros(boxes), np.zeros(scores), np.zeros(classes, int), CLASSES)


@pytest.mark.parametrize("class_id", [-1, 3])
def test_ids_outside_of_the_vocabulary(class_id):
    with pytest.raises(ValueError, match=rf"class id {class_id} is none of the 3.*0 to 2"):
        Detections(np.zeros((1, 4)), np.zeros(1), [class_id], CLASSES)


def test_kitti_has_what_was_found_and_the_way_back_is_the_same(detections):
    text = format_objects(detections.to_kitti())
    assert text.splitlines()[0] == "Cyclist -1 -1 -10 0.00 1.00 2.00 3.00 -1 -1 -1 -1000 -1000 " + (
        "-1000 -10 0.9000"
    )
    back = Detections.from_kitti(parse_objects(text, "file"), CLASSES)
    assert back.class_ids.tolist() == [2, 0, 1]
    np.testing.assert_array_equal(back.boxes_xyxy, detections.boxes_xyxy)
    np.testing.assert_array_equal(back.scores, detections.scores)


def test_types_are_the_vocabulary_where_none_is_given(detections):
    back = Detections.from_kitti(detections.to_kitti())
    assert back.classes == ("Cyclist", "Car", "Pedestrian")
    assert back.class_ids.tolist() == [0, 1, 2]


def test_types_compare_in_any_case_and_others_are_named(detections):
    objects = detections.to_kitti()
    assert Detections.from_kitti(objects, ["car", "cyclist", "PEDESTRIAN"]).class_ids[1] == 0
    with pytest.raises(ValueError, match=r"'Cyclist' is none of.*did you mean Cyclists\?"):
        Detections.from_kitti(objects, ["Car", "Pedestrian", "Cyclists"])


def test_labels_are_no_detections():
    label = "Car 0 0 0 0 0 100 50 1.5 1.6 4 0 1.6 10 0"
    with pytest.raises(ValueError, match="labels have no scores"):
        Detections.from_kitti(parse_objects(label, "file"))


def test_json_is_plain_and_short():
    found = Detections([[1 / 3, 2, 30.456, 40]], [2 / 3], [1], CLASSES)
    entry = {"class": "Pedestrian", "score": 0.666667, "box_xyxy": [0.33, 2.0, 30.46, 40.0]}
    assert json.loads(json.dumps(found.to_json())) == [entry]


@pytest.mark.parametrize(
    ("box", "score", "class_id", "classes", "message"),
    [
        ([1, 2, 3, np.nan], 0.5, 0, ["Car"], "boxes_xyxy has nan"),
        ([1, 2, 3, 4], np.inf, 0, ["Car"], "scores has inf"),
        ([1, 2, 3, 4], 0.5, 0.9, ["Car"], "class_ids has 0.9; all must be whole"),
        ([1, 2, 3, 4], 0.5, 0, "Car", "classes is the text 'Car'"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(box, score, class_id, classes, message):
    with pytest.raises(ValueError, match=message):
        Detections([box], [score], [class_id], classes)


@pytest.mark.parametrize("score", ["0.5", None, float("nan"), 2, -1, [0.5, 0.5]])
def test_a_lowest_score_is_a_number_of_0_to_1(detections, score):
    with pytest.raises(ValueError, match="the lowest score is .* it must be a number, 0 to 1"):
        detections.above(score)
    with pytest.raises(ValueError, match="the lowest score is"):
        detections.above(dict.fromkeys(detections.classes, score))


@pytest.mark.parametrize("objects", ["photo.txt", []])
def test_a_path_is_no_result(objects):
    with pytest.raises(ValueError, match="must be KittiObjects, as .*read_objects"):
        Detections.from_kitti(objects, ["Car"])
