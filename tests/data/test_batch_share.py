"""All processes together make the batches that one would make."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenetdet.data.batch_share import WHOLE, BatchShare


@given(size=st.integers(1, 40), count=st.integers(1, 6), devices=st.integers(1, 4))
def test_the_places_of_all_processes_are_the_filled_batch(size, count, devices):
    shares = [BatchShare(index, count, count * devices) for index in range(count)]
    places = [share.places(size) for share in shares]
    assert len({len(own) for own in places}) == 1
    everyone = np.concatenate(places)
    np.testing.assert_array_equal(everyone, np.arange(len(everyone)))
    assert size <= len(everyone)
    if count > 1:
        assert len(everyone) < size + count * devices
        assert len(everyone) % (count * devices) == 0


@pytest.mark.parametrize(
    ("share", "size", "expected"),
    [
        (WHOLE, 3, [0, 1, 2]),
        (BatchShare(0, 2, 2), 4, [0, 1]),
        (BatchShare(1, 2, 2), 4, [2, 3]),
        (BatchShare(1, 2, 2), 3, [2, 3]),  # 3 is row 0 once more
        (BatchShare(1, 2, 4), 2, [2, 3]),  # rows 0 and 1 once more
        (BatchShare(2, 3, 3), 1, [2]),
    ],
)
def test_places(share, size, expected):
    assert share.places(size).tolist() == expected
