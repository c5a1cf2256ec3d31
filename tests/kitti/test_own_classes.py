"""AP of classes that KITTI does not score, with types mapped to them and neighbours."""

import numpy as np
import pytest
from fixtures.naive_ap import Witness, make_detections, make_labels
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenetdet.config.classes import KITTI_TASK, Difficulty, EvalTask
from mobilenetdet.kitti.average_precision import evaluate_detections, precision_recall
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.kitti.protocol import PROTOCOLS

LIMITS = ((30.0, 1, 0.2), (22.0, 2, 0.4), (20.0, 3, 1.0))
TASK = EvalTask.of(
    ("Van", "Scooter", "Bus"),
    class_map={"Truck": "Van", "moped": "Scooter"},
    neighbours={"van": ("Bus", "Car"), "Scooter": ("Cyclist", "Misc")},
    min_overlaps={"Scooter": 0.3},
    difficulties={"scooter": LIMITS},
)
# What the task says, by class and in lower case: mapped types, neighbours, minimum overlap.
RULES = {
    "Van": {"mapped": {"truck"}, "neighbours": {"bus", "car"}, "min_overlap": 0.7},
    "Scooter": {"mapped": {"moped"}, "neighbours": {"cyclist", "misc"}, "min_overlap": 0.3},
    "Bus": {"mapped": set(), "neighbours": set(), "min_overlap": 0.7},
}
TYPES = ("Van", "truck", "Bus", "Car", "Scooter", "MOPED", "Cyclist", "Misc", "DontCare", "Tree")
SIZES = [(40, h) for h in (19, 21, 24, 26, 29, 31, 40, 41)] + [(12, 40), (28, 40), (0, 0)]


@st.composite
def boxes(draw):
    """Most boxes overlap most others."""
    left, (width, height) = (
        draw(st.sampled_from([0, 0, 2, 4, 9, 100])),
        draw(st.sampled_from(SIZES)),
    )
    return left, 0, left + width, height


@st.composite
def scenes(draw):
    label = st.tuples(
        st.sampled_from(TYPES),
        boxes(),
        st.sampled_from([0, 0, 1, 2, 3]),
        st.sampled_from([0, 0, 0.15, 0.3, 0.45]),
    )
    detection = st.tuples(st.sampled_from(TYPES), boxes(), st.sampled_from([0.1, 0.4, 0.5, 0.9]))
    frames = draw(st.lists(st.tuples(st.lists(label, max_size=6), st.lists(detection, max_size=8))))
    return (
        [make_labels(*((n, *box, o, t) for n, box, o, t in frame[0])) for frame in frames],
        [make_detections(*((n, *box, score) for n, box, score in frame[1])) for frame in frames],
    )


@settings(deadline=None, max_examples=200)
@given(scenes(), st.sampled_from(PROTOCOLS))
def test_random_scenes_agree_with_plain_loops(scene, protocol):
    labels, detections = scene
    curves = precision_recall(labels, detections, task=TASK, protocol=protocol)
    assert list(curves) == list(RULES)
    names = ("easy", "moderate", "hard")
    own = [Difficulty(name, *limits) for name, limits in zip(names, LIMITS, strict=True)]
    for name, rules in RULES.items():
        difficulties = own if name == "Scooter" else KITTI_TASK.classes[0].difficulties
        for difficulty in difficulties if curves[name] else ():
            witness = Witness(name, difficulty, protocol, **rules)
            precisions, recalls = witness.curve(labels, detections)
            assert curves[name][difficulty.name].precisions.tolist() == precisions
            assert curves[name][difficulty.name].recalls.tolist() == recalls


@settings(deadline=None, max_examples=50)
@given(scenes())
def test_a_mapped_type_is_as_if_the_labels_said_so(scene):
    def renamed(frame: KittiObjects) -> KittiObjects:
        types = ["Van" if name.lower() == "truck" else name for name in frame.types.tolist()]
        return KittiObjects(**(vars(frame) | {"types": np.array(types, str)}))

    mapping = EvalTask.of(("Van", "Car"), class_map={"Truck": "Van"})
    plain = EvalTask.of(("Van", "Car"))
    labels, detections = scene
    as_labelled = evaluate_detections(
        list(map(renamed, labels)), list(map(renamed, detections)), task=plain
    )
    assert evaluate_detections(labels, detections, task=mapping) == as_labelled


BOX = (100, 100, 200, 150)


@pytest.mark.parametrize(
    ("options", "precision"),
    [
        ({}, 1 / 2),  # by default the detection on the Van is ignored, that on the Truck is false
        ({"class_map": {"Van": "Car"}}, 2 / 3),
        ({"class_map": {"Van": "Car", "Truck": "Car"}}, 1),
        ({"neighbours": {"Car": ("Van", "Truck")}}, 1),
        ({"neighbours": {"Car": ()}}, 1 / 3),
    ],
)
def test_what_a_detection_on_another_type_is(options, precision):
    places = {"Car": 0, "Van": 300, "Truck": 600}
    labels = make_labels(*((name, x, 100, x + 100, 150) for name, x in places.items()))
    found = make_detections(*(("Car", x, 100, x + 100, 150, 0.9) for x in places.values()))
    ap = evaluate_detections([labels], [found], task=EvalTask.of(("Car",), **options))
    assert ap["car"].moderate.precisions[0] == pytest.approx(precision)


def test_the_mean_is_over_the_classes_asked_for():
    labels = [make_labels(("Van", *BOX), ("Car", 300, 100, 400, 150))] * 41
    found = [make_detections(("Van", *BOX, 0.9))] * 41
    assert evaluate_detections(labels, found, task=EvalTask.of(["Van"])).mean.easy.r40 == 100
    both = evaluate_detections(labels, found, task=EvalTask.of(["Van", "Car"]))
    assert both.mean.easy.r40 == 50 and not both["Car"].detected
