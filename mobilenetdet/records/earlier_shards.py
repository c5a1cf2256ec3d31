"""What earlier conversions have left in a folder: only their files may be replaced."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from mobilenetdet.records.manifest import Manifest, Shard, manifest_path, read_manifest


def earlier_manifests(records_dir: Path, split: str, *, overwrite: bool) -> list[Manifest]:
    """Reads the manifests that earlier conversions of a split have left, complete and unfinished.

    Args:
        records_dir: folder of the records.
        split: train, val, ...
        overwrite: passes over manifests that cannot be read; they will be replaced.

    Raises:
        ValueError: a file with the name of a manifest is none, or of another version or split.
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


def listed_shards(manifests: Iterable[Manifest]) -> dict[str, Shard]:
    """Returns the shards that conversions have written, by name.

    There are no others: a shard is listed before it gets its name.
    """
    return {shard.name: shard for manifest in manifests for shard in manifest.shards}


def refuse_foreign_shards(records_dir: Path, names: Iterable[str]) -> None:
    """Refuses to go on where a file that no manifest lists would be replaced.

    Raises:
        FileExistsError: there is one.
    """
    foreign = sorted(name for name in names if os.path.lexists(records_dir / name))
    if foreign:
        raise FileExistsError(
            f"{records_dir / foreign[0]} is there and no conversion has written it "
            f"({len(foreign)} such files); move it away, name another --output_dir, or replace it "
            "with --overwrite"
        )


def refuse_changed_shards(records_dir: Path, shards: Iterable[Shard]) -> None:
    """Refuses to go on where a shard is not as its conversion has written it; one may be gone.

    Raises:
        FileExistsError: one has another size.
    """
    sizes = {shard: _size(records_dir / shard.name) for shard in shards}
    changed = [shard for shard, size in sizes.items() if size not in (None, shard.num_bytes)]
    if changed:
        raise FileExistsError(
            f"{records_dir / changed[0].name} has {sizes[changed[0]]:,} bytes and was written with "
            f"{changed[0].num_bytes:,} ({len(changed)} such files); move it away, or replace it "
            "with --overwrite"
        )


def refuse_other_dataset(
    records_dir: Path, manifests: Iterable[Manifest], split: str, dataset: str
) -> None:
    """Refuses to replace the records of another data set.

    Raises:
        FileExistsError: a conversion of another folder has written the split.
    """
    for manifest in manifests:
        if manifest.dataset and manifest.dataset != dataset:
            raise FileExistsError(
                f"{records_dir} holds {manifest.num_frames:,} records of {split}, made of "
                f"{manifest.dataset}; name another --output_dir, or replace them with --overwrite"
            )


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None
