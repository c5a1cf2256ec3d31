"""Records of a split to TFRecord shards, in parallel; an interruption costs at most a shard.

The work is reading, a checksum and writing, all of which run outside Python's lock: threads use
every core, with nothing to start and nothing to send between processes.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from mobilenetdet.atomic_write import atomic_write
from mobilenetdet.records.shards import (
    FORMAT_VERSION,
    Manifest,
    Shard,
    manifest_path,
    read_manifest,
    shard_name,
    write_manifest,
)
from mobilenetdet.records.tfrecord import write_record

# Large enough to read at full speed, small enough to shuffle and to redo after an interruption.
_SHARD_BYTES = 256_000_000
# Small data sets are divided too, so that writing and reading run in parallel.
_MIN_SHARDS = 8

Source = TypeVar("Source")


class EncodedRecord(NamedTuple):
    """A record ready to be written: its id, the parts of its payload, the objects in it."""

    record_id: str
    parts: Sequence[bytes]
    num_objects: int


@dataclass(frozen=True)
class ShardOptions:
    """How shards are written.

    Attributes:
        num_shards: files per split; None makes 8, or more of about 256 MB.
        num_workers: threads; None takes one per core.
        overwrite: converts again what is already complete.
    """

    num_shards: int | None = None
    num_workers: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Checks the ranges."""
        self._check("num_shards", 99_999)
        self._check("num_workers", 1024)

    def _check(self, name: str, highest: int) -> None:
        value = getattr(self, name)
        if value is not None and not 1 <= value <= highest:
            raise ValueError(f"{name} is {value}; it must be 1 to {highest}")


@dataclass(frozen=True)
class SplitSources(Generic[Source]):
    """What the records of a split are made of.

    Attributes:
        split: train, val, ...
        sources: one a record, in the order of the records.
        num_bytes: size of a source's image.
        identity: all that tells whether a source has changed.
        encode: makes the record; None leaves the source out, and it is counted.
        record_options: options that change the records themselves.
        num_skipped: sources that were left out before.
    """

    split: str
    sources: Sequence[Source]
    num_bytes: Callable[[Source], int]
    identity: Callable[[Source], tuple[Any, ...]]
    encode: Callable[[Source], EncodedRecord | None]
    record_options: dict[str, int | bool | None]
    num_skipped: int = 0


@dataclass(frozen=True)
class Listeners:
    """Who hears how far the writing is.

    Attributes:
        on_start: called with the number of records that will be written.
        on_record: called after each record, from several threads.
    """

    on_start: Callable[[int], None] = lambda num_records: None
    on_record: Callable[[], None] = lambda: None


def write_shards(
    split_sources: SplitSources[Source],
    output_dir: Path,
    options: ShardOptions,
    listeners: Listeners,
) -> tuple[Manifest, int]:
    """Writes the records of one split, or what is missing of them.

    Each shard is written under a temporary name and renamed, the manifest comes last. Shards are
    kept that an earlier call has written from the same sources and options.

    Args:
        split_sources: the records.
        output_dir: folder for the shards; made if it is not there.
        options: how to write them.
        listeners: hear how far it is.

    Returns:
        The manifest, and the number of shards that were kept from an earlier call.
    """
    split = split_sources.split
    plan = _plan_shards(split_sources, options.num_shards)
    output_dir.mkdir(parents=True, exist_ok=True)
    kept = [] if options.overwrite else _complete_shards(output_dir, split, plan)
    names = {shard.name for shard in kept}
    todo = {shard: sources for shard, sources in plan.items() if shard.name not in names}
    listeners.on_start(sum(map(len, todo.values())))
    manifest = Manifest(split, len(plan), 0, split_sources.record_options, tuple(kept))
    manifest = _count_skipped(manifest, split_sources, todo)
    current = _read_manifest(manifest_path(output_dir, split, partial=False))
    if todo or manifest != current:
        manifest = _write_split(output_dir, manifest, todo, split_sources, (options, listeners))
    _remove_leftovers(output_dir, manifest)
    return manifest, len(kept)


