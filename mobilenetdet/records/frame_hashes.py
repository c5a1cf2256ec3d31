"""The frames of a split by their hashes, with a check of the records on the way."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from mobilenetdet.kitti.frames_seen import frame_hashes
from mobilenetdet.records.detection_record import RecordFrame, decode_record
from mobilenetdet.records.manifest import record_fingerprint
from mobilenetdet.records.remote_path import RecordsPath
from mobilenetdet.records.shards import split_manifest, split_shards
from mobilenetdet.records.tfrecord import payload_checksum, read_records
from mobilenetdet.system.job_share import JobShare

_ALL = JobShare()


@dataclass(frozen=True)
class ScannedFrames:
    """What reading records tells of their frames.

    Attributes:
        hashes: of each frame by its id, see `frame_hashes`.
        most_objects: of a frame, DontCare included.
    """

    hashes: dict[str, tuple[str, ...]]
    most_objects: int

    @classmethod
    def joined(
        cls, parts: Sequence[ScannedFrames], records_dir: str | os.PathLike[str], split: str
    ) -> ScannedFrames:
        """Puts together what several processes have read of a split.

        Raises:
            ValueError: a frame is in the split twice; names both files.
        """
        hashes = {frame_id: own for part in parts for frame_id, own in part.hashes.items()}
        if len(hashes) < sum(len(part.hashes) for part in parts):
            scan_frames(records_dir, split)  # raises
        return cls(hashes, max(part.most_objects for part in parts))


def hash_frames(records_dir: str | os.PathLike[str], split: str) -> dict[str, tuple[str, ...]]:
    """Reads a split and returns the hashes of each frame by its id; see `frame_hashes`.

    Raises:
        FileNotFoundError: the split is not converted.
        ValueError: a shard is damaged or does not hold what its conversion has written, or a frame
            is in the split twice; names file and remedy.
    """
    return scan_frames(records_dir, split).hashes


def scan_frames(
    records_dir: str | os.PathLike[str], split: str, share: JobShare = _ALL
) -> ScannedFrames:
    """Reads a split, or a share of its files.

    Raises:
        FileNotFoundError, ValueError: see `hash_frames`.
    """
    hashes: dict[str, tuple[str, ...]] = {}
    found_in: dict[str, RecordsPath] = {}
    most_objects = 0
    for path, shard in share.of(split_shards(records_dir, split)):
        fingerprint = 0
        for payload in read_records(path):
            frame = _decode(payload, path)
            if frame.frame_id in hashes:
                raise ValueError(
                    f"{path}: frame {frame.frame_id} is in {found_in[frame.frame_id]} already; "
                    + split_manifest(records_dir, split).repair_hint(records_dir)
                )
            hashes[frame.frame_id] = frame_hashes(frame.frame_id, frame.objects)
            found_in[frame.frame_id] = path
            most_objects = max(most_objects, len(frame.objects))
            fingerprint += record_fingerprint(frame.frame_id, payload_checksum(payload))
        if fingerprint % 2**64 != shard.fingerprint:
            raise ValueError(
                f"{path} does not hold the frames that {split}.json lists: it was edited or "
                "replaced; " + split_manifest(records_dir, split).repair_hint(records_dir)
            )
    return ScannedFrames(hashes, most_objects)


def _decode(payload: bytes, path: RecordsPath) -> RecordFrame:
    try:
        return decode_record(payload)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
