import json
import zipfile

import numpy as np
import pytest
from fixtures.naive_ap import Witness, make_detections, make_labels
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenetdet.config.classes import (
    DIFFICULTIES,
    EVALUATED_CLASSES,
)
from mobilenetdet.kitti.assignment import assign_greedily, type_codes
from mobilenetdet.kitti.average_precision import (
    evaluate_detections,
    match_frame,
    perfect_ap,
    precision_recall,
    recall_thresholds,
)
from mobilenetdet.kitti.labels import KittiObjects, parse_objects
from mobilenetdet.kitti.protocol import PROTOCOLS

CASES = ("dense64", "edge", "labels_as_detections", "rgb_detector_val", "ties")


# --- against the official program -------------------------------------------------------------


@pytest.fixture(scope="module")
def label_archive(shared_dir):
    with zipfile.ZipFile(shared_dir / "kitti_labels/label_2_all_7481.zip") as archive:
        yield archive


@pytest.mark.parametrize("case", CASES)
def test_official_program_gives_the_same(shared_dir, label_archive, case):
    folder = shared_dir / "golden/kitti_eval" / case
    frames = (folder / "frames.txt").read_text().split()
    labels = [parse_objects(label_archive.read(f"label_2/{i}.txt").decode(), i) for i in frames]
    with zipfile.ZipFile(folder / "detections.zip") as archive:
        texts = [archive.read(f"data/{i}.txt").decode() for i in frames]
    detections = [parse_objects(t, i, with_scores=True) for t, i in zip(texts, frames, strict=True)]
    expected = json.loads((folder / "expected.json").read_text())
    for protocol in PROTOCOLS:
        result = evaluate_detections(labels, detections, protocol=protocol).to_dict()
        json.dumps(result, allow_nan=False)
        assert result["protocol"] == protocol
        assert result["frames"] == len(frames)
        for name in EVALUATED_CLASSES:
            for level, values in expected[protocol][name].items():
                ours = result[name][level]
                assert ours["precision41"] == pytest.approx(values["precision41"], abs=1e-9)
                assert ours["R11"] == pytest.approx(values["R11"], abs=1e-6)
                assert ours["R40"] == pytest.approx(values["R40"], abs=1e-6)


# --- against a slow restatement, one frame, one threshold, one pair at a time -----------------


# Overlaps of 0.5 and 0.7 exactly, and heights at which the rules change.
SIZES = [(40, h) for h in (20, 24.9, 25, 28, 30, 39.9, 40, 41)] + [
    (20, 40),
    (28, 40),
    (36, 40),
    (0, 0),
]


@st.composite
def rows(draw, types):
    """A type and a box; most boxes overlap most others."""
    left = draw(st.sampled_from([0, 0, 0, 2, 4, -1, 100]))
    width, height = draw(st.sampled_from(SIZES))
    return draw(st.sampled_from(types)), left, 0, left + width, height


@st.composite
def scenes(draw):
    label_types = ["Car", "Car", "Car", "car", "Van", "Pedestrian", "Person_sitting", "DontCare"]
    labels = st.tuples(
        rows([*label_types, "Truck"]),
        st.sampled_from([0, 0, 0, 1, 2, 3]),
        st.sampled_from([0, 0, 0, 0.15, 0.3, 0.31, 0.51]),
    )
    detections = st.tuples(
        rows(["Car", "Car", "CAR", "Pedestrian", "Van", "DontCare"]),
        st.sampled_from([-3.5, 0.1, 0.5, 0.9, -2e7]),
    )
    frames = draw(
        st.lists(st.tuples(st.lists(labels, max_size=6), st.lists(detections, max_size=8)))
    )
    return (
        [make_labels(*(row + (o, t) for row, o, t in frame[0])) for frame in frames],
        [make_detections(*(row + (score,) for row, score in frame[1])) for frame in frames],
    )


@settings(deadline=None, max_examples=150)
@given(scenes(), st.sampled_from(PROTOCOLS))
def test_random_scenes_agree_with_the_restatement(scene, protocol):
    labels, detections = scene
    curves = precision_recall(labels, detections, protocol=protocol)
    # The official program takes scores of -1e7 and below for "no detection".
    detections = [frame[frame.scores > -1e7] for frame in detections]
    for name in EVALUATED_CLASSES:
        for level in DIFFICULTIES if curves[name] else ():
            precisions, recalls = Witness(name, level, protocol).curve(labels, detections)
            assert curves[name][level.name].precisions.tolist() == precisions
            assert curves[name][level.name].recalls.tolist() == recalls


