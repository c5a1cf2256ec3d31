import dataclasses
import json
from math import nan

import pytest

from mobilenetdet.config.classes import KITTI_TASK, EvalTask
from mobilenetdet.config.detection import DataConfig, DetectionConfig, EvalConfig
from mobilenetdet.config.storage import from_json, to_json


def test_kittis_three_are_the_default():
    assert KITTI_TASK.names == ("Car", "Pedestrian", "Cyclist")
    rows = [(c.min_overlap, c.neighbours, c.mapped_types) for c in KITTI_TASK.classes]
    assert rows == [(0.7, ("Van",), ()), (0.5, ("Person_sitting",), ()), (0.5, (), ())]
    limits = [
        (d.min_height, d.max_occlusion, d.max_truncation) for d in KITTI_TASK["car"].difficulties
    ]
    assert limits == [(40, 0, 0.15), (25, 1, 0.30), (25, 2, 0.50)]
    assert KITTI_TASK.guesses() == []
    assert DetectionConfig().eval_task() == KITTI_TASK


@pytest.mark.parametrize(
    ("name", "overlap"),
    [("Van", 0.7), ("TRUCK", 0.7), ("tram", 0.7), ("Bus", 0.7), ("Scooter", 0.5), ("dog", 0.5)],
)
def test_overlaps_that_nobody_has_said_are_guesses(name, overlap):
    task = EvalTask.of([name, "car"])
    assert (task[name].min_overlap, task["Car"].min_overlap) == (overlap, 0.7)
    assert task.guesses() == [
        f"minimum overlap of {name}: {overlap:g} (a guess; set eval.min_overlaps)"
    ]
    assert EvalTask.of([name], min_overlaps={name.lower(): 0.6}).guesses() == []


def test_classes_of_one_guess_share_a_line():
    assert EvalTask.of(["dog", "Van", "Car", "cat"]).guesses("--min_overlaps") == [
        "minimum overlap of dog, cat: 0.5 (a guess; set --min_overlaps)",
        "minimum overlap of Van: 0.7 (a guess; set --min_overlaps)",
    ]


def test_it_is_a_collection_of_its_classes():
    task = EvalTask.of(("Car", "Van"))
    assert len(task) == 2 and [entry.name for entry in task] == ["Car", "Van"]
    assert "car" in task and "Tram" not in task


def test_types_and_their_classes():
    task = EvalTask.of(
        ("Car", "Scooter"),
        class_map={"VAN": "car", "Moped": "Scooter"},
        neighbours={"Scooter": ["Bike"]},
    )
    assert task.class_of_type == {
        "car": "Car",
        "van": "Car",
        "scooter": "Scooter",
        "moped": "Scooter",
    }
    assert task["Car"].neighbours == ()  # the Van is a Car now
    assert task.known_types == ("Car", "Scooter", "VAN", "Moped", "Bike", "DontCare")
    assert task.index("SCOOTER") == 1


def test_difficulties_of_one_class():
    limits = ((60, 0, 0.1), (30, 1, 0.2), (10, 3, 1.0))
    task = EvalTask.of(("Bus", "Car"), difficulties={"bus": limits})
    assert [dataclasses.astuple(d)[1:] for d in task["Bus"].difficulties] == list(limits)
    assert task["Bus"].difficulty("hard").min_height == 10
    assert task["Car"] == KITTI_TASK["Car"]


