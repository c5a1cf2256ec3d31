import numpy as np
import pytest

from mobilenetdet.config.classes import EvalTask
from mobilenetdet.kitti.labels import KittiObjects, parse_objects
from mobilenetdet.kitti.result_checks import check_results
from mobilenetdet.kitti.results import ResultSet

NAMES = ("Car", "Pedestrian", "Cyclist")


def make_results(convert=lambda boxes: boxes, *, rename=None, scores=None) -> ResultSet:
    """Sixty frames whose detections are their labels, some pixels off and badly written."""
    rng = np.random.default_rng(0)
    labels, detections = [], []
    for _ in range(60):
        corner = rng.uniform((0, 100), (1000, 200), (3, 2))
        boxes = np.hstack([corner, corner + rng.uniform((90, 60), (200, 150), (3, 2))])
        lines = [
            f"{name} 0 0 -10 {' '.join(f'{v:.2f}' for v in box)} -1 -1 -1 -1000 -1000 -1000 -10"
            for name, box in zip(NAMES, boxes, strict=True)
        ]
        labels.append(parse_objects("\n".join(lines), "label"))
        found = convert(boxes + rng.uniform(-2, 2, boxes.shape))
        types = [(rename or {}).get(name, name) for name in NAMES]
        frame_scores = rng.uniform(0.1, 1, 3) if scores is None else np.full(3, scores)
        detections.append(KittiObjects.from_detections(types, found, frame_scores))
    frame_ids = [f"{index:06d}" for index in range(60)]
    return ResultSet(frame_ids, labels, detections, [], [])


def test_good_results_raise_no_warning():
    assert check_results(make_results()) == []


def test_case_of_names_and_other_classes_of_kitti_are_fine():
    results = make_results(rename={"Car": "car"})
    extra = KittiObjects.from_detections(["Tram", "DontCare"], np.ones((2, 4)), np.ones(2) / 2)
    results.detections.append(extra)
    results.labels.append(results.labels[0])
    results.frame_ids.append("000060")
    assert check_results(results) == []


@pytest.mark.parametrize(
    ("name", "convert"),
    [
        ("top left bottom right", lambda b: b[:, [1, 0, 3, 2]]),
        ("left right top bottom", lambda b: b[:, [0, 2, 1, 3]]),
        ("left top width height", lambda b: np.hstack([b[:, :2], b[:, 2:] - b[:, :2]])),
        (
            "centre x, centre y, width, height",
            lambda b: np.hstack([(b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]]),
        ),
        ("pixels of an image 0.5", lambda b: b * 0.5),  # half the resolution
        ("pixels of an image", lambda b: b / [1242, 375, 1242, 375]),  # shares of the sides
        ("pixels of an image 1.6", lambda b: b * 1.6),  # enlarged
    ],
)
def test_boxes_in_another_convention_are_recognised(name, convert):
    findings = [f for f in check_results(make_results(convert)) if "read as" in f]
    assert len(findings) == 1
    assert f"read as {name}" in findings[0]
    assert "left top right bottom in pixels of the original image" in findings[0]


def concatenated(first: KittiObjects, second: KittiObjects) -> KittiObjects:
    return KittiObjects.from_detections(
        *(
            np.concatenate([getattr(frame, name) for frame in (first, second)])
            for name in ("types", "boxes_xyxy", "scores")
        )
    )


def test_detections_written_twice_are_found():
    results = make_results()
    results.detections[:] = [concatenated(frame, frame) for frame in results.detections]
    assert check_results(results) == [
        "60 of 60 frames hold detections of one class on the same box (180 of 360 detections "
        "repeat another; was suppression skipped?): 000000, 000001, 000002"
    ]


def test_boxes_that_were_not_suppressed_are_found():
    results = make_results()
    for index in (7, 9):
        frame = results.detections[index]
        near = KittiObjects.from_detections(
            frame.types, frame.boxes_xyxy + [0.5, 0.5, 0, 0], frame.scores / 2
        )
        results.detections[index] = concatenated(frame, near)
    (finding,) = check_results(results)
    assert finding.startswith("2 of 60 frames") and "(6 of 186 detections" in finding


def test_near_boxes_of_other_classes_and_few_repeats_are_fine():
    results = make_results()
    frame = results.detections[0]
    other = KittiObjects.from_detections(
        np.roll(frame.types, 1), frame.boxes_xyxy, frame.scores / 2
    )
    results.detections[0] = concatenated(frame, other)
    results.detections[1] = concatenated(results.detections[1], results.detections[1][:1])
    assert check_results(results) == []


def test_names_that_match_nothing_are_named():
    findings = check_results(make_results(rename={"Car": "Cars", "Pedestrian": "vehicle"}))
    assert any("60 detections are of type 'Cars'" in f and "mean Car?" in f for f in findings)
    assert any("type 'vehicle'" in f and "mean" not in f for f in findings)
    assert "no Car is detected in any frame; its AP is 0" in findings
    assert "no Pedestrian is detected in any frame; its AP is 0" in findings


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (7.5, "180 of 180 scores lie outside of 0 to 1 (7.5 to 7.5)"),
        (-1.0, "180 of 180 scores lie outside of 0 to 1 (-1 to -1)"),
        (0.25, "all 180 scores are 0.25; AP has no order to go by"),
    ],
)
def test_odd_scores_are_reported(score, message):
    assert any(message in finding for finding in check_results(make_results(scores=score)))


def test_files_that_do_not_pair_are_counted():
    results = make_results()
    results.without_result.append("000003")
    results.not_scored.extend(["000100", "000101"])
    missing, extra = check_results(results)
    assert missing == "1 of 60 frames have no result file, counted as empty: 000003"
    assert extra == ("2 of 61 result files are of no frame of the split, left out: 000100, 000101")


def test_a_split_without_labels_is_named():
    results = make_results()
    results.labels[:] = [KittiObjects.empty()] * 60
    assert "no label file holds an object: a split without labels cannot be scored" in (
        check_results(results)
    )


def test_a_class_without_labels_is_named():
    results = make_results()
    results.labels[:] = [frame[:2] for frame in results.labels]
    assert check_results(results) == [
        "no frame has a Cyclist in its labels; its AP is 0 whatever is detected"
    ]


def test_nothing_detected_at_all_is_reported_without_a_crash():
    results = make_results()
    results.detections[:] = [KittiObjects.empty(with_scores=True)] * 60
    assert len(check_results(results)) == 3  # every class is detected nowhere


def test_labels_without_extent_do_not_stop_the_check():
    results = make_results()
    line = "Car 0 0 -10 0 0 0 0 -1 -1 -1 -1000 -1000 -1000 -10"
    results.labels[:] = [parse_objects(line, "label")] * 60
    assert check_results(results) == [
        f"no frame has a {name} in its labels; its AP is 0 whatever is detected"
        for name in NAMES[1:]
    ]


def test_own_classes_are_checked_by_their_task():
    results = make_results(rename={"Car": "Lorry"})
    task = EvalTask.of(("Lorry", "Pedestrian"), class_map={"Car": "Lorry"})
    assert check_results(results, task) == []
    findings = check_results(results, EvalTask.of(("Pedestrain", "Cyclist")))
    absent = [f for f in findings if f.startswith("no frame has a Pedestrain in its labels")]
    assert len(absent) == 1 and absent[0].endswith("did you mean Pedestrian?")
    assert any("60 detections are of type 'Lorry', which is no class here" in f for f in findings)
