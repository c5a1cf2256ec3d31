import numpy as np
import pytest
from keras import ops

from mobilenetdet.boxes.top_anchors import top_anchors


@pytest.mark.parametrize("levels", [2, 20, 10_000])
@pytest.mark.parametrize("length", [10, 64, 500, 509])
def test_top_anchors_are_those_of_a_stable_sort(levels, length):
    rng = np.random.default_rng(levels + length)
    values = (rng.integers(-1, levels, (3, 4, length)) / levels).astype(np.float32)
    top, index = (ops.convert_to_numpy(x) for x in top_anchors(values, 9))
    expected = np.argsort(-values, axis=-1, kind="stable")[..., :9]
    np.testing.assert_array_equal(index, expected)
    np.testing.assert_array_equal(top, np.take_along_axis(values, expected, axis=-1))
