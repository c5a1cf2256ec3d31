"""The part of the work that one of several jobs does, each of which knows its number alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar, overload

Item = TypeVar("Item")


@dataclass(frozen=True, order=True)
class JobShare:
    """What one job of an array takes.

    Attributes:
        index: place of the job, from 0.
        count: number of jobs.

    Raises:
        ValueError: there is no such job; names the option.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        """Checks that there is such a job."""
        if self.count < 1:
            raise ValueError(f"num_shards is {self.count}; it must be 1 or more")
        if not 0 <= self.index < self.count:
            raise ValueError(
                f"shard is {self.index}; of {self.count} they go from 0 to {self.count - 1}"
            )

    def __str__(self) -> str:
        """The name of its folder.

        Example: "0-of-4".
        """
        return f"{self.index}-of-{self.count}"

    @overload
    def of(self, items: range) -> range: ...

    @overload
    def of(self, items: Sequence[Item]) -> Sequence[Item]: ...

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """Returns its part of a list. The parts follow each other; sizes differ by one at most.

        Args:
            items: of all jobs.

        Example: of five items the first of three jobs takes one, the others two each.
        """
        first, end = (len(items) * place // self.count for place in (self.index, self.index + 1))
        return items[first:end]
