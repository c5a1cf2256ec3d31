import numpy as np
import pytest

from mobilenetdet.detections import Detections


@pytest.fixture
def detections() -> Detections:
    return Detections(np.arange(12.0).reshape(3, 4), np.array([0.9, 0.5, 0.1]), np.array([2, 0, 1]))


@pytest.mark.parametrize(
    ("index", "classes"),
    [
        (np.array([True, False, True]), [2, 1]),
        (slice(1, None), [0, 1]),
        (np.array([2, 0]), [1, 2]),
        (np.zeros(3, bool), []),
    ],
)
def test_selection_keeps_the_rows_together(detections, index, classes):
    selected = detections[index]
    assert selected.classes.tolist() == classes
    assert len(selected) == len(classes)
    np.testing.assert_array_equal(selected.boxes_xyxy, detections.boxes_xyxy[index])
    np.testing.assert_array_equal(selected.scores, detections.scores[index])


def test_above_keeps_equal_scores(detections):
    assert detections.above(0.5).scores.tolist() == [0.9, 0.5]
    assert len(detections.above(1.0)) == 0


def test_nothing_found():
    nothing = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    assert len(nothing) == 0
    assert len(nothing.above(0.0)) == 0


@pytest.mark.parametrize(
    ("boxes", "scores", "classes"),
    [
        ((3, 4), (2,), (3,)),
        ((3, 4), (3,), (2,)),
        ((3, 5), (3,), (3,)),
        ((3, 4), (3, 1), (3,)),
        ((0,), (0,), (0,)),  # np.array([]) has no four columns
    ],
)
def test_arrays_that_do_not_fit_together(boxes, scores, classes):
    with pytest.raises(ValueError, match=r"want \(N, 4\), N, N"):
        Detections(np.zeros(boxes), np.zeros(scores), np.zeros(classes, int))
