import pytest

from mobilenetdet.config.classes import EvalTask
from mobilenetdet.kitti.labels import parse_objects
from mobilenetdet.kitti.results import read_label_files
from mobilenetdet.kitti.self_check import check_labels

LINE = "{} 0 0 -10 {} 100 {} 180 -1 -1 -1 -1000 -1000 -1000 -10"


def frame(*rows):
    return parse_objects("\n".join(LINE.format(*row) for row in rows), "label")


def test_many_objects_give_a_hundred_and_few_what_is_expected():
    labels = [frame(("Car", 10 + i, 200 + i)) for i in range(50)]
    labels[0] = frame(("Car", 10, 200), ("Cyclist", 300, 350))
    lines = list(check_labels(labels))
    assert "50 frames" in lines[0]
    assert any(
        line.startswith("Car") and line.endswith("50 objects  R40 100.00  R11 100.00")
        for line in lines
    )
    assert "Pedestrian  no object in any frame" in lines
    (cyclist, *_) = [line for line in lines if line.startswith("Cyclist")]
    assert cyclist.endswith("1 objects  R40   0.00  R11   9.09  as expected of so few")
    assert "Below 41 objects" in lines[-1]


def test_labels_that_get_in_each_others_way_are_told_apart():
    covered = parse_objects(
        LINE.format("Car", 10, 200) + "\n" + LINE.format("DontCare", 0, 300), "label"
    )
    wide = [frame(("Car", 10, 200)) for _ in range(41)]
    assert not any("what a perfect" in line for line in check_labels([*wide, covered]))
    twins = frame(("Car", 10, 200), ("Van", 10, 200))
    vans = frame(("Van", 10, 200), ("Car", 10, 200))
    lines = list(check_labels([*wide, twins, vans]))
    assert any("expected 100.00 100.00" in line for line in lines)
    assert "not what a perfect detector gets" in lines[-1]


@pytest.mark.parametrize("protocol", ["current", "pre2017"])
def test_labels_of_kitti_give_a_hundred(shared_dir, protocol):
    labels = read_label_files(shared_dir / "kitti/training/label_2")
    lines = list(check_labels(labels, protocol=protocol))
    assert len(lines) == 10
    assert all(line.endswith("R40 100.00  R11 100.00") for line in lines[1:])


def test_own_classes_are_scored_alone():
    labels = [frame(("Van", 10 + i, 200 + i), ("Car", 300, 400)) for i in range(50)]
    lines = list(check_labels(labels, task=EvalTask.of(["Van"])))
    assert len(lines) == 4
    assert all(line.startswith("Van") and "50 objects  R40 100.00" in line for line in lines[1:])