@settings(deadline=None, max_examples=75)
@given(scenes(), st.sampled_from(PROTOCOLS), st.sampled_from([-5.0, 0.1, 0.3, 0.9, 1.0]))
def test_frame_outcomes_agree_with_the_restatement(scene, protocol, threshold):
    for labels, detections in zip(*scene, strict=True):
        for name in EVALUATED_CLASSES:
            for level in DIFFICULTIES:
                matches = match_frame(
                    labels,
                    detections,
                    class_name=name,
                    difficulty=level.name,
                    score_threshold=threshold,
                    protocol=protocol,
                )
                hits, false_alarms, misses = Witness(name, level, protocol).count(
                    labels, detections, threshold
                )
                hit = matches.detection_outcomes == "hit"
                assert sorted(detections.scores[hit]) == sorted(hits)
                assert (matches.label_outcomes == "hit").sum() == len(hits)
                assert (matches.label_outcomes == "miss").sum() == misses
                assert (matches.detection_outcomes == "false_alarm").sum() == false_alarms
                hit_labels = np.flatnonzero(matches.label_outcomes == "hit")
                assert sorted(matches.detection_labels[hit]) == hit_labels.tolist()


@settings(deadline=None, max_examples=40)
@given(scenes(), st.randoms())
def test_order_of_frames_does_not_matter(scene, random):
    labels, detections = scene
    order = random.sample(range(len(labels)), len(labels))
    shuffled = [labels[i] for i in order], [detections[i] for i in order]
    assert evaluate_detections(*shuffled) == evaluate_detections(labels, detections)


# --- single rules -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("num_objects", "num_points"),
    [(1, 1), (5, 5), (40, 40), (41, 41), (100, 41)],
)
def test_perfect_detections_reach_100_only_with_enough_objects(num_objects, num_points):
    box = (10, 10, 60, 60)
    labels = [make_labels(("Car", *box))] * num_objects
    detections = [make_detections(("Car", *box, 0.5 + i / 1000)) for i in range(num_objects)]
    curve = precision_recall(labels, detections)["Car"]["easy"]
    assert curve.precisions.tolist() == [1.0] * num_points + [0.0] * (41 - num_points)
    assert curve.r40 == pytest.approx(100 * (num_points - 1) / 40)
    assert curve.num_objects == num_objects
    assert curve.recalls[-1] == 1
    assert (np.diff(curve.thresholds) < 0).all()


@pytest.mark.parametrize(
    ("num_objects", "r40", "r11"),
    [(0, 0, 0), (1, 0, 100 / 11), (21, 50, 600 / 11), (40, 97.5, 1000 / 11), (41, 100, 100)],
)
def test_perfect_ap_of_few_objects(num_objects, r40, r11):
    assert perfect_ap(num_objects) == pytest.approx({"R40": r40, "R11": r11})


def test_class_that_is_detected_nowhere_is_none():
    result = evaluate_detections(
        [make_labels(("Car", 0, 0, 50, 50))], [make_detections(("Cyclist", 0, 0, 50, 50, 1.0))]
    ).to_dict()
    assert result["Car"] is None
    assert result["Pedestrian"] is None
    nothing = {"R11": 0.0, "R40": 0.0, "num_objects": 0, "precision41": [0.0] * 41}
    assert result["Cyclist"]["easy"] == nothing


def test_class_that_begins_left_of_the_frame_only_is_not_detected_under_current_rules():
    labels = [make_labels(("Car", 0, 0, 50, 50))]
    detections = [make_detections(("Car", -0.5, 0, 50, 50, 1.0))]
    assert not evaluate_detections(labels, detections)["Car"].detected
    result = evaluate_detections(labels, detections, protocol="pre2017")
    assert result["Car"].detected and result["Car"].easy.precisions[0] == 1.0


@pytest.mark.parametrize("num_frames", [0, 1, 3])
def test_nothing_detected_at_all(num_frames):
    labels = [make_labels(("Car", 0, 0, 50, 50))] * num_frames
    for empty in (KittiObjects.empty(), KittiObjects.empty(with_scores=True)):
        result = evaluate_detections(labels, [empty] * num_frames)
        mean = {"R11": 0.0, "R40": 0.0}
        assert result.to_dict() == {
            **{"protocol": "current", "frames": num_frames},
            **dict.fromkeys(EVALUATED_CLASSES),
            "mean": {"easy": mean, "moderate": mean, "hard": mean},
        }


