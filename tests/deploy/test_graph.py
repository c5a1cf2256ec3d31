"""A frozen graph holds constants and the operations that every runtime has."""

import numpy as np
import pytest
from fixtures.exportable import KINDS, picture

from mobilenetdet.config.storage import with_changes

tf = pytest.importorskip("tensorflow")

from mobilenetdet.deploy import graph as graphs_of  # noqa: E402

# What reads variables or normalises by them.
FORBIDDEN = ("Variable", "VarHandle", "ReadVariable", "BatchNorm", "Rsqrt", "PartitionedCall")


@pytest.mark.parametrize("name", KINDS)
def test_no_variable_and_no_normalisation_is_left(small_detector, name: str):
    model = small_detector(name)
    graphs = graphs_of.freeze_detector(
        model.runtime.detector, model.config, ("network", "detector")
    )
    for graph in graphs.values():
        kinds = {node.op for node in graph.graph_def.node}
        assert not [op for op in kinds if any(word in op for word in FORBIDDEN)]
        shapes = [tuple(each.shape) for each in graph.function.outputs]
        assert all(shape[0] == 1 and None not in shape for shape in shapes)
        assert {node.name for node in graph.graph_def.node} >= {"images", *graph.outputs}
    assert graphs["detector"].outputs == ("boxes", "classes", "scores")
    image = picture()
    found = graphs["detector"].function(tf.constant(image[None]))
    expected = model.runtime.run(image[None])
    np.testing.assert_allclose(found[2], expected.scores, atol=1e-4)


@pytest.mark.slow
def test_mirror_images_go_into_a_detector(small_detector):
    model = small_detector("ssd")
    config = with_changes(model.config, {"postprocess.mirror": True})
    detector, freeze = model.runtime.detector, graphs_of.freeze_detector
    graph = freeze(detector, config, ("detector",))["detector"]
    convolutions = [node for node in graph.graph_def.node if node.op == "Conv2D"]
    plain = graphs_of.freeze_detector(model.runtime.detector, model.config, ("detector",))[
        "detector"
    ]
    assert len(convolutions) == 2 * sum(n.op == "Conv2D" for n in plain.graph_def.node)
