"""Jobs divide the work among them: all of it, and nothing twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenetdet.system.job_share import JobShare


@given(st.lists(st.integers(), max_size=30), st.integers(1, 12))
def test_the_parts_of_all_jobs_are_the_whole_in_its_order(items, count):
    parts = [JobShare(index, count).of(items) for index in range(count)]
    assert [item for part in parts for item in part] == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(("index", "expected"), [(0, [0]), (1, [1, 2]), (2, [3, 4])])
def test_five_items_for_three_jobs(index, expected):
    assert list(JobShare(index, 3).of(range(5))) == expected


def test_a_part_of_a_range_is_a_range():
    assert JobShare(1, 2).of(range(10)) == range(5, 10)


def test_a_job_alone_takes_everything():
    assert JobShare().of("abc") == "abc"


@pytest.mark.parametrize(
    ("index", "count", "message"),
    [
        (0, 0, "num_shards is 0; it must be 1 or more"),
        (-1, 2, "shard is -1; of 2 they go from 0 to 1"),
        (2, 2, "shard is 2; of 2 they go from 0 to 1"),
    ],
)
def test_a_job_that_is_not_there_is_refused(index, count, message):
    with pytest.raises(ValueError, match=message):
        JobShare(index, count)


def test_folders_of_jobs_are_named_after_them():
    assert [str(JobShare(index, 2)) for index in (0, 1)] == ["0-of-2", "1-of-2"]
