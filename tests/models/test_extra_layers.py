import numpy as np
import pytest
from keras import ops

from mobilenetdet.models.extra_layers import build_extra_layers


@pytest.mark.parametrize(
    ("strides", "expected"),
    [
        ((64,), {"stride_64": (2, 6, 20, 256)}),
        ((64, 128), {"stride_64": (2, 6, 20, 256), "stride_128": (2, 3, 10, 256)}),
        ((128,), {"stride_128": (2, 3, 10, 256)}),
    ],
)
def test_each_map_is_half_the_one_before(strides, expected):
    layers = build_extra_layers((12, 39, 16), stride=32, strides=strides)
    found = layers(np.ones((2, 12, 39, 16), np.float32))
    assert {name: tuple(ops.shape(x)) for name, x in found.items()} == expected


def test_momentum_reaches_every_normalisation():
    layers = build_extra_layers((4, 4, 8), stride=32, strides=(64,), batch_norm_momentum=0.9)
    assert [x.momentum for x in layers.layers if x.name.endswith("_bn")] == [0.9] * 3
