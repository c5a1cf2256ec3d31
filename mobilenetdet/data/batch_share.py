"""What of each training batch comes from which records, and which process prepares it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import tensorflow as tf

from mobilenetdet.data.epoch_order import epoch_seed, numbered_records
from mobilenetdet.records.record_shares import RecordShare, divide_records
from mobilenetdet.records.remote_path import RecordsPath


@dataclass(frozen=True)
class BatchShare:
    """Which part of every batch a process prepares.

    Attributes:
        index: of the process.
        count: of the processes.
        num_devices: of all processes together, a multiple of their number.
    """

    index: int = 0
    count: int = 1
    num_devices: int = 1


# Of a process that is alone.
WHOLE = BatchShare()


@dataclass(frozen=True)
class EpochPlan:
    """The shares of the records and what each gives to the batches of an epoch.

    Every share is shuffled by itself and gives an equal part of each batch, the first share's
    first. So a process that prepares the parts of some shares reads no others, and the parts of all
    processes together are the batches that one process makes of as many shares. At the end of an
    epoch each share gives as many as the one that has most left, and fills up its part with records
    that come once more.

    Attributes:
        shares: of the records, those of this process.
        num_shares: number of the shares of all processes, which divides the batch.
        part: rows of a share in a full batch.
        length: records that a share gives in an epoch.
    """

    shares: tuple[RecordShare, ...]
    num_shares: int
    part: int
    length: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of records of each share."""
        return tuple(map(len, self.shares))

    @classmethod
    def of(
        cls,
        files: Sequence[tuple[RecordsPath, int]],
        num_shares: int,
        *,
        batch_size: int,
        num_devices: int = 1,
        drop_remainder: bool = False,
    ) -> EpochPlan:
        """Plans the epochs of all processes.

        Args:
            files: each with the number of its records.
            num_shares: number of shares; it has to divide the batch size.
            batch_size: of all processes together.
            num_devices: of all processes together; where there are several shares, these divide the
                last batch.
            drop_remainder: leaves out the last records of the epoch instead, which fill no batch.

        Raises:
            ValueError: there are fewer records than shares.
        """
        shares = divide_records(files, num_shares)
        part = batch_size // num_shares
        if drop_remainder:
            length = min(map(len, shares)) // part * part
        else:
            full, rest = divmod(max(map(len, shares)), part)
            multiple = num_devices // math.gcd(num_devices, num_shares) if num_shares > 1 else 1
            length = full * part + -(-rest // multiple) * multiple
        return cls(shares, num_shares, part, length)

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return -(-self.length // self.part)

    def for_process(self, share: BatchShare) -> EpochPlan:
        """Returns the plan of one of several processes, whose number divides that of the shares."""
        own = len(self.shares) // share.count
        return replace(self, shares=self.shares[share.index * own : (share.index + 1) * own])

    def batches(
        self,
        seed: int,
        epoch: tf.Tensor,
        *,
        shuffle_buffer: int,
        num_readers: int | None = None,
    ) -> tf.data.Dataset:
        """Returns the records of an epoch, in batches.

        Args:
            seed: of the run.
            epoch: scalar int64.
            shuffle_buffer: records, of all shares together.
            num_readers: files of a share that are read at once; None reads one after the other.

        Returns:
            Elements (epoch int64 [B], place int64 [B], record string [B]); see `numbered_records`
            for the places.
        """
        own_seed = epoch_seed(seed, epoch)
        parts = []
        for share in self.shares:
            share_seed = own_seed
            if self.num_shares > 1:
                share_seed = tf.random.experimental.stateless_fold_in(own_seed, share.first)
            records = numbered_records(
                share,
                share_seed,
                self.length,
                shuffle_buffer=-(-shuffle_buffer // self.num_shares),
                num_readers=num_readers,
            )
            parts.append(records.batch(self.part))

        def join(*parts: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            """Puts the parts of the shares one after the other."""
            places, records = (tf.concat(column, axis=0) for column in zip(*parts, strict=True))
            return tf.fill(tf.shape(places), epoch), places, records

        return tf.data.Dataset.zip(tuple(parts)).map(tf.autograph.experimental.do_not_convert(join))
