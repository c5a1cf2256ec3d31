"""What the tests of data share."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from mobilenetdet.data.classification import open_images
from mobilenetdet.data.images import BORDER_GREY


@pytest.fixture(scope="session")
def class_batches() -> Callable:
    """A function: the training batches of a classifier's config, as arrays."""

    def run(config, first_epoch=0, num_epochs=1):
        batches = open_images(config).train_batches(first_epoch, num_epochs)
        return list(batches.as_numpy_iterator())

    return run


@pytest.fixture(scope="session")
def repeatable_epoch(class_batches: Callable) -> Callable:
    """A function: holds that an epoch depends on the config's seed and its number alone.

    Takes a config and the same with another seed; returns the third epoch.
    """

    def check(config, reseeded):
        tf.random.set_seed(1)
        straight = class_batches(config, 0, 3)
        tf.random.set_seed(2)
        resumed = class_batches(config, 2, 1)
        assert len(straight) == 3 * len(resumed)
        third = straight[2 * len(resumed) :]
        for (images, labels), (images_again, labels_again) in zip(third, resumed, strict=True):
            np.testing.assert_array_equal(images, images_again)
            np.testing.assert_array_equal(labels, labels_again)
        other = class_batches(reseeded, 2, 1)
        assert not np.array_equal(other[0][0], resumed[0][0])
        return resumed

    return check


@pytest.fixture(scope="session")
def find_rectangle() -> Callable[[np.ndarray], np.ndarray]:
    """A function: the xyxy [4] of the one bright rectangle on grey, to parts of a pixel."""

    def find(image):
        bright = np.clip((image[..., 0].astype(float) - BORDER_GREY) / (255 - BORDER_GREY), 0, 1)
        box = np.zeros(4)
        for axis in (0, 1):  # 0: the sum over rows gives the extent in x
            profile = bright.sum(axis=axis)
            profile = profile / profile.max()
            size = profile.sum()
            centre = (profile * (np.arange(len(profile)) + 0.5)).sum() / size
            box[[axis, axis + 2]] = centre - size / 2, centre + size / 2
        return box

    return find
