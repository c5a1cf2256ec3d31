"""The manifest of a split: which files its records are in, and what is in them.

`train.json`, written last, lists them. While a conversion is under way (or was interrupted) its
place is taken by `train.partial.json` with the shards that are done: each is listed before it gets
its name, so that a file which no manifest lists was written by somebody else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from mobilenetdet.files.atomic_write import atomic_write
from mobilenetdet.files.names import UNFINISHED, check_split_name
from mobilenetdet.files.text import read_text
from mobilenetdet.records.missing_records import import_again
from mobilenetdet.records.remote_path import RecordsPath, RemotePath

# Raised when records change in a way that makes older ones unusable.
FORMAT_VERSION = 1
MAX_SHARDS = 99_999
SHARD_NAME = re.compile(r"(?P<split>.+)_\d{3,}\.tfrecord", re.DOTALL)
_REMEDY = "run `mobilenetdet {converter} --split {split} {place}`"
# Where the records of a KITTI folder go by default: FOLDER/tfrecord.
_DEFAULT_FOLDER = "tfrecord"
# Option of a conversion that another format was imported by: the name of the format.
IMPORTED_FROM = "imported_from"


@dataclass(frozen=True)
class Shard:
    """One complete TFRecord file.

    Attributes:
        name: file name in the folder of the records.
        num_frames: records in it.
        num_objects: objects in them, DontCare included; a classified image is one.
        num_bytes: size of the file.
        source: hash of what it was made of: frames, sizes and times of their files, options.
        fingerprint: hash of the records' content; the sum over shards does not depend on how
            frames are divided among them.
    """

    name: str
    num_frames: int
    num_objects: int
    num_bytes: int
    source: str
    fingerprint: int


@dataclass(frozen=True)
class Manifest:
    """Content of the records of one split.

    Attributes:
        split: train, val, ...
        num_shards: files that the complete set has.
        num_skipped: frames of the split that were left out for want of a (whole) image or label.
        options: options of the conversion that change the records.
        shards: the files that are complete, in order.
        version: FORMAT_VERSION of the program that wrote them.
        dataset: the folder that they were made of; "" in manifests of earlier versions.
    """

    split: str
    num_shards: int
    num_skipped: int
    options: dict[str, int | bool | str | None]
    shards: tuple[Shard, ...] = ()
    version: int = FORMAT_VERSION
    dataset: str = ""

    @property
    def num_frames(self) -> int:
        """Frames in all complete shards."""
        return sum(shard.num_frames for shard in self.shards)

    @property
    def num_objects(self) -> int:
        """Objects in all complete shards, DontCare included."""
        return sum(shard.num_objects for shard in self.shards)

    @property
    def num_bytes(self) -> int:
        """Size of all complete shards."""
        return sum(shard.num_bytes for shard in self.shards)

    @property
    def fingerprint(self) -> str:
        """Identifies frames, images and labels, on any machine: 16 hexadecimal digits."""
        return f"{sum(shard.fingerprint for shard in self.shards) % 2**64:016x}"

    def repair_hint(
        self, records_dir: str | os.PathLike[str], *, converter: str = "tf_convert_data"
    ) -> str:
        """Returns the command that makes files again that are not as they were written."""
        if name := self.options.get(IMPORTED_FROM):
            return import_again(self.dataset, str(name), records_dir)
        return f"{conversion_hint(records_dir, self.split, converter)[:-1]} --overwrite`"

    def to_json(self) -> str:
        """Writes the manifest with its totals as indented JSON."""
        totals = {"num_frames": self.num_frames, "fingerprint": self.fingerprint}
        return json.dumps(totals | dataclasses.asdict(self), indent=2) + "\n"


def conversion_hint(records_dir: str | os.PathLike[str], split: str, converter: str) -> str:
    """Returns the command that makes the records of a split, for messages."""
    root, _, name = os.fspath(records_dir).rpartition("/")
    is_default = converter == "tf_convert_data" and name == _DEFAULT_FOLDER and "://" not in root
    # Records of another data set do not belong there.
    place = f"--dataset_root {root}" if is_default and root else f"--output_dir {records_dir}"
    return _REMEDY.format(converter=converter, split=split, place=place)


def shard_name(split: str, index: int) -> str:
    """Returns the file name of a shard, `train_000.tfrecord` for the first of train."""
    return f"{split}_{index:03d}.tfrecord"


def manifest_path(records_dir: str | os.PathLike[str], split: str, *, partial: bool) -> Path:
    """Returns where the manifest of a complete or of an unfinished conversion is.

    Raises:
        ValueError: the name of the split would be a path; see `check_split_name`.
    """
    return Path(records_dir) / manifest_name(split, records_dir, partial=partial)


def manifest_name(split: str, records_dir: str | os.PathLike[str], *, partial: bool = False) -> str:
    """Returns the file name of a manifest.

    Raises:
        ValueError: the name of the split would be a path; see `check_split_name`.
    """
    check_split_name(split, os.fspath(records_dir))
    return f"{split}{UNFINISHED if partial else ''}.json"


def read_manifest(path: RecordsPath) -> Manifest:
    """Reads a manifest.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not a manifest, of another version, or of another split than its name
            says.
    """
    try:
        remote = isinstance(path, RemotePath)
        fields = json.loads(path.read_bytes() if remote else read_text(path))
        totals = fields.pop("num_frames"), fields.pop("fingerprint")
        shards = tuple(Shard(**shard) for shard in fields.pop("shards"))
        manifest = Manifest(shards=shards, **fields)
        _check_fields(manifest)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not the manifest of a conversion: {error!r}") from None
    if manifest.version != FORMAT_VERSION:
        raise ValueError(
            f"{path} was written in version {manifest.version} of the records and this program "
            f"reads version {FORMAT_VERSION}; convert again with --overwrite"
        )
    if totals != (manifest.num_frames, manifest.fingerprint):
        raise ValueError(
            f"{path} was edited: its totals are not those of its shards; convert again with "
            "--overwrite"
        )
    if manifest.split != (named := path.stem.removesuffix(UNFINISHED)):
        raise ValueError(
            f"{path} is the manifest of the split {manifest.split}, not of {named}; copy the right "
            "one there, or convert again with --overwrite"
        )
    return manifest


def _check_fields(manifest: Manifest) -> None:
    """Refuses values of other types, and shards of other names: their files will be replaced.

    Raises:
        TypeError: a number is none, or a text.
        ValueError: a name is not that of a shard, or there are absurdly many.
    """
    check_split_name(manifest.split, "split")
    counts = [manifest.num_shards, manifest.num_skipped, manifest.version]
    for shard in manifest.shards:
        name = SHARD_NAME.fullmatch(shard.name)
        if name is None or name["split"] != manifest.split:
            raise ValueError(f"{shard.name!r} is no shard of {manifest.split}")
        counts += [shard.num_frames, shard.num_objects, shard.num_bytes, shard.fingerprint]
    for count in counts:
        if type(count) is not int or count < 0:
            raise TypeError(f"{count!r} is no count")
    if not len(manifest.shards) <= manifest.num_shards <= MAX_SHARDS:
        raise ValueError(f"{manifest.num_shards} shards, of which it lists {len(manifest.shards)}")
    if not isinstance(manifest.dataset, str) or not isinstance(manifest.options, dict):
        raise TypeError("dataset is a text, and options have names")


def is_manifest(path: Path) -> bool:
    """Whether a file is a manifest that a conversion has written."""
    try:
        read_manifest(path)
    except (OSError, ValueError):
        return False
    return True


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Writes a manifest; a reader sees the old file or the new one, never a part."""
    with atomic_write(path) as temporary:
        temporary.write_text(manifest.to_json(), encoding="utf-8")


def record_fingerprint(record_id: str, checksum: int) -> int:
    """Returns what a record adds to the fingerprint of its shard, modulo 2**64.

    Args:
        record_id: its id.
        checksum: masked CRC-32C of its payload.
    """
    content = f"{record_id} {checksum}".encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
