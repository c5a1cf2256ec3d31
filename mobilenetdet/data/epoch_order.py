"""Epochs in tf.data whose order depends on (seed, epoch) alone, so that a run can be resumed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from mobilenetdet.records.record_shares import RecordShare

if keras.backend.backend() != "tensorflow":
    # It would take nearly all of a GPU's memory, which the backend needs.
    with contextlib.suppress(RuntimeError):  # its caller uses TensorFlow on purpose
        tf.config.set_visible_devices([], "GPU")

# Any but 0, which Dataset.shuffle compares with a seed that is a tensor and fails.
_GRAPH_SEED = 1
# The place of a record that fills up the last batch of an epoch.
FILLING = -1


def untuned() -> tf.data.Options:
    """Returns options for a pipeline with tf.data's autotuning off.

    Its tuning thread sleeps for up to a minute when an iterator is closed: a run would end that
    much later.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def chain_epochs(
    make_epoch: Callable[[tf.Tensor], tf.data.Dataset], first_epoch: int, num_epochs: int | None
) -> tf.data.Dataset:
    """Chains the datasets of consecutive epochs.

    Args:
        make_epoch: from the number of an epoch, scalar int64, to its elements.
        first_epoch: the epoch to begin with, 0 for a new run.
        num_epochs: how many; None goes on for ever.
    """
    end = np.iinfo(np.int64).max if num_epochs is None else first_epoch + num_epochs
    # AutoGraph would write temporary files and warn where it cannot; this function needs none.
    make_epoch = tf.autograph.experimental.do_not_convert(make_epoch)
    return tf.data.Dataset.range(first_epoch, end).flat_map(make_epoch)


def epoch_seed(seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """Returns the seed of an epoch for stateless random operations: int64 [2]."""
    return tf.stack([tf.constant(seed, tf.int64), epoch])


def shuffled_records(
    share: RecordShare,
    seed: tf.Tensor,
    *,
    shuffle_buffer: int,
    num_readers: int | None = None,
) -> tf.data.Dataset:
    """Returns the records of a share in the order of an epoch: files, then a buffer of records.

    Args:
        share: of the records of a split.
        seed: int64 [2], of the epoch.
        shuffle_buffer: records.
        num_readers: files that are read at once; None reads one after the other.
    """
    # This function is traced, and the seed that it sets is its graph's. Dataset.shuffle would mix
    # in the seed of the process otherwise: the order would depend on what else was seeded.
    tf.random.set_seed(_GRAPH_SEED)
    drawn = tf.random.stateless_uniform([], seed, minval=0, maxval=2**31 - 1, dtype=tf.int64)
    order = tf.random.experimental.stateless_shuffle(tf.range(len(share.ranges)), seed)
    paths, first, count = (list(column) for column in zip(*share.ranges, strict=True))
    columns = tf.constant(paths), tf.constant(first, tf.int64), tf.constant(count, tf.int64)
    files = tf.data.Dataset.from_tensor_slices(tuple(tf.gather(c, order) for c in columns))
    if num_readers is None:
        records = files.flat_map(_read_range)
    else:
        records = files.interleave(
            _read_range, cycle_length=num_readers, num_parallel_calls=num_readers
        )
    return records.shuffle(shuffle_buffer, seed=drawn, reshuffle_each_iteration=False)


def numbered_records(
    share: RecordShare,
    seed: tf.Tensor,
    length: int,
    *,
    shuffle_buffer: int,
    num_readers: int | None = None,
) -> tf.data.Dataset:
    """Returns so many records of a share in the order of an epoch, each with its place in it.

    Where the share has fewer, its first ones come once more at the end, with the place `FILLING`.

    Args:
        share: of the records of a split.
        seed: int64 [2], of the epoch.
        length: how many.
        shuffle_buffer: records.
        num_readers: see `shuffled_records`.

    Returns:
        Elements (place int64, record). Places are those in the epoch of all shares together, the
        first share's first.
    """
    records = shuffled_records(share, seed, shuffle_buffer=shuffle_buffer, num_readers=num_readers)
    numbered = records.enumerate(start=share.first).take(length)
    missing = length - len(share)
    if missing <= 0:
        return numbered
    filling = _read_range(*share.ranges[0]).repeat().take(missing)
    place = tf.constant(FILLING, tf.int64)
    return numbered.concatenate(filling.map(lambda record: (place, record)))


def _read_range(path: tf.Tensor | str, first: tf.Tensor, count: tf.Tensor) -> tf.data.Dataset:
    """Reads consecutive records of a file; those before them are read, too, and left out."""
    return tf.data.TFRecordDataset(path).skip(first).take(count)
