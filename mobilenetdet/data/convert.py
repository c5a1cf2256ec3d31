"""KITTI folders to TFRecord shards, in parallel, so that an interruption costs at most a shard.

The work is reading, a checksum and writing, all of which run outside Python's lock: threads use
every core, with nothing to start and nothing to send between processes.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mobilenetdet.data.kitti_source import FrameSource, find_sources, read_source
from mobilenetdet.data.records import frame_features
from mobilenetdet.data.shards import (
    FORMAT_VERSION,
    Manifest,
    Shard,
    manifest_path,
    read_manifest,
    shard_name,
    write_manifest,
)
from mobilenetdet.data.tfrecord import encode_example, write_record
from mobilenetdet.files import whole_file
from mobilenetdet.kitti.layout import KittiLayout

# Large enough to read at full speed, small enough to shuffle and to redo after an interruption.
_SHARD_BYTES = 256_000_000
# Small data sets are divided too, so that writing and reading run in parallel.
_MIN_SHARDS = 8


@dataclass(frozen=True)
class ConversionOptions:
    """How records are written; the defaults keep every byte of the images.

    Attributes:
        num_shards: files per split; None makes 8, or more of about 256 MB.
        num_workers: threads; None takes one per core.
        jpeg_quality: 1 to 100 re-encodes every image as JPEG; None copies the files' bytes.
        sha256: adds image/key/sha256, which doubles the time.
        skip_missing: leaves out frames without image or label instead of refusing them.
        overwrite: converts again what is already complete.
    """

    num_shards: int | None = None
    num_workers: int | None = None
    jpeg_quality: int | None = None
    sha256: bool = False
    skip_missing: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Checks the ranges."""
        for name, highest in (("num_shards", 99_999), ("num_workers", 1024), ("jpeg_quality", 100)):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= highest:
                raise ValueError(f"{name} is {value}; it must be 1 to {highest}")

    @property
    def record_options(self) -> dict[str, int | bool | None]:
        """The options that change the records themselves."""
        return {"jpeg_quality": self.jpeg_quality, "sha256": self.sha256}


def convert_split(
    layout: KittiLayout,
    split: str,
    output_dir: str | os.PathLike[str],
    options: ConversionOptions | None = None,
    *,
    on_start: Callable[[int], None] = lambda num_frames: None,
    on_frame: Callable[[], None] = lambda: None,
) -> tuple[Manifest, int]:
    """Writes the records of one split, or what is missing of them.

    Each shard is written under a temporary name and renamed, the manifest comes last. Shards are
    kept that an earlier call has written from the same frames, files and options.

    Args:
        layout: the KITTI folder.
        split: name of the list of frames, `train` for ImageSets/train.txt.
        output_dir: folder for the shards; made if it is not there.
        options: how to write them.
        on_start: called with the number of frames that will be written.
        on_frame: called after each frame, from several threads.

    Returns:
        The manifest, and the number of shards that were kept from an earlier call.

    Raises:
        FileNotFoundError: no list of frames, or frames without image or label; names the first 20.
        ValueError: a damaged image or label file, or an object type that is not known.
    """
    options = options or ConversionOptions()
    output_dir = Path(output_dir)
    sources, num_skipped = find_sources(layout, split, skip_missing=options.skip_missing)
    plan = _plan_shards(sources, split, options)
    output_dir.mkdir(parents=True, exist_ok=True)
    kept = [] if options.overwrite else _complete_shards(output_dir, split, plan)
    names = {shard.name for shard in kept}
    todo = {shard: frames for shard, frames in plan.items() if shard.name not in names}
    on_start(sum(len(frames) for frames in todo.values()))
    manifest = Manifest(split, len(plan), num_skipped, options.record_options, tuple(kept))
    current = _read_manifest(manifest_path(output_dir, split, partial=False))
    if todo or manifest != current:
        manifest = _write_split(output_dir, manifest, todo, options, on_frame)
    _remove_leftovers(output_dir, manifest)
    return manifest, len(kept)


