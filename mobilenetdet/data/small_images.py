"""tf.data from images in memory: whole batches are cut, flipped and covered at once."""

from __future__ import annotations

import tensorflow as tf

from mobilenetdet.classifier_config import ClassifierConfig, ImageDataConfig
from mobilenetdet.data.cifar10 import CLASS_NAMES, LabelledImages, read_cifar10
from mobilenetdet.data.epochs import chain_epochs, epoch_seed, num_cores, untuned

# The middle of the range, which the network sees as about 0.
_GREY = 127
_PREFETCH_BATCHES = 4


class Cifar10Images:
    """CIFAR-10 as batches; see `classification.ClassImages`."""

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

    def train_batches(self, first_epoch: int, num_epochs: int | None) -> tf.data.Dataset:
        """Returns augmented batches, epoch after epoch."""
        train = self.config.train
        images, labels = _to_tensors(self.train)
        count, size = self.num_train, train.batch_size

        def make_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            seed = epoch_seed(train.seed, epoch)
            order = tf.random.experimental.stateless_shuffle(tf.range(count), seed)
            steps = tf.data.Dataset.from_tensor_slices(order).batch(size, drop_remainder=True)
            return steps.enumerate().map(lambda step, chosen: (epoch, step, chosen))

        def make_batch(
            epoch: tf.Tensor, step: tf.Tensor, chosen: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            seed = tf.random.experimental.stateless_fold_in(epoch_seed(train.seed, epoch), step)
            batch = augment_images(tf.gather(images, chosen), seed, self.config.data)
            return batch, tf.gather(labels, chosen)

        epochs = chain_epochs(make_epoch, first_epoch, num_epochs)
        batches = epochs.map(make_batch, num_parallel_calls=num_cores(), deterministic=True)
        return batches.with_options(untuned()).prefetch(_PREFETCH_BATCHES)

    def test_batches(self) -> tf.data.Dataset:
        """Returns every test image once, in the order of the file, as it is."""
        batches = tf.data.Dataset.from_tensor_slices(_to_tensors(self.test))
        batches = batches.batch(self.config.train.batch_size)
        return batches.with_options(untuned()).prefetch(_PREFETCH_BATCHES)


def augment_images(images: tf.Tensor, seed: tf.Tensor, config: ImageDataConfig) -> tf.Tensor:
    """Crops, flips and covers a batch, each image in its own way.

    Args:
        images: uint8 [B, H, W, 3].
        seed: int [2]; decides everything that is drawn.
        config: crop_padding, flip and cutout.

    Returns:
        uint8 [B, H, W, 3].
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    if config.crop_padding:
        images = _crop(images, seeds[0], config.crop_padding)
    if config.flip:
        drawn = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seeds[1])
        images = tf.where(drawn < config.flip, images[:, :, ::-1], images)
    if config.cutout:
        images = _cut_out(images, seeds[2], config.cutout)
    return images


def _crop(images: tf.Tensor, seed: tf.Tensor, padding: int) -> tf.Tensor:
    """Cuts windows of the image's size out of the image with a grey border."""
    _, height, width, channels = images.shape
    border = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
    padded = tf.pad(images, border, constant_values=_GREY)
    offsets = tf.random.stateless_uniform(
        [tf.shape(images)[0], 2], seed, 0, 2 * padding + 1, tf.int32
    )
    rows = offsets[:, :1] + tf.range(height)  # [B, H]
    columns = offsets[:, 1:] + tf.range(width)  # [B, W]
    # One gather of pixels is faster than one of rows and one of columns.
    places = rows[:, :, None] * (width + 2 * padding) + columns[:, None, :]  # [B, H, W]
    pixels = tf.reshape(padded, [tf.shape(images)[0], -1, channels])
    return tf.gather(pixels, places, axis=1, batch_dims=1)


def _cut_out(images: tf.Tensor, seed: tf.Tensor, side: int) -> tf.Tensor:
    """Paints a square grey whose centre lies anywhere in the image (arXiv 1708.04552)."""
    _, height, width, _ = images.shape
    size = tf.shape(images)[0]
    top_seed, left_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    tops = tf.random.stateless_uniform([size, 1], top_seed, 0, height, tf.int32) - side // 2
    lefts = tf.random.stateless_uniform([size, 1], left_seed, 0, width, tf.int32) - side // 2
    rows, columns = tf.range(height), tf.range(width)
    in_rows = (rows >= tops) & (rows < tops + side)  # [B, H]
    in_columns = (columns >= lefts) & (columns < lefts + side)  # [B, W]
    covered = in_rows[:, :, None, None] & in_columns[:, None, :, None]
    return tf.where(covered, tf.constant(_GREY, images.dtype), images)


def _to_tensors(split: LabelledImages) -> tuple[tf.Tensor, tf.Tensor]:
    # On the CPU: tf.data reads them there, and a GPU's memory has better uses.
    with tf.device("CPU:0"):
        return tf.constant(split.images), tf.constant(split.labels)
