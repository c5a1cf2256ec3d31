"""Records of a split to TFRecord shards, in parallel; an interruption costs a shard a thread.

The work is reading, a checksum and writing, all of which release Python's lock: threads use every
core, with nothing to start and nothing to send between processes.
"""

from __future__ import annotations

import collections
import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from mobilenetdet.files.atomic_write import atomic_write, sync
from mobilenetdet.records.earlier_shards import (
    earlier_manifests,
    listed_shards,
    refuse_changed_shards,
    refuse_foreign_shards,
    refuse_other_dataset,
)
from mobilenetdet.records.manifest import (
    FORMAT_VERSION,
    MAX_SHARDS,
    Manifest,
    Shard,
    manifest_path,
    record_fingerprint,
    shard_name,
    write_manifest,
)
from mobilenetdet.records.tfrecord import write_record
from mobilenetdet.system.cores import num_cores

# Large enough to read at full speed, small enough to shuffle and to redo after an interruption.
_SHARD_BYTES = 256_000_000
# Small data sets are divided too, so that writing and reading run in parallel.
_MIN_SHARDS = 8


class EncodedRecord(NamedTuple):
    """A record ready to be written: its id, the parts of its payload, the objects in it."""

    record_id: str
    parts: Sequence[bytes]
    num_objects: int


