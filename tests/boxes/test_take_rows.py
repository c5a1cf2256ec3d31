import numpy as np
import pytest
from keras import ops

from mobilenetdet.boxes.take_rows import take_rows


@pytest.mark.parametrize("tail", [(), (4,), (3, 2)])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_each_image_gives_its_own_rows(tail, dtype):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 7, *tail)).astype(np.float32)
    index = rng.integers(0, 7, (3, 5)).astype(dtype)
    expected = np.stack([rows[own] for rows, own in zip(values, index, strict=True)])
    found = take_rows(ops.convert_to_tensor(values), ops.convert_to_tensor(index))
    np.testing.assert_array_equal(found, expected)