def _plan_shards(
    split_sources: SplitSources[Source], num_shards: int | None
) -> dict[Shard, Sequence[Source]]:
    """Divides the sources in their order; the shards lack what only their content tells."""
    sources = split_sources.sources
    num_bytes = sum(map(split_sources.num_bytes, sources))
    num_shards = num_shards or max(_MIN_SHARDS, -(-num_bytes // _SHARD_BYTES))
    bounds = np.linspace(0, len(sources), min(num_shards, len(sources)) + 1).round().astype(int)
    plan = {}
    for index in range(len(bounds) - 1):
        part = sources[bounds[index] : bounds[index + 1]]
        content = list(map(split_sources.identity, part))
        made_of = repr((FORMAT_VERSION, split_sources.record_options, content))
        source = hashlib.sha256(made_of.encode()).hexdigest()[:16]
        plan[Shard(shard_name(split_sources.split, index), len(part), 0, 0, source, 0)] = part
    return plan


def _complete_shards(
    output_dir: Path, split: str, plan: dict[Shard, Sequence[Source]]
) -> list[Shard]:
    """Returns the shards of an earlier call that are what this one would write."""
    earlier: dict[str, Shard] = {}
    for partial in (False, True):
        manifest = _read_manifest(manifest_path(output_dir, split, partial=partial))
        earlier |= {shard.name: shard for shard in manifest.shards} if manifest else {}
    complete = []
    for planned in plan:
        shard, path = earlier.get(planned.name), output_dir / planned.name
        same = shard is not None and shard.source == planned.source
        if same and path.is_file() and path.stat().st_size == shard.num_bytes:
            complete.append(shard)
    return complete


def _read_manifest(path: Path) -> Manifest | None:
    """Returns a manifest, or None where there is none that can be relied on."""
    try:
        return read_manifest(path) if path.is_file() else None
    except ValueError:
        return None


def _count_skipped(
    manifest: Manifest,
    split_sources: SplitSources[Source],
    todo: dict[Shard, Sequence[Source]],
) -> Manifest:
    """Counts the sources that are in no shard, written or still to be written."""
    num_waiting = sum(map(len, todo.values()))
    num_left_out = len(split_sources.sources) - num_waiting - manifest.num_frames
    return replace(manifest, num_skipped=split_sources.num_skipped + num_left_out)


def _write_split(
    output_dir: Path,
    manifest: Manifest,
    todo: dict[Shard, Sequence[Source]],
    split_sources: SplitSources[Source],
    how: tuple[ShardOptions, Listeners],
) -> Manifest:
    """Writes the shards to do, the partial manifest after each, and the manifest at the end."""
    options, listeners = how
    complete = manifest_path(output_dir, manifest.split, partial=False)
    partial = manifest_path(output_dir, manifest.split, partial=True)
    # From here to the end the set is incomplete, and whoever wants to read it is told so.
    write_manifest(partial, manifest)
    complete.unlink(missing_ok=True)
    waiting = dict(todo)
    stop = threading.Event()
    executor = ThreadPoolExecutor(options.num_workers or os.cpu_count())
    try:
        jobs = {
            executor.submit(
                _write_shard,
                output_dir / shard.name,
                sources,
                split_sources.encode,
                listeners,
                stop,
            ): shard
            for shard, sources in todo.items()
        }
        for job in as_completed(jobs):
            planned = jobs[job]
            del waiting[planned]
            written = replace(planned, **job.result())
            shards = sorted([*manifest.shards, written], key=lambda s: (len(s.name), s.name))
            manifest = replace(manifest, shards=tuple(shards))
            manifest = _count_skipped(manifest, split_sources, waiting)
            write_manifest(partial, manifest)
    finally:
        # After an error or Ctrl-C the other threads end with the record they are at.
        stop.set()
        executor.shutdown(cancel_futures=True)
    os.replace(partial, complete)
    return manifest


def _write_shard(
    path: Path,
    sources: Sequence[Source],
    encode: Callable[[Source], EncodedRecord | None],
    listeners: Listeners,
    stop: threading.Event,
) -> dict[str, int]:
    """Writes one shard and returns what its content tells, by the fields of `Shard`."""
    num_frames = num_objects = fingerprint = 0
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        for source in sources:
            if stop.is_set():
                raise CancelledError
            record = encode(source)
            if record is not None:
                checksum = write_record(file, record.parts)
                fingerprint += _hash_record(record.record_id, checksum)
                num_frames += 1
                num_objects += record.num_objects
            listeners.on_record()
        num_bytes = file.tell()
    return {
        "num_frames": num_frames,
        "num_objects": num_objects,
        "num_bytes": num_bytes,
        "fingerprint": fingerprint % 2**64,
    }


def _hash_record(record_id: str, checksum: int) -> int:
    digest = hashlib.blake2b(f"{record_id} {checksum}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _remove_leftovers(output_dir: Path, manifest: Manifest) -> None:
    """Removes shards that a larger set had, and what a killed process could not clean up."""
    names = {shard.name for shard in manifest.shards}
    shard = rf"\.?{re.escape(manifest.split)}_\d{{3,}}\.tfrecord(\.\d+\.tmp)?"
    for name in os.listdir(output_dir):
        if re.fullmatch(shard, name) and name not in names:
            (output_dir / name).unlink(missing_ok=True)
