"""Batches of CIFAR-10: what is in an epoch, and what augmentation may do to an image."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import tensorflow as tf

from mobilenetdet.classification.batches import open_images, steps_per_epoch
from mobilenetdet.classification.config import (
    ClassifierConfig,
    ClassifierTrainConfig,
    ImageDataConfig,
)
from mobilenetdet.classification.small_images import augment_images
from mobilenetdet.data.batch_share import BatchShare

PLAIN = {"flip": 0.0, "crop_padding": 0, "cutout": 0}


def make_config(folder="", batch_size=16, seed=0, **data):
    return ClassifierConfig(
        data=ImageDataConfig(data_dir=str(folder), **data),
        train=ClassifierTrainConfig(batch_size=batch_size, seed=seed),
    )


def noise(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3)).astype(np.uint8)


def augment(images, seed=(1, 2), **data):
    return augment_images(tf.constant(images), tf.constant(seed), ImageDataConfig(**data)).numpy()


def test_an_epoch_has_each_image_once_with_its_label(small_cifar10, class_batches):
    config = make_config(small_cifar10, **PLAIN)
    images = open_images(config)
    assert (images.num_train, images.num_test, steps_per_epoch(images, config)) == (80, 24, 5)
    pairs = zip(images.train.images, images.train.labels, strict=True)
    label_of = {image.tobytes(): label for image, label in pairs}
    batches = class_batches(config, num_epochs=2)
    assert [len(batch) for batch, _ in batches] == [16] * 10
    orders = []
    for epoch in (batches[:5], batches[5:]):
        seen = [image.tobytes() for batch, _ in epoch for image in batch]
        assert len(set(seen)) == 80
        assert [label_of[image] for image in seen] == [v for _, labels in epoch for v in labels]
        orders.append(seen)
    assert orders[0] != orders[1]


def test_processes_together_make_the_batches_of_one(small_cifar10):
    images = open_images(make_config(small_cifar10))
    whole = list(images.train_batches(0, 1).as_numpy_iterator())
    own = [
        images.train_batches(0, 1, share=BatchShare(index, 2, 2)).as_numpy_iterator()
        for index in range(2)
    ]
    for batch, *parts in zip(whole, *own, strict=True):
        for expected, found in zip(batch, zip(*parts, strict=True), strict=True):
            np.testing.assert_array_equal(np.concatenate(found), expected)


def test_what_fills_no_batch_waits(small_cifar10, class_batches):
    config = make_config(small_cifar10, batch_size=36)
    assert steps_per_epoch(open_images(config), config) == 2
    assert [len(batch) for batch, _ in class_batches(config, num_epochs=2)] == [36] * 4


def test_a_batch_larger_than_the_set_is_refused(small_cifar10):
    config = make_config(small_cifar10, batch_size=81)
    with pytest.raises(ValueError, match="batch_size is 81, but there are 80 training images"):
        steps_per_epoch(open_images(config), config)


def test_an_epoch_depends_on_seed_and_number_alone(small_cifar10, repeatable_epoch):
    config = make_config(small_cifar10)
    assert len(repeatable_epoch(config, make_config(small_cifar10, seed=1))) == 5


def test_test_images_come_as_they_are(small_cifar10):
    images = open_images(make_config(small_cifar10, batch_size=10))
    batches = list(images.test_batches().as_numpy_iterator())
    assert [len(labels) for _, labels in batches] == [10, 10, 4]
    np.testing.assert_array_equal(np.concatenate([i for i, _ in batches]), images.test.images)
    np.testing.assert_array_equal(np.concatenate([v for _, v in batches]), images.test.labels)


@pytest.mark.parametrize("side", [48, 96])
def test_images_are_enlarged_after_the_augmentation(small_cifar10, class_batches, side):
    small, large = make_config(small_cifar10), make_config(small_cifar10, image_size=side)

    def all_batches(config):
        tests = open_images(config).test_batches().as_numpy_iterator()
        return [*class_batches(config, num_epochs=1), *tests]

    pairs = zip(all_batches(small), all_batches(large), strict=True)
    for (images, labels), (enlarged, same_labels) in pairs:
        np.testing.assert_array_equal(labels, same_labels)
        assert enlarged.dtype == np.uint8
        for image, by_tensorflow in zip(images, enlarged, strict=True):
            by_opencv = cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR)
            # OpenCV's weights are of 11 bits.
            assert np.abs(by_tensorflow.astype(int) - by_opencv).max() <= 1


def test_nothing_switched_on_changes_nothing():
    images = noise(8)
    np.testing.assert_array_equal(augment(images, **PLAIN), images)


def test_crops_are_windows_of_the_padded_image():
    images = noise(200)
    cropped = augment(images, **(PLAIN | {"crop_padding": 3}))
    padded = np.pad(images, [(0, 0), (3, 3), (3, 3), (0, 0)], constant_values=127)
    offsets = []
    for before, after in zip(padded, cropped, strict=True):
        places = [
            (top, left)
            for top in range(7)
            for left in range(7)
            if np.array_equal(before[top : top + 32, left : left + 32], after)
        ]
        assert len(places) == 1
        offsets += places
    assert len(set(offsets)) > 40  # of 49


def test_flips_are_mirror_images_at_the_asked_rate():
    images = noise(400)
    flipped = augment(images, **(PLAIN | {"flip": 0.25}))
    same = (flipped == images).all(axis=(1, 2, 3))
    mirrored = (flipped == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 70 < mirrored.sum() < 130


@pytest.mark.parametrize("side", [8, 5])
def test_cutout_is_one_grey_square_cut_at_the_border(side):
    images = np.full((300, 32, 32, 3), 200, np.uint8)
    covered = augment(images, **(PLAIN | {"cutout": side})) == 127
    assert (covered == covered[..., :1]).all()
    sides = set()
    for mask in covered[..., 0]:
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        np.testing.assert_array_equal(mask, rows[:, None] & columns[None])
        for line in (rows, columns):
            (places,) = np.nonzero(line)
            assert len(places) == places[-1] - places[0] + 1
            sides.add(len(places))
    assert max(sides) == side and min(sides) == side - side // 2


def test_seeds_decide():
    images = noise(4)
    one, same, other = augment(images), augment(images), augment(images, seed=(1, 3))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one.dtype == np.uint8 and one.shape == images.shape


def test_options_reach_the_batches(small_cifar10, class_batches):
    config = make_config(small_cifar10, **PLAIN)
    plain = np.concatenate([images for images, _ in class_batches(config)])
    covered = replace(config, data=replace(config.data, cutout=16))
    changed = np.concatenate([images for images, _ in class_batches(covered)])
    share = (plain != changed).any(axis=-1).mean(axis=(1, 2))
    assert (share > 0.05).all() and (share < 0.3).all()
