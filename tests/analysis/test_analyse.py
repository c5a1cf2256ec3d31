import json

import numpy as np
import pytest

from mobilenetdet.analysis.analyse import (
    analyse,
    best_f1_scores,
    best_threshold,
    format_analysis,
)
from mobilenetdet.config.classes import EvalTask
from mobilenetdet.kitti.average_precision import PrecisionRecall, evaluate_detections
from mobilenetdet.kitti.labels import KittiObjects, parse_objects


@pytest.fixture
def analysis(flawed_frames):
    return analyse(*flawed_frames)


def test_counts_by_level_and_class(analysis):
    cars = analysis.error_counts["moderate"]["Car"]
    assert (cars["correct"], cars["missed"], cars["background"]) == (120, 40, 0)
    assert analysis.error_counts["easy"]["Car"]["missed"] == 0  # the far car is 30 px high
    pedestrians = analysis.error_counts["moderate"]["Pedestrian"]
    assert (pedestrians["correct"], pedestrians["background"]) == (80, 10)
    assert set(analysis.error_counts["hard"]["Cyclist"].values()) == {0}


def test_costs_are_those_of_the_kinds(analysis, flawed_frames):
    before = evaluate_detections(*flawed_frames)["Pedestrian"].moderate.r40
    assert analysis.error_costs["Pedestrian"]["background"] == pytest.approx(100 - before)
    assert analysis.error_costs["Car"]["missed"] > 20


def test_scores_are_kept_by_kind(analysis):
    of_class = analysis.scores["Pedestrian"]
    assert len(of_class["correct"]) == 80
    assert of_class["background"].tolist() == [0.95] * 10


def test_of_several_on_one_object_the_surest_is_the_correct_one():
    """Whichever overlaps it most: a threshold between them would leave the surest."""
    box = np.array([[100.0, 100, 200, 200]])
    labels = parse_objects("Car 0 0 0 100 100 200 200 1.5 1.6 3.9 0 1.5 20 0", "labels")
    boxes = np.concatenate([box, box + 5, box + 9])
    found = KittiObjects.from_detections(["Car"] * 3, boxes, np.array([0.1, 0.9, 0.2]))
    scores = analyse([labels], [found]).scores["Car"]
    assert scores["correct"].tolist() == [0.9]
    assert sorted(scores["repeated"].tolist()) == [0.1, 0.2]


def test_worst_frames_come_first(analysis):
    # A far car is missing in every even frame, a false pedestrian is in frames 10 to 19.
    assert analysis.worst_frames(6) == [10, 12, 14, 16, 18, 0]
    assert len(analysis.worst_frames(1000)) == 40 + 5  # frames without an error are none


def test_everything_goes_into_json(analysis):
    written = json.loads(json.dumps(analysis.to_json([f"{index:06d}" for index in range(80)])))
    assert written["frames"] == 80 and written["protocol"] == "current"
    heights = {part["name"]: part for part in written["parts"]["height"]["Car"]}
    assert heights["25-40 px"]["recall"] == 0.5 and heights["100-160 px"]["num_objects"] == 80
    assert np.array(written["confusion"]).shape == (4, 4)
    worst = max(written["frame_errors"], key=written["frame_errors"].get)
    assert worst == "000010" and written["frame_errors"]["000079"] == 0


def test_tables_hold_the_figures(analysis):
    text = format_analysis(analysis)
    assert "40 (+" in text  # missed cars and what they cost
    assert "distance    30-45 m" in text and "50 % / 80" in text
    assert "-0.0" not in text


def test_few_objects_are_marked(flawed_frames):
    labels, detections = flawed_frames
    text = format_analysis(analyse(labels[:20], detections[:20]))
    assert "* n objects, fewer than 41: R40 is at most 2.5 (n - 1)" in text


@pytest.mark.parametrize(
    ("precisions", "recalls", "best"),
    [
        ([1, 0.9, 0.2], [0.2, 0.8, 0.9], 0.6),
        ([1, 1, 1], [0.2, 0.8, 0.9], 0.3),
        # Interpolation lifts the first point to the second; the second is the one that has it.
        ([0.8, 0.8, 0.1], [0.5, 0.5, 0.6], 0.6),
        ([], [], 0),
    ],
)
def test_best_threshold_has_the_best_f1(precisions, recalls, best):
    thresholds = np.array([0.9, 0.6, 0.3])[: len(precisions)]
    padded = np.zeros(41)
    padded[: len(precisions)] = precisions
    curve = PrecisionRecall(padded, np.array(recalls, float), thresholds, 10)
    assert best_threshold(curve) == best


def test_no_frames_and_no_detections():
    assert analyse([], []).worst_frames(3) == []
    nothing = analyse([KittiObjects.empty()], [KittiObjects.empty(with_scores=True)])
    assert nothing.worst_frames(3) == [] and nothing.thresholds["Car"] == 0


OWN = EvalTask.of(
    ("Lorry", "Person", "Van", "Bus"), class_map={"Car": "Lorry", "Pedestrian": "Person"}
)


def test_own_classes_are_explained_as_kittis_are(flawed_frames, analysis):
    """The lorries are the cars and the persons the pedestrians under another name."""
    own = analyse(*flawed_frames, task=OWN)
    assert own.thresholds["Lorry"] == analysis.thresholds["Car"]
    for name, kitti in (("Lorry", "Car"), ("Person", "Pedestrian")):
        assert own.error_counts["moderate"][name] == analysis.error_counts["moderate"][kitti]
        recalls = [
            [part.recall for part in a.parts["height"][n]]
            for a, n in ((own, name), (analysis, kitti))
        ]
        assert recalls[0] == recalls[1]
    assert own.curves["Bus"] is None and own.confusion.shape == (5, 5)
    assert own.confusion[:2, :2].tolist() == analysis.confusion[:2, :2].tolist()
    assert own.worst_frames(6) == analysis.worst_frames(6)


def test_difficulties_are_those_of_the_class(flawed_frames):
    limits = ((20, 0, 0.15), (20, 1, 0.3), (20, 3, 1.0))
    easy = EvalTask.of(("Car", "Pedestrian"), difficulties={"Car": limits})
    counts = analyse(*flawed_frames, task=easy).error_counts["easy"]
    assert counts["Car"]["missed"] == 40  # the far car, 30 px high, is easy now
    assert counts["Pedestrian"]["correct"] == 80


@pytest.mark.parametrize("max_occlusion", [2, 3])
def test_missed_objects_cost_what_they_cost_whatever_occlusion_counts(flawed_frames, max_occlusion):
    limits = ((25, max_occlusion, 1.0),) * 3
    task = EvalTask.of(("Car",), difficulties={"Car": limits})
    before = evaluate_detections(*flawed_frames, task=task)["Car"].moderate.r40
    costs = analyse(*flawed_frames, task=task).error_costs["Car"]
    assert costs["missed"] == pytest.approx(100 - before)


def test_scores_of_the_best_f1_leave_out_what_was_never_hit(analysis, flawed_frames):
    scores = best_f1_scores(*flawed_frames)
    assert set(scores) == {"Car", "Pedestrian"}  # no Cyclist is detected
    for name, score in scores.items():
        assert score <= analysis.thresholds[name] < score + 0.001
