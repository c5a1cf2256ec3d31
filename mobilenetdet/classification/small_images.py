"""tf.data from images in memory, augmented a batch at a time: crop, flip, cutout."""

from __future__ import annotations

import zlib

import tensorflow as tf

from mobilenetdet.classification.cifar10 import CLASS_NAMES, LabelledImages, read_cifar10
from mobilenetdet.classification.config import ClassifierConfig, ImageDataConfig
from mobilenetdet.data.batch_share import WHOLE, BatchShare
from mobilenetdet.data.epoch_order import chain_epochs, epoch_seed, untuned
from mobilenetdet.system.cores import num_cores

# AutoGraph would write temporary files and warn where it cannot; these functions need none.
_as_it_is = tf.autograph.experimental.do_not_convert
# The middle of the range, which the network sees as about 0.
_GREY = 127
_PREFETCH_BATCHES = 4


class Cifar10Images:
    """CIFAR-10 as batches; see `batches.ClassImages`."""

    def __init__(self, config: ClassifierConfig) -> None:
        """Reads all images.

        Raises:
            FileNotFoundError: there are none, or not all; see `read_cifar10`.
            ValueError: a batch is damaged.
        """
        self.config = config
        self.train = read_cifar10(config.data.data_dir, "train")
        self.test = read_cifar10(config.data.data_dir, "test")
        self.class_names = CLASS_NAMES
        self.num_train, self.num_test = len(self.train), len(self.test)
        self.steps = self.num_train // config.train.batch_size
        self.share_sizes = (self.num_train,)
        self.fingerprint, self.test_fingerprint = map(_fingerprint, (self.train, self.test))

    def train_batches(
        self, first_epoch: int, num_epochs: int | None, *, share: BatchShare = WHOLE
    ) -> tf.data.Dataset:
        """Returns augmented batches, epoch after epoch."""
        train = self.config.train
        images, labels = _to_tensors(self.train)
        count, size = self.num_train, train.batch_size
        part = size // share.count
        own = slice(share.index * part, (share.index + 1) * part)

        def make_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            """Yields (epoch, step, the numbers of its images), shuffled."""
            seed = epoch_seed(train.seed, epoch)
            order = tf.random.experimental.stateless_shuffle(tf.range(count), seed)
            steps = tf.data.Dataset.from_tensor_slices(order).batch(size, drop_remainder=True)
            return steps.enumerate().map(_as_it_is(lambda step, chosen: (epoch, step, chosen)))

        @_as_it_is
        def make_batch(
            epoch: tf.Tensor, step: tf.Tensor, chosen: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            """Returns the augmented images of a step and their labels."""
            seed = tf.random.experimental.stateless_fold_in(epoch_seed(train.seed, epoch), step)
            batch = augment_images(tf.gather(images, chosen), seed, self.config.data)
            return self._enlarge(batch[own]), tf.gather(labels, chosen)[own]

        epochs = chain_epochs(make_epoch, first_epoch, num_epochs)
        batches = epochs.map(make_batch, num_parallel_calls=num_cores(), deterministic=True)
        return batches.with_options(untuned()).prefetch(_PREFETCH_BATCHES)

    def order(self) -> str:
        """Is unknown: the images of `read_cifar10` have one order everywhere."""
        return ""

    def check(self) -> None:
        """Does nothing: `read_cifar10` has checked every image."""

    def test_batches(self) -> tf.data.Dataset:
        """Returns every test image once, in the order of the file, not augmented."""
        batches = tf.data.Dataset.from_tensor_slices(_to_tensors(self.test))
        batches = batches.batch(self.config.train.batch_size)
        batches = batches.map(
            _as_it_is(lambda images, labels: (self._enlarge(images), labels)),
            num_parallel_calls=num_cores(),
            deterministic=True,
        )
        return batches.with_options(untuned()).prefetch(_PREFETCH_BATCHES)

    def _enlarge(self, images: tf.Tensor) -> tf.Tensor:
        """Resizes uint8 [B, 32, 32, 3] to the network input, bilinearly; 32 leaves them as is."""
        side = self.config.data.image_size
        if side == images.shape[1]:
            return images
        return tf.cast(tf.round(tf.image.resize(images, [side, side])), tf.uint8)


def augment_images(images: tf.Tensor, seed: tf.Tensor, config: ImageDataConfig) -> tf.Tensor:
    """Crops, flips and covers a batch, each image in its own way.

    Each change says which pixel of the padded image goes where, so that pixels move once, in one
    gather for the whole batch: five times as fast as one change after the other.

    Args:
        images: uint8 [B, H, W, 3].
        seed: int [2]; decides everything that is drawn.
        config: crop_padding, flip and cutout.

    Returns:
        uint8 [B, H, W, 3].
    """
    _, height, width, channels = images.shape
    size = tf.shape(images)[0]
    crop_seed, flip_seed, cut_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    border = max(1, config.crop_padding)  # the pixel in the corner has to be grey
    shifts = 2 * config.crop_padding + 1
    offsets = _draw(size, crop_seed, shifts, shifts) + border - config.crop_padding
    is_flipped = tf.random.stateless_uniform([size, 1], flip_seed) < config.flip
    columns = tf.range(width)
    columns = tf.where(is_flipped, width - 1 - columns, columns) + offsets[:, 1:]  # [B, W]
    rows = tf.range(height) + offsets[:, :1]  # [B, H]
    places = rows[:, :, None] * (width + 2 * border) + columns[:, None, :]  # [B, H, W]
    if config.cutout:  # arXiv 1708.04552; its centre may lie anywhere
        centres = _draw(size, cut_seed, height, width)
        places = tf.where(_covered(centres, height, width, config.cutout), 0, places)
    paddings = [[0, 0], [border, border], [border, border], [0, 0]]
    padded = tf.pad(images, paddings, constant_values=_GREY)
    return tf.gather(tf.reshape(padded, [size, -1, channels]), places, axis=1, batch_dims=1)


def _covered(centres: tf.Tensor, height: int, width: int, side: int) -> tf.Tensor:
    """Returns bool [B, H, W]: a square around each of the centres [B, 2]."""
    starts = centres - side // 2
    rows, columns = tf.range(height), tf.range(width)
    in_rows = (rows >= starts[:, :1]) & (rows < starts[:, :1] + side)  # [B, H]
    in_columns = (columns >= starts[:, 1:]) & (columns < starts[:, 1:] + side)  # [B, W]
    return in_rows[:, :, None] & in_columns[:, None, :]


def _draw(size: tf.Tensor, seed: tf.Tensor, num_rows: int, num_columns: int) -> tf.Tensor:
    """Draws places int32 [B, 2], rows and columns counted from 0."""
    drawn = tf.random.stateless_uniform([size, 2], seed)  # below 1
    return tf.cast(drawn * tf.constant([num_rows, num_columns], tf.float32), tf.int32)


def _fingerprint(split: LabelledImages) -> str:
    """Identifies images and labels, so that a run goes on with those that it began with."""
    return f"{zlib.crc32(split.labels.data, zlib.crc32(split.images.data)):08x}"


def _to_tensors(split: LabelledImages) -> tuple[tf.Tensor, tf.Tensor]:
    # On the CPU: tf.data reads them there, and a GPU's memory has better uses.
    with tf.device("CPU:0"):
        return tf.constant(split.images), tf.constant(split.labels)
