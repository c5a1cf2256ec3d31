from dataclasses import replace

import pytest

from mobilenetdet.config.classes import EvalTask
from mobilenetdet.data import class_counts
from mobilenetdet.data.class_counts import check_training_classes, refuse_absent_classes


def with_data(config, **changes):
    return replace(config, data=replace(config.data, **changes))


def test_a_typing_error_names_the_nearest_type_and_the_counts(own_classes_config):
    with pytest.raises(ValueError) as caught:
        check_training_classes(with_data(own_classes_config, classes=("Truk", "Car")))
    message = str(caught.value)
    assert message.startswith("no object in split train in ")
    assert "is of class Truk; did you mean Truck? There are: " in message
    assert all(f"{name} " in message for name in ("Car", "Van", "Truck", "Tram"))


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": ("Van", "tram")},
        {"classes": ("Lorry",), "class_map": {"Truck": "Lorry"}},
    ],
)
def test_classes_and_mapped_types_that_exist_pass(own_classes_config, changes):
    check_training_classes(with_data(own_classes_config, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_map": {"Vna": "Car"}}, "type Vna, which class_map.*; did you mean Van.* Van "),
        ({"neighbours": {"Car": ("Lorry",)}}, "type Lorry, which .* neighbours names. There are"),
    ],
)
def test_a_type_that_nothing_has_is_a_typing_error_too(own_classes_config, changes, message):
    with pytest.raises(ValueError, match=message):
        check_training_classes(with_data(own_classes_config, classes=("Car",), **changes))


def test_kittis_types_may_be_absent(own_classes_config):
    neighbours = {"Car": ("Misc",)}
    check_training_classes(with_data(own_classes_config, classes=("Car",), neighbours=neighbours))


def test_no_more_is_read_than_it_takes(own_classes_config, monkeypatch):
    read = []

    def spy(paths, original=class_counts.read_frames):
        for frame in original(paths):
            read.append(frame.frame_id)
            yield frame

    monkeypatch.setattr(class_counts, "read_frames", spy)
    check_training_classes(with_data(own_classes_config, classes=("Van", "Truck", "Tram")))
    assert 0 < len(read) < 8


def test_nothing_labelled_at_all():
    with pytest.raises(ValueError, match="labels is of class Car. There are: no objects at all"):
        refuse_absent_classes(EvalTask.of(["Car"]), {}, "labels")