def test_frames_without_labels_or_with_dontcare_only():
    labels = [KittiObjects.empty(), make_labels(("DontCare", 0, 0, 100, 100))]
    inside = make_detections(("Car", 0, 0, 50, 50, 0.9))
    result = evaluate_detections(labels, [inside, inside])
    assert result["Car"].easy.r40 == 0.0
    labels.append(make_labels(("Car", 0, 0, 50, 50)))
    result = evaluate_detections(labels, [inside] * 3)
    # One hit and the false alarm of the first frame; the one in DontCare does not count.
    assert result["Car"].easy.precisions[0] == 0.5


BOX = (100, 100, 200, 150)
SHIFTED = (100, 100, 190, 150)  # overlap 0.9


@pytest.mark.parametrize(
    ("labels", "detections", "label_outcomes", "detection_outcomes"),
    [
        # a hit, and its duplicate
        ([("Car", *BOX)], [("Car", *BOX, 0.9), ("Car", *BOX, 0.8)], "hit", "hit false_alarm"),
        # the larger overlap wins over the higher score
        ([("Car", *BOX)], [("Car", *SHIFTED, 0.9), ("Car", *BOX, 0.8)], "hit", "false_alarm hit"),
        # overlap of exactly the minimum (70 of 100 pixels) is not enough
        ([("Car", *BOX)], [("Car", 100, 100, 170, 150, 0.9)], "miss", "false_alarm"),
        # below the score threshold
        ([("Car", *BOX)], [("Car", *BOX, 0.4)], "miss", "ignored"),
        # another class, in any case of letters
        ([("Car", *BOX)], [("Cyclist", *BOX, 0.9)], "miss", "ignored"),
        ([("car", *BOX)], [("CAR", *BOX, 0.9)], "hit", "hit"),
        # a neighbour and a too hard object absorb one detection each
        (
            [("Van", *BOX)],
            [("Car", *BOX, 0.9), ("Car", *BOX, 0.9)],
            "ignored",
            "ignored false_alarm",
        ),
        ([("Car", *BOX, 3)], [("Car", *BOX, 0.9)], "ignored", "ignored"),
        ([("Car", *BOX, 0, 0.31)], [("Car", *BOX, 0.9)], "ignored", "ignored"),
        # DontCare takes any number, but is no object
        ([("DontCare", *BOX)], [("Car", *SHIFTED, 0.9)] * 2, "ignored", "ignored ignored"),
        # DontCare by the detection's area: 64 of its 100 columns are inside
        ([("DontCare", *BOX)], [("Car", 136, 100, 236, 150, 0.9)], "ignored", "false_alarm"),
        # the first object in the file chooses first, even if it is ignored
        ([("Van", *BOX), ("Car", *BOX)], [("Car", *BOX, 0.9)], "ignored miss", "ignored"),
        # a detection below the minimum height, even of another class, covers an object
        (
            [("Car", 100, 100, 200, 125)],
            [("Cyclist", 100, 100, 200, 124.9, 0.9)],
            "ignored",
            "ignored",
        ),
        # but only if no counting detection is there
        (
            [("Car", 100, 100, 200, 125)],
            [("Car", 100, 100, 200, 124.9, 0.9), ("Car", 100, 100, 200, 130, 0.9)],
            "hit",
            "ignored hit",
        ),
        # a box without size
        ([("Car", *BOX)], [("Car", 100, 100, 100, 100, 0.9)], "miss", "ignored"),
        ([], [("Car", *BOX, 0.9)], "", "false_alarm"),
        ([("Car", *BOX)], [], "miss", ""),
        ([], [], "", ""),
    ],
)
def test_outcomes_of_one_frame(labels, detections, label_outcomes, detection_outcomes):
    matches = match_frame(
        make_labels(*labels) if labels else KittiObjects.empty(),
        make_detections(*detections) if detections else KittiObjects.empty(),
        class_name="Car",
        difficulty="moderate",
        score_threshold=0.5,
    )
    assert matches.label_outcomes.tolist() == label_outcomes.split()
    assert matches.detection_outcomes.tolist() == detection_outcomes.split()


def test_small_detections_are_false_alarms_before_2017():
    labels, small = make_labels(), make_detections(("Car", 0, 0, 50, 39.9, 0.9))
    outcomes = {
        protocol: match_frame(
            labels,
            small,
            class_name="Car",
            difficulty="easy",
            score_threshold=0.0,
            protocol=protocol,
        ).detection_outcomes.tolist()
        for protocol in PROTOCOLS
    }
    assert outcomes == {"current": ["ignored"], "pre2017": ["false_alarm"]}


def test_match_names_the_object_that_took_a_detection():
    labels = make_labels(("Van", *BOX), ("Car", 0, 0, 50, 50))
    detections = make_detections(
        ("Car", 0, 0, 50, 50, 1), ("Car", *BOX, 1), ("Car", 9, 9, 99, 99, 1)
    )
    matches = match_frame(
        labels, detections, class_name="Car", difficulty="hard", score_threshold=0.5
    )
    assert matches.detection_labels.tolist() == [1, 0, -1]