def _plan_shards(
    sources: list[FrameSource], split: str, options: ConversionOptions
) -> dict[Shard, list[FrameSource]]:
    """Divides the frames in their order; the shards lack what only their content tells."""
    num_bytes = sum(source.state[0] for source in sources)
    num_shards = options.num_shards or max(_MIN_SHARDS, -(-num_bytes // _SHARD_BYTES))
    bounds = np.linspace(0, len(sources), min(num_shards, len(sources)) + 1).round().astype(int)
    plan = {}
    for index in range(len(bounds) - 1):
        frames = sources[bounds[index] : bounds[index + 1]]
        content = [(s.frame_id, os.path.basename(s.image_path), s.state) for s in frames]
        made_of = repr((FORMAT_VERSION, options.record_options, content))
        source = hashlib.sha256(made_of.encode()).hexdigest()[:16]
        plan[Shard(shard_name(split, index), len(frames), 0, 0, source, 0)] = frames
    return plan


def _complete_shards(
    output_dir: Path, split: str, plan: dict[Shard, list[FrameSource]]
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


def _write_split(
    output_dir: Path,
    manifest: Manifest,
    todo: dict[Shard, list[FrameSource]],
    options: ConversionOptions,
    on_frame: Callable[[], None],
) -> Manifest:
    """Writes the shards to do, the partial manifest after each, and the manifest at the end."""
    complete = manifest_path(output_dir, manifest.split, partial=False)
    partial = manifest_path(output_dir, manifest.split, partial=True)
    # From here to the end the set is incomplete, and whoever wants to read it is told so.
    write_manifest(partial, manifest)
    complete.unlink(missing_ok=True)
    stop = threading.Event()
    executor = ThreadPoolExecutor(options.num_workers or os.cpu_count())
    try:
        jobs = [
            executor.submit(_write_shard, output_dir, shard, frames, options, on_frame, stop)
            for shard, frames in todo.items()
        ]
        for job in as_completed(jobs):
            shards = sorted([*manifest.shards, job.result()], key=lambda s: (len(s.name), s.name))
            manifest = replace(manifest, shards=tuple(shards))
            write_manifest(partial, manifest)
    finally:
        # After an error or Ctrl-C the other threads end with the frame they are at.
        stop.set()
        executor.shutdown(cancel_futures=True)
    os.replace(partial, complete)
    return manifest


def _write_shard(
    output_dir: Path,
    planned: Shard,
    frames: list[FrameSource],
    options: ConversionOptions,
    on_frame: Callable[[], None],
    stop: threading.Event,
) -> Shard:
    """Writes one shard and returns it with what its content tells."""
    path = output_dir / planned.name
    num_objects = fingerprint = 0
    with whole_file(path) as temporary, temporary.open("wb") as file:
        for source in frames:
            if stop.is_set():
                raise CancelledError
            frame = read_source(source, options.jpeg_quality)
            parts = encode_example(frame_features(frame, sha256=options.sha256))
            checksum = write_record(file, parts)
            fingerprint += _hash_record(source.frame_id, checksum)
            num_objects += len(frame.objects)
            on_frame()
        num_bytes = file.tell()
    return replace(
        planned, num_objects=num_objects, num_bytes=num_bytes, fingerprint=fingerprint % 2**64
    )


def _hash_record(frame_id: str, checksum: int) -> int:
    digest = hashlib.blake2b(f"{frame_id} {checksum}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _remove_leftovers(output_dir: Path, manifest: Manifest) -> None:
    """Removes shards that a larger set had, and what a killed process could not clean up."""
    names = {shard.name for shard in manifest.shards}
    shard = rf"\.?{re.escape(manifest.split)}_\d{{3,}}\.tfrecord(\.\d+\.tmp)?"
    for name in os.listdir(output_dir):
        if re.fullmatch(shard, name) and name not in names:
            (output_dir / name).unlink(missing_ok=True)
