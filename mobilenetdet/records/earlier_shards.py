"""What earlier conversions have left in a folder: only their files may be replaced."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mobilenetdet.records.shards import (
    Manifest,
    Shard,
    manifest_path,
    read_manifest,
    shard_name,
)


def earlier_manifests(records_dir: Path, split: str, *, overwrite: bool) -> list[Manifest]:
    """Reads the manifests that earlier conversions of a split have left, complete and unfinished.

    Args:
        records_dir: folder of the records.
        split: train, val, ...
        overwrite: passes over manifests that cannot be read; they will be replaced.

    Raises:
        ValueError: a file with the name of a manifest is none, or of another version.
    """
    found = []
    for partial in (False, True):
        path = manifest_path(records_dir, split, partial=partial)
        try:
            found += [read_manifest(path)] if path.exists() else []
        except ValueError as error:
            if not overwrite:
                raise ValueError(f"{error}; move it away, or replace it with --overwrite") from None
    return found


def claimed_shards(manifests: Iterable[Manifest]) -> dict[str, Shard | None]:
    """Returns the files that conversions have written, by name.

    None stands for one that an unfinished conversion may have written and has not listed yet.
    """
    claimed: dict[str, Shard | None] = {}
    for manifest in manifests:
        names = (shard_name(manifest.split, index) for index in range(manifest.num_shards))
        claimed |= dict.fromkeys(name for name in names if name not in claimed)
        claimed |= {shard.name: shard for shard in manifest.shards}
    return claimed


def refuse_foreign_shards(records_dir: Path, names: Iterable[str]) -> None:
    """Refuses to go on where a file that no manifest names would be replaced.

    Raises:
        FileExistsError: there is one.
    """
    foreign = sorted(name for name in names if (records_dir / name).exists())
    if foreign:
        raise FileExistsError(
            f"{records_dir / foreign[0]} is there and no conversion has written it "
            f"({len(foreign)} such files); move it away, name another --output_dir, or replace it "
            "with --overwrite"
        )
