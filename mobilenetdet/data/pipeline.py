"""tf.data from the records of a split to the batches that training and evaluation read.

Reading and shuffling are tf.data's, on encoded records; a batch is then decoded, augmented and
letterboxed as one `tf.numpy_function` call, which draws each image straight into its row of the
batch. Batches run in parallel (OpenCV lets go of Python's lock) and come out in order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import cv2
import numpy as np
import tensorflow as tf

from mobilenetdet.boxes.box_status import WITHOUT_WEIGHT
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.data.batch_share import WHOLE, BatchShare, EpochPlan
from mobilenetdet.data.epoch_order import FILLING, chain_epochs, untuned
from mobilenetdet.data.preprocess import FramePreparer
from mobilenetdet.records.shards import counted_shards, shard_paths, split_shards
from mobilenetdet.records.tfrecord import read_records
from mobilenetdet.system.cores import num_cores

# AutoGraph would write temporary files and warn where it cannot; these functions need none.
_as_it_is = tf.autograph.experimental.do_not_convert
# More threads than this wait for Python's lock rather than work.
_MAX_WORKERS = 8
_PREFETCH_BATCHES = 2
_OUTPUTS = {
    "images": tf.uint8,
    "image_info": tf.float32,
    "frame_ids": tf.string,
    "boxes": tf.float32,
    "classes": tf.int32,
    "box_status": tf.int32,
    "num_dropped": tf.int32,
}
_TARGETS = ("boxes", "classes", "box_status", "num_dropped")
_EVALUATION = (
    *("images", "image_info", "frame_ids", "payloads"),
    *("boxes", "classes", "box_status"),
)


def num_workers() -> int:
    """Returns how many batches are prepared at once: one a core, up to 8."""
    return min(_MAX_WORKERS, num_cores())


def plan_epochs(
    config: DetectionConfig, num_devices: int = 1, *, count_records: bool = False
) -> EpochPlan:
    """Plans the training epochs of all processes, the last incomplete batches included.

    Args:
        config: the detection config.
        num_devices: of all processes together.
        count_records: also counts the records in local files, which the manifest tells.

    Raises:
        FileNotFoundError: the split is not converted.
        ValueError: it has fewer frames than `config.train.record_shares`; or, with `count_records`,
            no frame, or a file has another number of them than the manifest says.
    """
    records_dir, split = config.data.records_dir, config.data.train_split
    find = counted_shards if count_records else split_shards
    return EpochPlan.of(
        [(path, shard.num_frames) for path, shard in find(records_dir, split)],
        config.train.record_shares,
        batch_size=config.train.batch_size,
        num_devices=num_devices,
    )


def train_batches(
    config: DetectionConfig,
    *,
    first_epoch: int = 0,
    num_epochs: int | None = None,
    share: BatchShare = WHOLE,
    room_for: int = 0,
) -> tf.data.Dataset:
    """Returns augmented training batches, epoch after epoch.

    Every epoch holds each frame once, in an order and with an augmentation that depend on
    (`config.train.seed`, epoch) alone: epoch 3 is the same in a run from 0 and in one resumed at
    3, on any number of threads. The last batch of an epoch has the frames that are left over, so
    an epoch ends after `EpochPlan.steps`; where there are several shares of the records, it is
    filled up with frames that weigh nothing, see `EpochPlan`.

    Args:
        config: the detection config; images have the size of `config.for_training()`.
        first_epoch: the epoch to begin with, 0 for a new run.
        num_epochs: how many; None goes on for ever.
        share: the part of each batch that this process prepares. It reads no more than its shares
            of the records.
        room_for: boxes of a frame at least, padding included. Processes that share a batch know
            their own boxes alone, and all need the same N: that of the frame with most objects.

    Returns:
        Elements (images, targets): uint8 [B, H, W, 3] RGB, and a dict of boxes float32 [B, N, 4]
        (xyxy, network pixels), classes int32 [B, N] (-1 for DontCare and padding), box_status int32
        [B, N] (see `boxes.box_status`) and num_dropped int32 [B]. N is a multiple of 8.

    Raises:
        FileNotFoundError: the split is not converted.
    """
    config = config.for_training()
    plan = plan_epochs(config, share.num_devices).for_process(share)
    num_batches = tf.data.INFINITE_CARDINALITY
    if num_epochs is not None:
        num_batches = num_epochs * plan.steps
    seed, buffer = config.train.seed, config.data.shuffle_buffer
    records = chain_epochs(
        lambda epoch: plan.batches(seed, epoch, shuffle_buffer=buffer), first_epoch, num_epochs
    )
    batches = _prepare(records, config, training=True, room_for=room_for)
    batches = batches.map(
        _as_it_is(lambda batch: (batch["images"], {key: batch[key] for key in _TARGETS}))
    )
    return batches.apply(tf.data.experimental.assert_cardinality(num_batches)).prefetch(
        _PREFETCH_BATCHES
    )


def eval_batches(
    config: DetectionConfig, split: str, batches: range | None = None
) -> tf.data.Dataset:
    """Returns every frame of a split once, in the order of the records, not augmented.

    Args:
        config: the detection config.
        split: such as "val".
        batches: the batches to return; by default all.

    Returns:
        Dicts of images uint8 [B, H, W, 3] RGB, image_info float32 [B, 5] (`Letterbox.from_array`),
        frame_ids string [B], payloads string [B] (the records), boxes, classes and box_status as in
        `train_batches`. The last batch may be smaller.

    Raises:
        FileNotFoundError: the split is not converted.
    """
    paths = shard_paths(config.data.records_dir, split)
    records = tf.data.TFRecordDataset([str(path) for path in paths])
    records = records.enumerate().batch(config.eval.batch_size)
    if batches is not None:
        records = records.skip(batches.start).take(len(batches))
    records = records.map(
        _as_it_is(lambda indices, payloads: (tf.zeros_like(indices), indices, payloads))
    )
    prepared = _prepare(records, config, training=False)
    # Labels and encoded images are still in the records, and so need no reading of their own.
    prepared = prepared.map(_as_it_is(lambda batch: {key: batch[key] for key in _EVALUATION}))
    return prepared.prefetch(_PREFETCH_BATCHES)


@contextlib.contextmanager
def damage_named(records_dir: str, split: str) -> Iterator[None]:
    """Names the damaged or vanished file when a pipeline fails inside the `with` block.

    Raises:
        FileNotFoundError: a file is gone.
        ValueError: a file is damaged.
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.NotFoundError):
        for path in shard_paths(records_dir, split):
            try:
                for _ in read_records(path):
                    pass
            except ValueError as error:
                raise ValueError(f"{error}: convert with --overwrite") from None
        raise  # it was something else