class ShardProgress(NamedTuple):
    """Progress callbacks: `on_start(num_records)` once, `on_record()` after each, from threads."""

    on_start: Callable[[int], None] = lambda num_records: None
    on_record: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class ShardOptions:
    """How shards are written.

    Attributes:
        num_shards: files per split; None makes 8, or more of about 256 MB.
        num_workers: threads; None takes one per core.
        overwrite: converts again what is already complete, and replaces files of the same names
            that no conversion has written, or that were changed since.
    """

    num_shards: int | None = None
    num_workers: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Checks the ranges."""
        self._check("num_shards", MAX_SHARDS)
        self._check("num_workers", 1024)

    def _check(self, name: str, highest: int) -> None:
        value = getattr(self, name)
        if value is not None and not 1 <= value <= highest:
            raise ValueError(f"{name} is {value}; it must be 1 to {highest}")


class RecordSource(Protocol):
    """A source of one record: its size in bytes, and everything that the record depends on."""

    @property
    def num_bytes(self) -> int:
        """Size of the source."""

    @property
    def identity(self) -> tuple[Any, ...]:
        """Everything that the record depends on."""


@dataclass(frozen=True)
class SplitRecords:
    """The records of a split, still to be made.

    Attributes:
        split: train, val, ...
        sources: one a record, in the order of the records.
        encode: makes the record of a source; None leaves it out, and it is counted.
        record_options: options that change the records themselves.
        num_skipped: sources that were left out before.
        dataset: the folder that they come from.
    """

    split: str
    sources: Sequence[RecordSource]
    encode: Callable[[Any], EncodedRecord | None]
    record_options: dict[str, int | bool | str | None]
    num_skipped: int = 0
    dataset: str = ""


def write_shards(
    records: SplitRecords, output_dir: Path, options: ShardOptions, progress: ShardProgress
) -> tuple[Manifest, int]:
    """Writes the records of one split, or what is missing of them.

    Each shard is written under a temporary name, listed and renamed; the manifest comes last.
    Shards are kept that an earlier call has written from the same sources and options. Only files
    that a manifest lists are replaced or removed, and only as they were written. Of a complete set
    nothing is before each record that is new could be made once.

    Args:
        records: the records.
        output_dir: folder for the shards; made if it is not there.
        options: how to write them.
        progress: called on the way.

    Returns:
        The manifest, and the number of shards that were kept from an earlier call.

    Raises:
        FileExistsError: another file has the name of a shard, a shard was changed, or the records
            are those of another data set.
        ValueError: another file has the name of the manifest, the name of the split would be a
            path, or `encode` raised it.
    """
    plan = _plan_shards(records, options.num_shards)
    earlier = earlier_manifests(output_dir, records.split, overwrite=options.overwrite)
    own = listed_shards(earlier)
    done = {} if options.overwrite else _whole_shards(output_dir, plan, own)
    if not (options.overwrite or done):
        refuse_other_dataset(output_dir, earlier, records.split, records.dataset)
    num_kept = len(done)
    progress.on_start(sum(len(plan[name].sources) for name in plan if name not in done))
    complete, partial = (manifest_path(output_dir, records.split, partial=p) for p in (False, True))
    manifest = _describe(records, plan, done)
    if len(done) == len(plan) and earlier == [manifest] and complete.is_file():
        return manifest, num_kept
    todo = [part for name, part in plan.items() if name not in done]
    if complete.is_file():  # what is whole stays if a record of the new set cannot be made
        _run_parts(todo, records.encode, _drop, options.num_workers)
    # While a manifest lists them: afterwards they would count as another's.
    for name in own.keys() - done.keys():
        (output_dir / name).unlink(missing_ok=True)
    # From here to the end the set is incomplete, and whoever wants to read it is told so.
    write_manifest(partial, manifest)
    complete.unlink(missing_ok=True)
    guard = threading.Lock()

    def write(part: _Part, encoded: Iterator[EncodedRecord | None]) -> None:
        """Writes one shard under a temporary name, lists it and renames it."""
        # Its name reaches the disk with the next manifest, or at the end: one fsync less.
        with atomic_write(output_dir / part.shard.name, durable=False) as temporary:
            shard = _write_shard(temporary, part.shard, encoded, progress)
            sync(temporary)
            with guard:
                done[shard.name] = shard
                write_manifest(partial, _describe(records, plan, done))

    _run_parts(todo, records.encode, write, options.num_workers)
    os.replace(partial, complete)
    sync(output_dir)
    return _describe(records, plan, done), num_kept


class _Part(NamedTuple):
    """A shard to be written and its sources; the shard lacks what only its content tells."""

    shard: Shard
    sources: Sequence[RecordSource]


def _plan_shards(records: SplitRecords, num_shards: int | None) -> dict[str, _Part]:
    """Divides the sources in their order."""
    sources = records.sources
    num_bytes = sum(source.num_bytes for source in sources)
    num_shards = num_shards or max(_MIN_SHARDS, -(-num_bytes // _SHARD_BYTES))
    bounds = np.linspace(0, len(sources), min(num_shards, len(sources)) + 1).round().astype(int)
    plan = {}
    for index in range(len(bounds) - 1):
        part = sources[bounds[index] : bounds[index + 1]]
        content = [source.identity for source in part]
        made_of = repr((FORMAT_VERSION, records.record_options, content))
        source_hash = hashlib.sha256(made_of.encode()).hexdigest()[:16]
        name = shard_name(records.split, index)
        plan[name] = _Part(Shard(name, len(part), 0, 0, source_hash, 0), part)
    return plan


def _whole_shards(
    output_dir: Path, plan: dict[str, _Part], own: Mapping[str, Shard]
) -> dict[str, Shard]:
    """Returns the planned shards that an earlier call has written; refuses others in the way."""
    refuse_foreign_shards(output_dir, plan.keys() - own.keys())
    refuse_changed_shards(output_dir, own.values())
    return {
        name: own[name]
        for name, part in plan.items()
        if _is_whole(output_dir, own.get(name), part.shard)
    }


def _is_whole(output_dir: Path, own: Shard | None, planned: Shard) -> bool:
    """Whether an earlier call has written all of a planned shard from the same sources."""
    path = output_dir / planned.name
    if own is None or own.source != planned.source:
        return False
    return path.is_file() and path.stat().st_size == own.num_bytes


def _describe(records: SplitRecords, plan: dict[str, _Part], done: dict[str, Shard]) -> Manifest:
    """Returns the manifest of the shards that are done."""
    shards = tuple(done[name] for name in plan if name in done)
    num_read = sum(len(plan[shard.name].sources) for shard in shards)
    num_skipped = records.num_skipped + num_read - sum(shard.num_frames for shard in shards)
    return Manifest(
        records.split,
        len(plan),
        num_skipped,
        records.record_options,
        shards,
        dataset=records.dataset,
    )


def _run_parts(
    parts: Sequence[_Part],
    encode: Callable[[Any], EncodedRecord | None],
    use: Callable[[_Part, Iterator[EncodedRecord | None]], None],
    num_workers: int | None,
) -> None:
    """Hands the records of each part on, in threads; all have ended when it returns or raises."""
    stop = threading.Event()

    def encode_unless_stopped(source: RecordSource) -> EncodedRecord | None:
        if stop.is_set():
            raise CancelledError
        return encode(source)

    def run(part: _Part) -> None:
        use(part, map(encode_unless_stopped, part.sources))

    with ThreadPoolExecutor(num_workers or num_cores()) as executor:
        try:
            for _ in executor.map(run, parts):
                pass  # the result tells of an error
        finally:
            # After an error or Ctrl-C the other threads end with the record they are at.
            stop.set()


def _drop(_: _Part, encoded: Iterator[EncodedRecord | None]) -> None:
    """Makes the records of a part for nothing but their errors."""
    collections.deque(encoded, maxlen=0)


def _write_shard(
    path: Path, planned: Shard, records: Iterable[EncodedRecord | None], progress: ShardProgress
) -> Shard:
    """Writes one shard; returns what was planned with what its content tells."""
    num_frames = num_objects = fingerprint = 0
    with path.open("wb") as file:
        for record in records:
            if record is not None:
                checksum = write_record(file, record.parts)
                fingerprint += record_fingerprint(record.record_id, checksum)
                num_frames += 1
                num_objects += record.num_objects
            progress.on_record()
        num_bytes = file.tell()
    return replace(
        planned,
        fingerprint=fingerprint % 2**64,
        num_frames=num_frames,
        num_objects=num_objects,
        num_bytes=num_bytes,
    )
