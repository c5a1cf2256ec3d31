"""The files of one split: TFRecord shards, and the manifest that says they are complete.

`train_000.tfrecord`, `train_001.tfrecord`, ... hold the frames in the order of the split;
`train.json` lists them, see `manifest.py`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from mobilenetdet.records.manifest import (
    IMPORTED_FROM,
    SHARD_NAME,
    Manifest,
    Shard,
    conversion_hint,
    manifest_name,
    read_manifest,
)
from mobilenetdet.records.missing_records import why_no_records
from mobilenetdet.records.remote_path import RecordsPath, file_size, records_path
from mobilenetdet.records.tfrecord import record_lengths


def list_splits(records_dir: str | os.PathLike[str]) -> list[str]:
    """Returns the names of the splits in a folder by their shards; train and val come first.

    A folder that is not there has none.
    """
    names = (SHARD_NAME.fullmatch(path.name) for path in Path(records_dir).glob("*.tfrecord"))
    found = {name["split"] for name in names if name}
    return sorted(found, key=lambda split: (split != "train", split != "val", split))


def split_shards(
    records_dir: str | os.PathLike[str], split: str, *, converter: str = "tf_convert_data"
) -> list[tuple[RecordsPath, Shard]]:
    """Returns the TFRecord files of a split, in the order of its frames, and what each holds.

    Args:
        records_dir: folder of the records, or a URL such as gs://bucket/records.
        split: train, val, ...
        converter: the command that writes them, for messages.

    Raises:
        FileNotFoundError: the split was not converted, or not to the end, or a shard is gone.
        ValueError: a shard has another size than it was written with, the manifest is damaged, or
            the name of the split would be a path.
    """
    remedy = conversion_hint(records_dir, split, converter)
    folder = records_path(records_dir)
    complete = folder / manifest_name(split, records_dir)
    if not complete.is_file():
        if (folder / manifest_name(split, records_dir, partial=True)).is_file():
            raise FileNotFoundError(
                f"the records of {split} in {records_dir} are incomplete: their conversion was "
                f"interrupted, has failed or is still running; {remedy} again, it goes on where it "
                "stopped"
            )
        raise FileNotFoundError(why_no_records(records_dir, split, remedy))
    manifest = read_manifest(complete)
    repair = manifest.repair_hint(records_dir, converter=converter)
    for shard in manifest.shards:
        path, written = folder / shard.name, shard.num_bytes
        size = file_size(path)
        if size is None:
            again = repair if manifest.options.get(IMPORTED_FROM) else f"{remedy} again"
            raise FileNotFoundError(f"{path} is gone, and {complete} lists it; {again}")
        if size != written:
            fault = f"{path} has {size:,} bytes and was written with {written:,}"
            raise ValueError(f"{fault}; {repair}")
    return [(folder / shard.name, shard) for shard in manifest.shards]


def shard_paths(
    records_dir: str | os.PathLike[str], split: str, *, converter: str = "tf_convert_data"
) -> list[RecordsPath]:
    """Returns the TFRecord files of a split in the order of its frames.

    Args: see `split_shards`.

    Raises:
        FileNotFoundError, ValueError: see `split_shards`.
    """
    return [path for path, _ in split_shards(records_dir, split, converter=converter)]


def counted_shards(
    records_dir: str | os.PathLike[str], split: str, *, converter: str = "tf_convert_data"
) -> list[tuple[RecordsPath, Shard]]:
    """Returns what `split_shards` does, and counts the records of local files.

    Of a remote file the size is compared alone: to count its records would read most of it.

    Args: see `split_shards`.

    Raises:
        FileNotFoundError: the split is not converted; names the command.
        ValueError: there is no frame in it, or a shard holds another number of frames than its
            conversion has written; names file and remedy.
    """
    shards = split_shards(records_dir, split, converter=converter)
    for path, shard in shards:
        if isinstance(path, Path) and (count := len(record_lengths(path))) != shard.num_frames:
            raise ValueError(
                f"{path} holds {count:,} frames and {split}.json says {shard.num_frames:,}; "
                + split_manifest(records_dir, split).repair_hint(records_dir, converter=converter)
            )
    if not any(shard.num_frames for _, shard in shards):
        raise ValueError(f"the records of {split} in {records_dir} hold no frame; convert again")
    return shards


def count_frames(
    records_dir: str | os.PathLike[str], split: str, *, converter: str = "tf_convert_data"
) -> int:
    """Returns the number of frames in the records of a split.

    Args: see `split_shards`.

    Raises:
        FileNotFoundError, ValueError: see `counted_shards`.
    """
    shards = counted_shards(records_dir, split, converter=converter)
    return sum(shard.num_frames for _, shard in shards)


def records_order(paths: Sequence[RecordsPath]) -> str:
    """Identifies the order of the records of some files, by their sizes.

    Returns:
        16 hexadecimal digits, which do not depend on how records are divided among files; "" for
        remote files, of which that would read most.
    """
    digest = hashlib.blake2b(digest_size=8)
    for path in paths:
        if not isinstance(path, Path):
            return ""
        digest.update("".join(f"{length} " for length in record_lengths(path)).encode())
    return digest.hexdigest()


def split_manifest(records_dir: str | os.PathLike[str], split: str) -> Manifest:
    """Reads the manifest of a converted split; see `read_manifest`."""
    return read_manifest(records_path(records_dir) / manifest_name(split, records_dir))


def records_fingerprint(records_dir: str | os.PathLike[str], split: str) -> str:
    """Returns what identifies the frames, images and labels of a split; see `read_manifest`."""
    return split_manifest(records_dir, split).fingerprint
