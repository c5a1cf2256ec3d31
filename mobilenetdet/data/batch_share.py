"""The part of each training batch that one of several processes prepares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class BatchShare:
    """Which rows of every batch a process prepares.

    All processes go through the same records in the same order. What is drawn at random goes with
    the place of a frame in the epoch, so that the rows of all processes together are the batch
    that one process would make.

    Attributes:
        index: of the process.
        count: of the processes.
        num_devices: of all processes together, a multiple of their number.
    """

    index: int = 0
    count: int = 1
    num_devices: int = 1

    def places(self, size: int) -> np.ndarray:
        """Returns the places of its rows in a batch that is filled up for the devices.

        A batch that the devices cannot divide is filled up with its own first rows: a place stands
        for row `place % size`, and those from `size` on are repetitions.

        Example: of 3 rows, the second of two processes with a device each has the places 2 and 3.

        Args:
            size: rows of the batch, 1 or more.

        Returns:
            int [B'], as many in every process; all rows once where there is one process.
        """
        if self.count == 1:
            return np.arange(size)
        own = -(-size // self.num_devices) * self.num_devices // self.count
        return np.arange(self.index * own, (self.index + 1) * own)


# Of a process that is alone.
WHOLE = BatchShare()
