"""ImageNet, or any class folders, from TFRecords: Inception's preprocessing in tf.data.

Training: a random part of the picture, flipped and recoloured (arXiv 1409.4842, section 6, and
TF-Slim's inception_preprocessing). Evaluation: the middle 87.5 %, resized.
"""

from __future__ import annotations

import re
from pathlib import Path

import tensorflow as tf

from mobilenetdet.classification.config import ClassifierConfig, ImageDataConfig
from mobilenetdet.classification.records import (
    LABELS_FILE,
    numbered_classes,
    parse_class_record,
    read_labels,
)
from mobilenetdet.data.batch_share import WHOLE, BatchShare, EpochPlan
from mobilenetdet.data.epoch_order import chain_epochs, epoch_seed, untuned
from mobilenetdet.records.manifest import manifest_path, read_manifest
from mobilenetdet.records.remote_path import RecordsPath
from mobilenetdet.records.shards import counted_shards, records_order
from mobilenetdet.records.tfrecord import decode_example, read_records, record_lengths
from mobilenetdet.system.cores import num_cores

# AutoGraph would write temporary files and warn where it cannot; these functions need none.
_as_it_is = tf.autograph.experimental.do_not_convert
_CONVERTER = "imagenet_convert"
# Names of the test split: this project's and the tutorial's.
_TEST_SPLITS = ("val", "validation")
_CENTRAL_SHARE = 0.875
_ASPECT_RATIOS = (3 / 4, 4 / 3)
# At full strength, as Inception has them: a share of the range, two factors, a share of the circle.
_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = 32 / 255, 0.5, 0.5, 0.2
_NUM_READERS = 8
_PREFETCH_BATCHES = 2


