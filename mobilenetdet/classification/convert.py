"""Class folders or archives to TFRecord shards."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mobilenetdet.classification.image_folders import ImageSource, find_images, locate_split
from mobilenetdet.classification.records import (
    LABELS_FILE,
    class_features,
    name_classes,
    read_class_image,
    read_labels,
    write_labels,
)
from mobilenetdet.files.folder_lock import folder_lock
from mobilenetdet.records.manifest import Manifest, is_manifest, manifest_path
from mobilenetdet.records.shard_writer import (
    EncodedRecord,
    ShardOptions,
    ShardProgress,
    SplitRecords,
    write_shards,
)
from mobilenetdet.records.tfrecord import encode_example

TRAIN, VAL = "train", "val"
_SHUFFLE_SEED = 12345


@dataclass(frozen=True)
class ClassConversionOptions(ShardOptions):
    """How records of classified images are written.

    Attributes:
        val_labels: classes of the images of val where these lie in no class folders.
        synset_words: what the classes are called.
        skip_damaged: leaves out damaged images instead of refusing them.
    """

    val_labels: Path | None = None
    synset_words: Path | None = None
    skip_damaged: bool = False


def convert_classes(
    root: Path,
    split: str,
    output_dir: Path,
    options: ClassConversionOptions | None = None,
    *,
    progress: ShardProgress | None = None,
    on_note: Callable[[str], None] = lambda note: None,
) -> tuple[Manifest, int]:
    """Writes the records of one split, or what is missing of them; see `write_shards`.

    The order is shuffled, so that a shard holds all classes. Labels are the places of the classes
    in their sorted order; labels.txt beside the records has them.

    Args:
        root: folder with the images, see `find_images`.
        split: train, val, ...
        output_dir: folder for the records.
        options: how to write them.
        progress: called on the way.
        on_note: called with a line for each image that was re-encoded or left out, from several
            threads.

    Returns:
        The manifest, and the number of shards that were kept from an earlier call.

    Raises:
        FileExistsError: another process is writing in the folder, or a file of another is in the
            way.
        FileNotFoundError: there are no images, or classes without one.
        ValueError: a damaged image, or classes in val that train does not have.
    """
    options = options or ClassConversionOptions()
    images = _find(root, split, options)
    with folder_lock(output_dir):
        labels = _settle_labels(root, split, images, output_dir, options)
        records = _labelled_records(split, images, labels, options, on_note)
        records = replace(records, dataset=str(root.resolve()))
        return write_shards(records, output_dir, options, progress or ShardProgress())


def _labelled_records(
    split: str,
    images: list[ImageSource],
    labels: Mapping[str, str],
    options: ClassConversionOptions,
    on_note: Callable[[str], None],
) -> SplitRecords:
    shuffled = list(images)
    random.Random(_SHUFFLE_SEED).shuffle(shuffled)
    number_of = {name: number for number, name in enumerate(labels)}
    sources = [
        LabelledImage(image, number_of[image.class_name], labels[image.class_name])
        for image in shuffled
    ]

    def encode(source: LabelledImage) -> EncodedRecord | None:
        """Makes an image's record; None for one that is left out."""
        try:
            image = read_class_image(source.image)
        except ValueError as error:
            if not options.skip_damaged:
                raise ValueError(f"{error}, or leave it out with --skip_damaged") from None
            on_note(f"left out: {error}")
            return None
        if image.converted_from:
            on_note(f"re-encoded as JPEG: {source.image} ({image.converted_from})")
        features = class_features(image, source.image, label=source.label, text=source.text)
        record_id = f"{source.image.class_name}/{source.image.name}"
        return EncodedRecord(record_id, encode_example(features), 1)

    return SplitRecords(split, sources, encode, {"skip_damaged": options.skip_damaged})


@dataclass(frozen=True)
class LabelledImage:
    """An image with its label and what its class is called; label 0 is the first class."""

    image: ImageSource
    label: int
    text: str

    @property
    def num_bytes(self) -> int:
        """Size of the image file."""
        return self.image.num_bytes

    @property
    def identity(self) -> tuple[int, str, str, int, int]:
        """Everything that the record depends on."""
        image = self.image
        return self.label, self.text, image.name, image.num_bytes, image.changed_ns


def _find(root: Path, split: str, options: ClassConversionOptions) -> list[ImageSource]:
    return find_images(root, split, class_list=options.val_labels if split == VAL else None)


def _settle_labels(
    root: Path,
    split: str,
    images: Sequence[ImageSource],
    output_dir: Path,
    options: ClassConversionOptions,
) -> Mapping[str, str]:
    """Returns the classes of the records: those of train, or where there is none of this split."""
    written = _written_labels(output_dir, options)
    if split != TRAIN and written is not None:
        names = list(written)
    else:
        of_train = split != TRAIN and locate_split(root, TRAIN) is not None
        deciding = find_images(root, TRAIN) if of_train else images
        names = sorted({image.class_name for image in deciding})
    unknown = sorted({image.class_name for image in images} - set(names))
    if unknown:
        raise ValueError(
            f"{split} has {len(unknown)} classes that train has not, such as "
            f"{', '.join(unknown[:5])}; correct the folders, or convert train first"
        )
    if options.synset_words is None and written is not None and list(written) == names:
        return written
    labels = name_classes(names, options.synset_words)
    if written is not None and list(written) != names:
        if not options.overwrite and not _own_manifests(output_dir):
            raise FileExistsError(
                f"{output_dir / LABELS_FILE} lists other classes and no conversion has written it; "
                "move it away, name another --output_dir, or replace it with --overwrite"
            )
        _withdraw_other_splits(output_dir, split)
    write_labels(output_dir, labels)
    return labels


def _written_labels(output_dir: Path, options: ClassConversionOptions) -> Mapping[str, str] | None:
    """Returns the classes of an earlier conversion; a damaged list is passed over to be replaced.

    Raises:
        ValueError: the list is damaged, and `overwrite` is not set.
    """
    try:
        return read_labels(output_dir)
    except ValueError as error:
        if options.overwrite:
            return None
        raise ValueError(f"{error} with --overwrite") from None


def _own_manifests(output_dir: Path) -> list[Path]:
    """Returns the manifests of complete and unfinished conversions in a folder."""
    return [path for path in sorted(output_dir.glob("*.json")) if is_manifest(path)]


def _withdraw_other_splits(output_dir: Path, split: str) -> None:
    """Marks records as incomplete whose labels belong to another list of classes."""
    for path in _own_manifests(output_dir):
        if path.stem != split and not path.stem.endswith(".partial"):
            path.rename(manifest_path(output_dir, path.stem, partial=True))
