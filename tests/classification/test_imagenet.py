"""Batches from ImageNet's records: what is in them, and Inception's preprocessing."""

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tensorflow as tf

from mobilenetdet.classification.batches import damage_named, open_images, steps_per_epoch
from mobilenetdet.classification.config import (
    ClassifierConfig,
    ClassifierTrainConfig,
    ImageDataConfig,
)
from mobilenetdet.classification.imagenet import central_image, distorted_image
from mobilenetdet.data.batch_share import BatchShare
from mobilenetdet.records.tfrecord import (
    decode_example,
    encode_example,
    read_records,
    write_record,
)

PLAIN = {"flip": 0.0, "min_area": 1.0, "colour": 0.0}


def make_config(folder, batch_size=5, seed=0, num_classes=4, **data):
    options = {"image_size": 32, "num_classes": num_classes, "shuffle_buffer": 8} | data
    return ClassifierConfig(
        data=ImageDataConfig(dataset="imagenet", data_dir=str(folder), **options),
        train=ClassifierTrainConfig(batch_size=batch_size, seed=seed),
    )


def smooth_image(height=96, width=128):
    """A picture without fine detail, so that resizing says little about the method."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def encode(image):
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()


def distort(encoded, seed, **data):
    config = ImageDataConfig(dataset="imagenet", image_size=48, **(PLAIN | data))
    return distorted_image(tf.constant(encoded), tf.constant([seed, 0]), config).numpy().astype(int)


def test_an_epoch_has_each_image_once_with_its_label(class_records, class_folders, class_batches):
    config = make_config(class_records, batch_size=8, **PLAIN)
    images = open_images(config)
    assert (images.num_train, images.num_test, steps_per_epoch(images, config)) == (32, 20, 4)
    assert images.class_names == ("n01", "n02", "n10", "n20")
    label_of = {}
    for label, name in enumerate(images.class_names):
        for path in (class_folders / "train" / name).iterdir():
            pixels = tf.image.resize(tf.io.decode_jpeg(path.read_bytes()), (32, 32))
            label_of[tf.cast(tf.round(pixels), tf.uint8).numpy().tobytes()] = label
    orders = []
    for epoch in range(2):
        batches = class_batches(config, first_epoch=epoch)
        seen = [image.tobytes() for batch, _ in batches for image in batch]
        assert len(set(seen)) == 32
        assert [label_of[image] for image in seen] == [v for _, labels in batches for v in labels]
        orders.append(seen)
    assert orders[0] != orders[1]


@pytest.mark.parametrize(("count", "num_shares"), [(2, 2), (3, 3), (2, 4)])
def test_processes_together_make_the_batches_of_one(class_records, count, num_shares):
    config = make_config(class_records, batch_size=12)
    config = replace(config, train=replace(config.train, record_shares=num_shares))
    images = open_images(config)
    assert sum(images.share_sizes) == 32 and len(images.share_sizes) == num_shares
    assert steps_per_epoch(images, config) == min(images.share_sizes) // (12 // num_shares) == 2
    whole = list(images.train_batches(0, 1).as_numpy_iterator())
    own = [
        images.train_batches(0, 1, share=BatchShare(index, count, count)).as_numpy_iterator()
        for index in range(count)
    ]
    for batch, *parts in zip(whole, *own, strict=True):
        for expected, found in zip(batch, zip(*parts, strict=True), strict=True):
            np.testing.assert_array_equal(np.concatenate(found), expected)
    assert len({image.tobytes() for pixels, _ in whole for image in pixels}) == 24


def test_shares_smaller_than_their_part_of_a_batch_are_named(class_records):
    config = make_config(class_records, batch_size=32)
    config = replace(config, train=replace(config.train, record_shares=2))
    images = open_images(config)
    config = replace(config, train=replace(config.train, batch_size=36))
    message = r"is 36, but there are 32 training images in 2 shares, the smallest of 1\d; choose"
    with pytest.raises(ValueError, match=message):
        steps_per_epoch(open_images(config), config)
    assert images.order() == open_images(config).order() != ""


def test_an_epoch_depends_on_seed_and_number_alone(class_records, repeatable_epoch):
    config = make_config(class_records)
    batches = repeatable_epoch(config, make_config(class_records, seed=1))
    assert [len(labels) for _, labels in batches] == [5] * 6
    assert all(images.dtype == np.uint8 for images, _ in batches)
    assert all(images.shape == (5, 32, 32, 3) for images, _ in batches)


def test_all_test_images_in_their_order(class_records):
    images = open_images(make_config(class_records, batch_size=8))
    batches = list(images.test_batches().as_numpy_iterator())
    assert [len(labels) for _, labels in batches] == [8, 8, 4]
    labels = np.concatenate([labels for _, labels in batches])
    assert np.bincount(labels).tolist() == [5, 5, 5, 5]


@pytest.mark.parametrize("size", [(96, 128), (64, 200), (81, 77)])
def test_the_central_crop_is_that_of_cv2(size):
    encoded = encode(smooth_image(*size))
    image = tf.io.decode_jpeg(encoded).numpy()
    (top, left), (height, width) = (
        [(side - round(side * 0.875)) // 2 for side in size],
        [round(side * 0.875) for side in size],
    )
    expected = cv2.resize(image[top : top + height, left : left + width], (48, 48))
    result = central_image(tf.constant(encoded), 48).numpy().astype(int)
    # cv2 rounds its weights; at the border libjpeg lacks the colours beyond.
    assert np.abs(result - expected)[2:-2, 2:-2].max() <= 3


def test_a_random_crop_keeps_the_asked_share():
    """Red and green tell the place, so the corners of the result tell the window."""
    places = np.stack(np.meshgrid(np.arange(200), np.arange(200)), axis=-1)
    image = np.concatenate([places + 20, np.zeros((200, 200, 1))], axis=-1).astype(np.uint8)
    encoded, areas, ratios = encode(image), [], []
    for seed in range(40):
        result = distort(encoded, seed, min_area=0.3)
        span = (result[-3, -3, :2] - result[2, 2, :2]) * 48 / 43
        areas.append(span.prod() / 200**2)
        ratios.append(span[0] / span[1])
    assert 0.25 < min(areas) < 0.45 < 0.8 < max(areas) < 1.05
    assert 0.68 < min(ratios) < 0.9 < 1.1 < max(ratios) < 1.45


def test_flip_and_colour():
    image = smooth_image()
    encoded = encode(image)
    plain = distort(encoded, 0)
    np.testing.assert_array_equal(plain, distort(encoded, 9))
    mirrored = [np.array_equal(distort(encoded, s, flip=0.5), plain[:, ::-1]) for s in range(30)]
    kept = [np.array_equal(distort(encoded, s, flip=0.5), plain) for s in range(30)]
    assert 8 < sum(mirrored) < 22 and sum(mirrored) + sum(kept) == 30
    gentle, strong = (
        np.mean([np.abs(distort(encoded, s, colour=c) - plain).mean() for s in range(10)])
        for c in (0.2, 1.0)
    )
    assert 1 < gentle < strong / 2


def as_tutorial(records, folder):
    """The same records in files named as the tutorial names them, without list and manifest."""
    folder.mkdir()
    for split, name in (("train", "train"), ("val", "validation")):
        payloads = [p for path in sorted(records.glob(f"{split}_*")) for p in read_records(path)]
        for index in range(2):
            with (folder / f"{name}-{index:05d}-of-00002").open("wb") as file:
                for payload in payloads[index::2]:
                    write_record(file, [payload])
    return folder


def test_the_tutorials_records_are_read_too(class_records, tmp_path):
    config = make_config(as_tutorial(class_records, tmp_path / "tutorial"))
    images = open_images(config)
    assert (images.num_train, images.num_test) == (32, 20)
    assert images.class_names == ("1", "2", "3", "4")
    assert sum(len(labels) for _, labels in images.test_batches()) == 20
    (tmp_path / "tutorial/train-00001-of-00002").unlink()
    with pytest.raises(FileNotFoundError, match="has 1 of the 2 files.*train-00001-of-00002 is"):
        open_images(config)


def test_a_cut_off_file_of_the_tutorial_is_named(class_records, tmp_path):
    folder = as_tutorial(class_records, tmp_path / "tutorial")
    path = folder / "train-00001-of-00002"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="train-00001-of-00002: record 15 is cut off"):
        open_images(make_config(folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda jpeg, label: (jpeg[:-200], label), r"record 3 \(n\d+_\d+\.JPEG\) .* no whole JPEG"),
        (lambda jpeg, label: (jpeg, 9), r"record 3 \(.*\) has label 9, not 1 to 4.*num_classes"),
    ],
)
def test_a_record_that_stops_the_pipeline_is_named(class_records, tmp_path, change, message):
    folder = as_tutorial(class_records, tmp_path / "tutorial")
    path = folder / "validation-00001-of-00002"
    payloads = list(read_records(path))
    features = decode_example(payloads[3])
    jpeg, label = change(features["image/encoded"][0], int(features["image/class/label"][0]))
    name = features["image/filename"][0]
    payloads[3] = b"".join(
        encode_example({"image/encoded": jpeg, "image/class/label": label, "image/filename": name})
    )
    with path.open("wb") as file:
        for payload in payloads:
            write_record(file, [payload])
    images = open_images(make_config(folder))
    with pytest.raises(ValueError, match=f"{path.name}: {message}"), damage_named(images):
        list(images.test_batches())


def test_a_flipped_bit_names_the_record(class_records, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(class_records, folder)
    path = sorted(folder.glob("train_*.tfrecord"))[-1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    images = open_images(make_config(folder))
    with pytest.raises(ValueError, match=f"{path.name}: record .* damaged"), damage_named(images):
        list(images.train_batches(0, 1))


def test_an_error_that_no_record_explains_stays_what_it_is(class_records):
    images = open_images(make_config(class_records))
    with pytest.raises(tf.errors.InvalidArgumentError), damage_named(images):
        tf.reshape(tf.zeros(3), (2, 2))


def test_another_number_of_classes_is_refused(class_records, tmp_path, class_batches):
    with pytest.raises(ValueError, match=r"num_classes is 7, .*labels\.txt lists 4 .*_classes 4"):
        open_images(make_config(class_records, num_classes=7))
    tutorial = make_config(as_tutorial(class_records, tmp_path / "tutorial"), num_classes=3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not in 1 to data.num_classes"):
        class_batches(tutorial)


def test_missing_records_name_the_command(class_records, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no records of train.*mobilenetdet imagenet_convert"
    ):
        open_images(make_config(tmp_path))
    shutil.copytree(class_records, tmp_path / "copy")
    (tmp_path / "copy/val.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no records of val .*--split val"):
        open_images(make_config(tmp_path / "copy"))