class ImageNetRecords:
    """Records of classified images as batches; see `batches.ClassImages`."""

    def __init__(self, config: ClassifierConfig) -> None:
        """Finds the records of both splits.

        Raises:
            FileNotFoundError: there are none, or not all.
            ValueError: they have other classes than the config, or are damaged.
        """
        self.config = config
        folder = Path(config.data.data_dir)
        train, test = _find_records(folder, ("train",)), _find_records(folder, _TEST_SPLITS)
        self.train_paths, self.test_paths = ([path for path, _ in s] for s in (train, test))
        self.num_train, self.num_test = (sum(count for _, count in s) for s in (train, test))
        self._plan = EpochPlan.of(
            train,
            config.train.record_shares,
            batch_size=config.train.batch_size,
            drop_remainder=True,
        )
        self.steps, self.share_sizes = self._plan.steps, self._plan.sizes
        self.fingerprint = _fingerprint(folder, ("train",))
        self.test_fingerprint = _fingerprint(folder, _TEST_SPLITS)
        self.class_names = _name_classes(folder, config.data.num_classes)

    def train_batches(
        self, first_epoch: int, num_epochs: int | None, *, share: BatchShare = WHOLE
    ) -> tf.data.Dataset:
        """Returns augmented batches, epoch after epoch."""
        data, train = self.config.data, self.config.train
        plan = self._plan.for_process(share)

        def make_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            """Yields (epoch, place in it, record), shuffled."""
            batches = plan.batches(
                train.seed, epoch, shuffle_buffer=data.shuffle_buffer, num_readers=_NUM_READERS
            )
            return batches.unbatch()

        @_as_it_is
        def prepare(
            epoch: tf.Tensor, place: tf.Tensor, record: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            """Returns the augmented image and its label."""
            encoded, label = parse_class_record(record, data.num_classes)
            seed = tf.random.experimental.stateless_fold_in(epoch_seed(train.seed, epoch), place)
            return distorted_image(encoded, seed, data), label

        epochs = chain_epochs(make_epoch, first_epoch, num_epochs)
        images = epochs.map(prepare, num_parallel_calls=num_cores(), deterministic=True)
        batches = images.batch(train.batch_size // share.count, drop_remainder=True)
        return batches.with_options(untuned()).prefetch(_PREFETCH_BATCHES)

    def test_batches(self) -> tf.data.Dataset:
        """Returns every test image once, in the order of the records."""
        data = self.config.data

        @_as_it_is
        def prepare(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            """Returns the central crop and its label."""
            encoded, label = parse_class_record(record, data.num_classes)
            return central_image(encoded, data.image_size), label

        records = tf.data.TFRecordDataset([str(path) for path in self.test_paths])
        images = records.map(prepare, num_parallel_calls=num_cores(), deterministic=True)
        batches = images.batch(self.config.train.batch_size)
        return batches.with_options(untuned()).prefetch(_PREFETCH_BATCHES)

    def order(self) -> str:
        """Identifies the order of the records of both splits."""
        return records_order([*self.train_paths, *self.test_paths])

    def check(self) -> None:
        """Reads every record whole, to find the one that stopped a pipeline.

        Raises:
            ValueError: the first that is damaged, or has another label; names file and record.
        """
        for path in (*self.train_paths, *self.test_paths):
            for number, record in enumerate(read_records(path)):
                _check_record(record, f"{path}: record {number}", self.config.data.num_classes)


def distorted_image(encoded: tf.Tensor, seed: tf.Tensor, config: ImageDataConfig) -> tf.Tensor:
    """Decodes a random part of a JPEG, resizes, flips and recolours it.

    Args:
        encoded: scalar string.
        seed: int [2]; decides everything that is drawn.
        config: image_size, min_area, flip and colour.

    Returns:
        uint8 [image_size, image_size, 3].
    """
    crop_seed, flip_seed, colour_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    window = _random_window(tf.io.extract_jpeg_shape(encoded), crop_seed, config.min_area)
    image = _decode_window(encoded, window, config.image_size)
    is_flipped = tf.random.stateless_uniform([], flip_seed) < config.flip
    image = tf.cond(is_flipped, lambda: image[:, ::-1], lambda: image)
    if config.colour:
        image = _recolour(image / 255.0, colour_seed, config.colour) * 255.0
    return tf.saturate_cast(tf.round(image), tf.uint8)


def central_image(encoded: tf.Tensor, image_size: int) -> tf.Tensor:
    """Decodes the middle of a JPEG, 87.5 % of each side, and resizes it.

    Args:
        encoded: scalar string.
        image_size: height and width of the result, pixels.

    Returns:
        uint8 [image_size, image_size, 3].
    """
    size = tf.io.extract_jpeg_shape(encoded)[:2]
    kept = tf.maximum(tf.cast(tf.round(tf.cast(size, tf.float32) * _CENTRAL_SHARE), tf.int32), 1)
    window = tf.concat([(size - kept) // 2, kept], axis=0)
    image = _decode_window(encoded, window, image_size)
    return tf.saturate_cast(tf.round(image), tf.uint8)


def _random_window(shape: tf.Tensor, seed: tf.Tensor, min_area: float) -> tf.Tensor:
    """Draws (top, left, height, width); the whole picture where no draw of a hundred fits."""
    if min_area == 1:
        return tf.stack([0, 0, shape[0], shape[1]])
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        shape,
        bounding_boxes=tf.zeros([1, 0, 4]),
        seed=seed,
        min_object_covered=0.0,
        aspect_ratio_range=_ASPECT_RATIOS,
        area_range=(min_area, 1.0),
        max_attempts=100,
        use_image_if_no_bounding_boxes=True,
    )
    return tf.concat([begin[:2], size[:2]], axis=0)


def _decode_window(encoded: tf.Tensor, window: tf.Tensor, image_size: int) -> tf.Tensor:
    """Decodes a part of a JPEG, no more, to float32 [image_size, image_size, 3], 0 to 255."""
    pixels = tf.io.decode_and_crop_jpeg(encoded, window, channels=3)
    return tf.ensure_shape(
        tf.image.resize(pixels, [image_size, image_size]), [image_size, image_size, 3]
    )


def _recolour(image: tf.Tensor, seed: tf.Tensor, strength: float) -> tf.Tensor:
    """Changes brightness, saturation, hue and contrast of a picture of 0 to 1."""
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
    low, high = 1 - _SATURATION * strength, 1 + _SATURATION * strength
    image = tf.image.stateless_random_brightness(image, _BRIGHTNESS * strength, seeds[0])
    image = tf.image.stateless_random_saturation(image, low, high, seeds[1])
    image = tf.image.stateless_random_hue(image, _HUE * strength, seeds[2])
    low, high = 1 - _CONTRAST * strength, 1 + _CONTRAST * strength
    return tf.image.stateless_random_contrast(image, low, high, seeds[3])


def _check_record(record: bytes, where: str, num_classes: int) -> None:
    try:
        features = decode_example(record)
        name = bytes(features.get("image/filename", [b"no name"])[0]).decode(errors="replace")
        encoded, label = features["image/encoded"][0], int(features["image/class/label"][0])
    except (ValueError, KeyError, IndexError) as error:
        raise ValueError(
            f"{where} is no classified image ({error!r}); copy or convert the records again"
        ) from None
    if not 1 <= label <= num_classes:
        raise ValueError(
            f"{where} ({name}) has label {label}, not 1 to {num_classes}; set --data.num_classes "
            "to the number of classes of the records"
        )
    try:
        tf.io.decode_jpeg(encoded, channels=3)
    except tf.errors.InvalidArgumentError:
        raise ValueError(
            f"{where} ({name}) holds {len(encoded)} bytes that are no whole JPEG; convert the "
            "records again (mobilenetdet imagenet_convert finds and names such images)"
        ) from None


def _find_records(folder: Path, splits: tuple[str, ...]) -> list[tuple[RecordsPath, int]]:
    """Returns the files of the first of these splits that is there, and how many records each has.

    Raises:
        FileNotFoundError: none is there, or not all of its files.
        ValueError: a file is damaged, or holds another number of records than its manifest says.
    """
    for split in splits:
        if files := _tutorial_shards(folder, split):
            return [(path, len(record_lengths(path))) for path in files]
    split = splits[0]
    shards = counted_shards(folder, split, converter=_CONVERTER)
    return [(path, shard.num_frames) for path, shard in shards]


def _fingerprint(folder: Path, splits: tuple[str, ...]) -> str:
    """Identifies the images of a split; "" for files of the tutorial, which do not say."""
    manifests = [manifest_path(folder, split, partial=False) for split in splits]
    return "+".join(read_manifest(path).fingerprint for path in manifests if path.is_file())


def _tutorial_shards(folder: Path, split: str) -> list[Path]:
    """Returns train-00000-of-01024 and so on, or nothing where there are none of them.

    Raises:
        FileNotFoundError: some are missing; names the first.
    """
    named = re.compile(rf"{split}-(\d+)-of-(\d+)")
    paths = sorted(path for path in folder.glob(f"{split}-*") if named.fullmatch(path.name))
    if not paths:
        return []
    total = named.fullmatch(paths[0].name)[2]
    expected = [folder / f"{split}-{index:05d}-of-{total}" for index in range(int(total))]
    missing = [path.name for path in expected if path not in paths]
    if missing or len(paths) != len(expected):
        raise FileNotFoundError(
            f"{folder} has {len(paths)} of the {int(total)} files {split}-*-of-{total}, "
            f"{missing[0] if missing else 'and others'} is missing; copy them again"
        )
    return paths


def _name_classes(folder: Path, num_classes: int) -> tuple[str, ...]:
    labels = read_labels(folder)
    if labels is None:  # the tutorial's records have no list
        return numbered_classes(num_classes)
    if len(labels) != num_classes:
        raise ValueError(
            f"data.num_classes is {num_classes}, but {folder / LABELS_FILE} lists {len(labels)} "
            f"classes; set --data.num_classes {len(labels)}"
        )
    return tuple(labels.values())
