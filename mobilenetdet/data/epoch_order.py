"""Epochs in tf.data whose order depends on (seed, epoch) alone, so that a run can be resumed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from mobilenetdet.records.remote_path import RecordsPath

if keras.backend.backend() != "tensorflow":
    # It would take nearly all of a GPU's memory, which the backend needs.
    with contextlib.suppress(RuntimeError):  # its caller uses TensorFlow on purpose
        tf.config.set_visible_devices([], "GPU")

# Any but 0, which Dataset.shuffle compares with a seed that is a tensor and fails.
_GRAPH_SEED = 1


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
    return tf.data.Dataset.range(first_epoch, end).flat_map(make_epoch)


def epoch_seed(seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """Returns the seed of an epoch for stateless random operations: int64 [2]."""
    return tf.stack([tf.constant(seed, tf.int64), epoch])


def shuffled_records(
    paths: Sequence[RecordsPath],
    epoch: tf.Tensor,
    *,
    seed: int,
    shuffle_buffer: int,
    num_readers: int | None = None,
) -> tf.data.Dataset:
    """Returns the records of one epoch in its order: files, then a buffer of records.

    Args:
        paths: TFRecord files.
        epoch: scalar int64.
        seed: of the run.
        shuffle_buffer: records.
        num_readers: files that are read at once; None reads one after the other.
    """
    # This function is traced, and the seed that it sets is its graph's. Dataset.shuffle would mix
    # in the seed of the process otherwise: the order would depend on what else was seeded.
    tf.random.set_seed(_GRAPH_SEED)
    pair = epoch_seed(seed, epoch)
    drawn = tf.random.stateless_uniform([], pair, minval=0, maxval=2**31 - 1, dtype=tf.int64)
    files = tf.random.experimental.stateless_shuffle([str(path) for path in paths], pair)
    records = tf.data.TFRecordDataset(files, num_parallel_reads=num_readers)
    return records.shuffle(shuffle_buffer, seed=drawn, reshuffle_each_iteration=False)
