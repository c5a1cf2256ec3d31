from mobilenetdet.analysis.advice import advise
from mobilenetdet.analysis.analyse import analyse
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.kitti.self_check import as_detections


def test_costliest_kind_and_poor_parts_are_named(flawed_frames):
    lines = advise(analyse(*flawed_frames))
    cars = [line for line in lines if line.startswith("Car")]
    assert "errors of kind missed (40, counted from score 0.50 on) cost most" in cars[0]
    assert "height 25-40 px (50 % of 80)" in cars[1] and "distance 30-45 m" in cars[1]
    (pedestrian,) = [line for line in lines if line.startswith("Pedestrian")]
    assert "errors of kind background (10, counted from score 0.50 on) cost most" in pedestrian
    assert "Cyclist: detected nowhere. Does the detector know the class?" in lines


def test_nothing_is_advised_where_all_is_found(flawed_frames):
    labels, _ = flawed_frames
    lines = advise(analyse(labels, as_detections(labels)))
    assert lines[0].startswith("Car: no kind of error costs more than a point of R40 (100.0")
    assert len(lines) == 3


def test_too_few_objects_are_said(flawed_frames):
    labels, detections = flawed_frames
    lines = advise(analyse(labels[:10], detections[:10]))
    assert lines[0].startswith("Car: 20 objects, too few for an AP; even a perfect")
    assert "would get 47.5" in lines[0]


def test_a_class_without_objects():
    odd = KittiObjects.from_detections(["Car"], [[0, 0, 100, 100]], [0.5])
    lines = advise(analyse([KittiObjects.empty()], [odd]))
    assert lines[0] == "Car: no object counts at difficulty moderate; the AP says nothing."
