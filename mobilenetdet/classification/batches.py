"""The data sets of labelled images behind one interface."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np
import tensorflow as tf

from mobilenetdet.classification.config import ClassifierConfig
from mobilenetdet.data.batch_share import WHOLE, BatchShare


class ClassImages(Protocol):
    """The images of a data set.

    Attributes:
        class_names: names of the classes in the order of the labels.
        num_train: training images.
        num_test: test images.
        steps: batches of a training epoch.
        share_sizes: training images of each share of the records.
        fingerprint: identifies the training images, "" where that is not known.
        test_fingerprint: identifies the test images likewise.
    """

    class_names: tuple[str, ...]
    num_train: int
    num_test: int
    steps: int
    share_sizes: tuple[int, ...]
    fingerprint: str
    test_fingerprint: str

    def train_batches(
        self, first_epoch: int, num_epochs: int | None, *, share: BatchShare = WHOLE
    ) -> tf.data.Dataset:
        """Returns augmented batches, epoch after epoch.

        An epoch has `steps_per_epoch` batches of `train.batch_size` images. Which images, in which
        order and how they are changed depends on (`train.seed`, epoch) alone.

        Args:
            first_epoch: the epoch to begin with, 0 for a new run.
            num_epochs: how many; None goes on for ever.
            share: the part of each batch that this process prepares.

        Returns:
            Elements (images uint8 [B, H, W, 3] RGB, labels int32 [B]).
        """
        ...

    def test_batches(self) -> tf.data.Dataset:
        """Returns every test image once, in the same form; the last batch may be smaller."""
        ...

    def order(self) -> str:
        """Identifies the order of all images, "" where that is not known or there is one."""
        ...

    def check(self) -> None:
        """Reads all images, which may take long.

        Raises:
            ValueError: the first damaged one; names it.
        """
        ...


def open_images(config: ClassifierConfig) -> ClassImages:
    """Opens the data set of a config.

    Raises:
        FileNotFoundError: it is not there, or not complete.
        ValueError: a file is damaged, or there are other classes than the config says.
    """
    if config.data.dataset == "cifar10":
        from mobilenetdet.classification.small_images import Cifar10Images

        return Cifar10Images(config)
    from mobilenetdet.classification.imagenet import ImageNetRecords

    return ImageNetRecords(config)


@contextlib.contextmanager
def damage_named(images: ClassImages) -> Iterator[None]:
    """Names the damaged image when a pipeline fails inside the `with` block.

    Raises:
        ValueError: a damaged image; names it.
    """
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.DataLossError, tf.errors.NotFoundError):
        images.check()
        raise  # it was something else


def sample_images(config: ClassifierConfig, count: int) -> list[np.ndarray]:
    """Takes some training images, as training sees them: uint8 [H, W, 3], RGB.

    Args:
        config: which data set, and how large its images are.
        count: at most so many.

    Raises:
        FileNotFoundError, ValueError: see `open_images`.
    """
    images = open_images(config)
    if images.num_train < config.train.batch_size:  # of a batch that is not full nothing is seen
        train = replace(config.train, batch_size=max(images.num_train, 1))
        images = open_images(replace(config, train=train))
    taken: list[np.ndarray] = []
    with damage_named(images):
        for batch, _ in images.train_batches(0, 1).as_numpy_iterator():
            taken += list(batch)
            if len(taken) >= count:
                break
    return taken[:count]


def steps_per_epoch(images: ClassImages, config: ClassifierConfig) -> int:
    """Returns the number of batches of a training epoch.

    The last incomplete batch is dropped; which images it holds differs from epoch to epoch.

    Raises:
        ValueError: there are fewer images than a batch has.
    """
    if images.steps == 0:
        sizes = images.share_sizes
        shares = f" in {len(sizes)} shares, the smallest of {min(sizes)}" if len(sizes) > 1 else ""
        raise ValueError(
            f"train.batch_size is {config.train.batch_size}, but there are "
            f"{images.num_train} training images{shares}; choose a smaller one"
        )
    return images.steps
