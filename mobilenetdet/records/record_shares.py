"""The records of a split divided into shares of equal size, each of which is in few files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

from mobilenetdet.records.remote_path import RecordsPath

# Part of a share by which its bounds may move to the edge of a file.
_NEAR = 100


class RecordRange(NamedTuple):
    """Consecutive records of one file, from number `first` on."""

    path: str
    first: int
    num_records: int


@dataclass(frozen=True)
class RecordShare:
    """Consecutive records of a split.

    Attributes:
        first: number of its first record in the split.
        ranges: where they are, in their order.
    """

    first: int
    ranges: tuple[RecordRange, ...]

    def __len__(self) -> int:
        """The number of records."""
        return sum(part.num_records for part in self.ranges)


def divide_records(
    files: Sequence[tuple[RecordsPath, int]], num_shares: int
) -> tuple[RecordShare, ...]:
    """Divides the records of a split among shares.

    Shares differ by a record at most, unless the edge of a file is so near (a hundredth of a share)
    that a bound is moved there: of the other file nothing is read then. Of small shares bounds move
    by one record, if no share is the larger for it: an epoch has as many steps as its largest
    share. A file in which a bound lies is read by both of its shares, by each as far as its own
    records go.

    Args:
        files: each with the number of its records, in their order.
        num_shares: 1 or more.

    Raises:
        ValueError: there are fewer records than shares.

    Example: of two files with 4 records each and three shares, the first two share the first file:
    3, 2 and 3 records.
    """
    edges = [0, *accumulate(count for _, count in files)]
    total = edges[-1]
    if total < num_shares:
        raise ValueError(
            f"train.record_shares is {num_shares}, and there are {total} training records; take "
            "fewer shares, or fewer processes"
        )
    size = total // num_shares
    even = [round(total * place / num_shares) for place in range(num_shares + 1)]
    bounds = _at_edges(even, edges, size // _NEAR)
    if 2 < size < _NEAR:
        moved = _at_edges(even, edges, 1)
        bounds = moved if _largest(moved) <= -(-total // num_shares) else bounds
    return tuple(RecordShare(first, _between(files, first, end)) for first, end in pairwise(bounds))


def _at_edges(bounds: Sequence[int], edges: Sequence[int], near: int) -> list[int]:
    """Moves each bound to the nearest edge of a file, if that is no more records away."""
    nearest = [min(edges, key=lambda edge: abs(edge - bound)) for bound in bounds]
    return [
        edge if abs(edge - bound) <= near else bound
        for bound, edge in zip(bounds, nearest, strict=True)
    ]


def _largest(bounds: Sequence[int]) -> int:
    """The number of records of the largest share."""
    return max(end - first for first, end in pairwise(bounds))


def _between(
    files: Sequence[tuple[RecordsPath, int]], first: int, end: int
) -> tuple[RecordRange, ...]:
    """The records of a split from number `first` to the one before `end`."""
    ranges, start = [], 0
    for path, count in files:
        own_first, own_end = max(first, start), min(end, start + count)
        if own_first < own_end:
            ranges.append(RecordRange(str(path), own_first - start, own_end - own_first))
        start += count
    return tuple(ranges)
