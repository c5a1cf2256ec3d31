"""Records divided among shares: each once, in equal parts, from few files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenetdet.records.record_shares import RecordRange, RecordShare, divide_records


@given(
    counts=st.lists(st.integers(0, 30), min_size=1, max_size=9),
    num_shares=st.integers(1, 9),
)
def test_every_record_is_in_one_share_and_shares_are_alike(counts, num_shares):
    files = [(f"{place}", count) for place, count in enumerate(counts)]
    total = sum(counts)
    if total < num_shares:
        with pytest.raises(ValueError, match=f"record_shares is {num_shares}, and there are"):
            divide_records(files, num_shares)
        return
    shares = divide_records(files, num_shares)
    records = [(path, number) for path, count in files for number in range(count)]
    found = [
        (part.path, part.first + number)
        for share in shares
        for part in share.ranges
        for number in range(part.num_records)
    ]
    assert found == records
    assert [share.first for share in shares] == [
        sum(map(len, shares[:place])) for place in range(num_shares)
    ]
    sizes = [len(share) for share in shares]
    assert min(sizes) >= 1
    # A bound moves by a record, or by a hundredth of a share.
    assert max(sizes) - min(sizes) <= 5
    # Small shares are no larger than they have to be: an epoch has as many steps as the largest.
    assert max(sizes) <= -(-total // num_shares) + 2 * (total // num_shares // 100)


@pytest.mark.parametrize(
    ("counts", "num_shares", "files_of_each"),
    [
        ([465, 464, 464, 465, 464, 464, 465, 464], 4, ["01", "23", "45", "67"]),
        # A shard from which frames were left out.
        ([465, 460, 464, 465, 464, 464, 465, 464], 4, ["01", "23", "45", "67"]),
        ([464] * 8, 3, ["012", "2345", "567"]),
        ([10, 90, 100], 2, ["01", "2"]),
        ([100], 3, ["0", "0", "0"]),
        ([8, 7, 7], 3, ["0", "1", "2"]),
        # Shares of 10, 8, 12, 8 and 10 would read fewer files, and take a step more.
        ([6] * 8, 5, ["01", "123", "34", "456", "67"]),
        ([1, 1], 2, ["0", "1"]),
    ],
)
def test_a_share_is_in_few_files(counts, num_shares, files_of_each):
    shares = divide_records([(str(i), count) for i, count in enumerate(counts)], num_shares)
    assert ["".join(part.path for part in share.ranges) for share in shares] == files_of_each


def test_the_example():
    assert divide_records([("a", 4), ("b", 4)], 3) == (
        RecordShare(0, (RecordRange("a", 0, 3),)),
        RecordShare(3, (RecordRange("a", 3, 1), RecordRange("b", 0, 1))),
        RecordShare(5, (RecordRange("b", 1, 3),)),
    )