VAN = {"Van": "Car"}


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ((), {}, "classes is (); it must be one or more distinct names"),
        (("Car", "car"), {}, "classes is ('Car', 'car')"),
        (("Car", "dontcare"), {}, "'dontcare' cannot name a class"),
        (("mean",), {}, "'mean' cannot name a class"),
        (("Big car",), {}, "'Big car' cannot name a class"),
        (("Car",), {"class_map": {"Van": "Cra"}}, "'Cra', which is none of the classes Car; did"),
        (("Car", "Van"), {"class_map": {"van": "Car"}}, "but van is one of the classes"),
        (("Car",), {"class_map": {"DontCare": "Car"}}, "maps DontCare, which marks regions"),
        (("Car",), {"class_map": {"Van": "Car", "van": "Car"}}, "maps one type twice"),
        (("Bus",), {"min_overlaps": {"Buss": 0.5}}, "'Buss' is none of the classes Bus; did"),
        (("Car",), {"min_overlaps": {"Car": 1.0}}, "min_overlaps of Car is 1.0"),
        (("Car",), {"min_overlaps": {"Car": 0.5, "car": 0.6}}, "names one class twice"),
        (("Car",), {"neighbours": {"Bus": ("Van",)}}, "neighbours: 'Bus' is none"),
        (("Car",), {"neighbours": {"Car": ("car",)}}, "neighbours of Car: car cannot be one"),
        (("Car",), {"class_map": VAN, "neighbours": {"Car": ("Van",)}}, "Van is mapped to a class"),
        (("Car",), {"difficulties": {"Car": ((40, 4, 0.1),) * 3}}, "difficulties of Car: 40 4 0.1"),
        (("Car",), {"difficulties": {"Car": ((nan, 0, 0.1),) * 3}}, "difficulties of Car: nan 0"),
        (("Car",), {"difficulties": {"Car": ((40, 0, nan),) * 3}}, "difficulties of Car: 40 0 nan"),
        (("Car",), {"difficulties": {"Car": [nan] * 9}}, "give three limits each for easy"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(names, options, message):
    with pytest.raises(ValueError) as caught:
        EvalTask.of(names, **options)
    assert message in str(caught.value)


def test_a_text_is_no_list_of_classes():
    with pytest.raises(ValueError, match=r"classes is the text 'Car'.*\['Car'\]"):
        EvalTask.of("Car")


def test_names_that_are_no_class_or_difficulty():
    with pytest.raises(ValueError, match="unknown class 'Pedestrain'.*did you mean 'Pedestrian'"):
        KITTI_TASK["Pedestrain"]
    with pytest.raises(
        ValueError, match="unknown difficulty 'any', expected one of easy, moderate"
    ):
        KITTI_TASK["Car"].difficulty("any")


def _own_config() -> DetectionConfig:
    return DetectionConfig(
        data=DataConfig(
            classes=("Scooter", "Bus"),
            class_map={"Moped": "Scooter"},
            neighbours={"Scooter": ("Bike", "Misc")},
        ),
        eval=EvalConfig(
            min_overlaps={"Scooter": 0.4},
            difficulties={"Bus": ((40.0, 0, 0.15), (25.0, 1, 0.3), (25.0, 2, 0.5))},
        ),
    )


def test_a_config_of_own_classes_is_read_back_equal_and_hashable():
    config = _own_config()
    restored = from_json(to_json(config), "config.json")
    assert restored == config and hash(restored) == hash(config)
    assert restored.eval_task() == config.eval_task()
    assert config.eval_task()["Scooter"].neighbours == ("Bike", "Misc")
    with pytest.raises(TypeError, match="cannot be changed"):
        config.data.class_map["Tram"] = "Bus"


def test_configs_from_before_are_read():
    tree = json.loads(to_json(DetectionConfig()))
    for section, keys in (
        ("data", ("class_map", "neighbours")),
        ("eval", ("min_overlaps", "difficulties")),
    ):
        for key in keys:
            del tree[section][key]
    assert from_json(json.dumps(tree), "config.json") == DetectionConfig()


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("data", "class_map", {"Van": "Carr"}, "data.class_map maps Van to 'Carr'.*mean Car"),
        ("data", "neighbours", {"Pedestrain": ["Person"]}, "data.neighbours: 'Pedestrain' is none"),
        ("data", "class_map", {"Van": 3}, "data.class_map.Van: Input should be a valid string"),
        ("eval", "min_overlaps", {"Bus": 0.5}, "eval.min_overlaps: 'Bus' is none of the classes"),
        ("eval", "difficulties", {"Car": [[1, 1, 1]]}, "eval.difficulties.Car"),
    ],
)
def test_faults_in_files_are_named(section, key, value, message):
    tree = json.loads(to_json(DetectionConfig()))
    tree[section][key] = value
    with pytest.raises(ValueError, match=message):
        from_json(json.dumps(tree), "config.json")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"neighbours": {"Car": "Van"}}, "neighbours of Car are 'Van'; they must be a list"),
        ({"neighbours": {"Car": 5}}, "neighbours of Car are 5; they must be a list"),
        ({"neighbours": {"Car": None}}, "neighbours of Car are None; they must be a list"),
        ({"neighbours": {"Car": [5]}}, r"neighbours of Car are \[5\]; they must be a list"),
        ({"min_overlaps": {"Car": "0.5"}}, "min_overlaps of Car is '0.5'; it must be 0 or more"),
        ({"min_overlaps": {"Car": None}}, "min_overlaps of Car is None; it must be 0 or more"),
        ({"difficulties": {"Car": 1}}, "difficulties of Car: 1; give three limits each"),
        ({"difficulties": {"Car": [["1", 0, 0]] * 3}}, "difficulties of Car: .* three limits each"),
    ],
)
def test_values_of_other_types_are_refused(settings, message):
    """A text is a list of letters to Python, of which none is a type."""
    with pytest.raises(ValueError, match=message):
        EvalTask.of(["Car"], **settings)
