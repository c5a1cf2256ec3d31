"""What int8 leaves in float: the first three convolutions, the last ones, and what follows."""

import re

import pytest

from mobilenetdet.deploy.float_layers import (
    DEPTHWISE_OF_STEM,
    QUANTISED,
    Operation,
    float_operations,
)


def chain(*names: str, start: tuple[str, ...] = ()) -> list[Operation]:
    """Operations one after the other; those that begin with "conv" are convolutions."""
    made, before = [], start
    for name in names:
        made.append(Operation(name, name.startswith("conv"), before))
        before = (name,)
    return made


BODY = chain("image", "conv1", "relu1", "conv2", "relu2", "conv3", "relu3", "conv4", "relu4")
HEADS = [
    *chain("conv5", "relu5", "conv_box", "reshape_box", start=("relu4",)),
    *chain("conv_class", "reshape_class", start=("relu5",)),
    Operation("boxes", False, ("reshape_box", "reshape_class")),
]
ENDS = ["boxes", "conv_box", "conv_class", "reshape_box", "reshape_class"]
STEM = ["conv1", "conv2", "conv3", "relu1", "relu2", "relu3"]


def test_the_stem_and_all_behind_the_last_convolutions_stay_float():
    assert float_operations([*BODY, *HEADS]) == sorted([*STEM, *ENDS])


def test_where_int8_gives_floats_the_depthwise_convolution_is_all_of_the_stem():
    found = float_operations([*BODY, *HEADS], DEPTHWISE_OF_STEM)
    assert found == sorted(["conv2", "relu2", *ENDS])


def test_a_second_way_through_the_network_has_a_stem_of_its_own():
    mirrored = chain("flip", "conv1m", "conv2m", "conv3m", "conv4m", "out", start=("image",))
    found = float_operations([*BODY, *HEADS, *mirrored])
    assert {"conv1m", "conv2m", "conv3m"} <= set(found) and {"conv1", "conv2"} <= set(found)


@pytest.mark.parametrize(
    ("name", "quantised"),
    [
        ("classifier_1/scale_1/add", False),
        ("classifier_1/conv_preds_1/BiasAdd;classifier_1/conv_preds_1/convolution", False),
        ("classifier_1/conv_pw_13_relu_1/Relu6;classifier_1/conv_pw_13_1/convolution", True),
        ("detector_1/mobilenet_v1_1/conv1_relu_1/Relu6;detector_1/a", False),
        ("detector_1/mobilenet_v1_1/conv_dw_1_relu_1/Relu6", False),
        ("a/mobilenet_v1/conv_pw_1/BiasAdd", False),
        ("detector_1/mobilenet_v1_1/conv_dw_11_1/BiasAdd", True),
        ("detector_1/mobilenet_v1_1/conv_pw_10_1/BiasAdd", True),
        ("detector_1/pyramid_1/sum_8_1/Add", True),
        ("detector_1/head_1/box_0_prediction_1/BiasAdd", False),
        ("postprocess/add_1", False),
    ],
)
def test_names_of_layers_tell_as_much(name: str, quantised: bool):
    assert bool(re.match(QUANTISED, name)) == quantised
