import pytest

from mobilenetdet.config.classes import KITTI_TASK, EvalTask
from mobilenetdet.kitti.changed_rules import changed_rules

LIMITS = ((30.0, 0, 0.15), (25.0, 1, 0.3), (25.0, 2, 0.5))


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, []),
        ({"min_overlaps": {"Car": 0.5}}, ["minimum overlap of Car: 0.5 instead of KITTI's 0.7"]),
        (
            {"class_map": {"Van": "Car"}},
            [
                "neighbours of Car: none instead of KITTI's Van",
                "other types scored as objects of Car: Van instead of KITTI's none",
            ],
        ),
        (
            {"difficulties": {"Cyclist": LIMITS}},
            [
                "lowest height, highest occlusion and truncation of Cyclist: 30 0 0.15, 25 1 0.3, "
                "25 2 0.5 instead of KITTI's 40 0 0.15, 25 1 0.3, 25 2 0.5"
            ],
        ),
    ],
)
def test_every_other_rule_is_said(changes, lines):
    assert changed_rules(EvalTask.of(**changes).to_dict()) == lines


def test_own_classes_have_no_rules_of_kitti():
    assert changed_rules(EvalTask.of(["Tram", "Car"]).to_dict()) == []
    assert changed_rules(KITTI_TASK.to_dict()) == []