def _prepare(
    records: tf.data.Dataset,
    config: DetectionConfig,
    *,
    training: bool,
    room_for: int = 0,
) -> tf.data.Dataset:
    """Turns batches (epoch, place, payload) into batches of `FramePreparer.prepare_batch`."""
    # The batches are what runs in parallel; OpenCV's own threads would only fight over the cores.
    cv2.setNumThreads(0)
    preparer = FramePreparer(config, training=training)
    base_seed = config.train.seed

    def run(epochs: np.ndarray, places: np.ndarray, payloads: np.ndarray) -> list[np.ndarray]:
        """Prepares a batch, as arrays in the order of `_OUTPUTS`."""
        fills_up = places == FILLING
        numbers = zip(epochs.tolist(), np.abs(places).tolist(), strict=True)
        seeds = [(base_seed, epoch, place) for epoch, place in numbers]
        batch = preparer.prepare_batch(payloads.tolist(), seeds, room_for=room_for)
        batch["box_status"][fills_up] = WITHOUT_WEIGHT
        batch["num_dropped"][fills_up] = 0
        return [batch[key] for key in _OUTPUTS]

    @_as_it_is
    def to_tensors(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Runs the Python preprocessing of a batch, and sets the static shapes of its results."""
        values = tf.numpy_function(run, inputs, list(_OUTPUTS.values()), stateful=False)
        shapes = _shapes(config)
        batch = {
            key: tf.ensure_shape(value, shapes[key])
            for key, value in zip(_OUTPUTS, values, strict=True)
        }
        return batch if training else batch | {"payloads": inputs[2]}

    batches = records.map(to_tensors, num_parallel_calls=num_workers(), deterministic=True)
    return batches.with_options(untuned())


def _shapes(config: DetectionConfig) -> dict[str, tuple[int | None, ...]]:
    return {
        "images": (None, *config.image_size, 3),
        "image_info": (None, 5),
        "frame_ids": (None,),
        "boxes": (None, None, 4),
        "classes": (None, None),
        "box_status": (None, None),
        "num_dropped": (None,),
    }