@pytest.mark.parametrize(
    ("scores", "num_objects", "expected"),
    [
        ([], 0, []),
        ([], 7, []),
        ([0.5, 0.9, 0.7], 3, [0.9, 0.7, 0.5]),
        ([0.5] * 3, 3, [0.5] * 3),
        (np.arange(1, 83) / 82, 82, None),  # 41 of 82
    ],
)
def test_recall_thresholds(scores, num_objects, expected):
    thresholds = recall_thresholds(np.array(scores), num_objects)
    if expected is None:
        assert len(thresholds) == 41
        assert thresholds[-1] == min(scores)
    else:
        assert thresholds.tolist() == expected


@settings(deadline=None)
@given(st.integers(1, 400), st.floats(0.01, 1))
def test_there_are_never_more_than_41_thresholds(num_objects, found):
    num_hits = int(num_objects * found)
    thresholds = recall_thresholds(np.linspace(1, 0, num_hits), num_objects)
    assert min(num_hits, 1) <= len(thresholds) <= 41


def test_greedy_assignment_uses_each_side_once_per_threshold():
    made = assign_greedily(
        gts=np.array([0, 0, 1, 2]),
        dets=np.array([0, 1, 1, 2]),
        frames=np.array([0, 0, 0, 1]),
        available=np.array([0b01, 0b11, 0b11, 0b10], np.uint64),
    )
    # Threshold 0: object 0 takes 0, 1 takes 1. Threshold 1: 0 takes 1, nothing is left for 1.
    assert made.tolist() == [0b01, 0b10, 0b01, 0b10]


def test_type_codes():
    codes = type_codes()
    assert codes["car"] == codes["Car"] == 0
    assert codes["Truck"] == codes[""] == -1


@pytest.mark.parametrize(
    ("labels", "detections", "protocol", "message"),
    [
        (1, [], "current", "1 frames of labels and 0 of detections"),
        (1, [make_labels(("Car", *BOX))], "current", "frame 0 have no scores"),
        (1, [make_detections(("Car", *BOX, np.nan))], "current", "frame 0 has a score"),
        (0, [], "pre-2017", "did you mean 'pre2017'"),
    ],
)
def test_wrong_input_is_named(labels, detections, protocol, message):
    with pytest.raises(ValueError, match=message):
        evaluate_detections([KittiObjects.empty()] * labels, detections, protocol=protocol)


def test_unknown_class_is_named():
    empty = KittiObjects.empty()
    with pytest.raises(ValueError, match="unknown class 'pedestrians'.*'Pedestrian'"):
        match_frame(empty, empty, class_name="pedestrians", difficulty="easy", score_threshold=0.0)


# --- the worked example of docs/evaluation.md ---------------------------------------------------


@pytest.mark.parametrize(
    ("protocol", "precisions", "r40", "r11"),
    [
        ("current", [1, 3 / 4, 3 / 4], 100 * 1.5 / 40, 100 / 11),
        ("pre2017", [1, 2 / 3, 3 / 5], 100 * (2 / 3 + 3 / 5) / 40, 100 / 11),
    ],
)
def test_worked_example(protocol, precisions, r40, r11):
    labels = make_labels(
        ("Car", 0, 100, 100, 150),
        ("Car", 200, 100, 300, 150),
        ("Car", 400, 100, 500, 150),
        ("Car", 600, 100, 700, 150),
        ("Car", 800, 100, 860, 122),  # 22 px high
        ("Van", 900, 100, 1000, 150),
    )
    detections = make_detections(
        ("Car", 0, 100, 100, 150, 0.9),
        ("Car", 1050, 200, 1150, 260, 0.8),
        ("Car", 204, 100, 300, 150, 0.7),
        ("Car", 1100, 300, 1150, 320, 0.65),  # 20 px high
        ("Car", 900, 100, 1000, 150, 0.6),
        ("Car", 800, 100, 860, 122, 0.5),
        ("Car", 400, 103, 500, 150, 0.4),
    )
    curve = precision_recall([labels], [detections], protocol=protocol)["Car"]["moderate"]
    assert curve.num_objects == 4
    np.testing.assert_allclose(curve.thresholds, [0.9, 0.7, 0.4])
    np.testing.assert_allclose(curve.recalls, [1 / 4, 2 / 4, 3 / 4])
    np.testing.assert_allclose(curve.precisions[:4], [*precisions, 0])
    assert (curve.r40, curve.r11) == (pytest.approx(r40), pytest.approx(r11))
