"""Evaluation by an array of jobs: what each has detected, and the AP of all together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.detections import Detections
from mobilenetdet.evaluation.evaluate import Evaluation, collect_frames, exported_name
from mobilenetdet.evaluation.evaluation_files import write_detections
from mobilenetdet.evaluation.metrics_file import describe_measured, differing
from mobilenetdet.files.names import check_split_name
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.files.text import read_json, write_json
from mobilenetdet.inference.detect_records import (
    DetectedFrame,
    FrameProgress,
    detect_records,
)
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.kitti.frames_seen import SeenInSplit
from mobilenetdet.kitti.labels import read_objects
from mobilenetdet.kitti.layout import check_frame_id
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.shards import records_fingerprint, shard_paths
from mobilenetdet.runs import DETECTIONS_DIR
from mobilenetdet.system.job_share import JobShare

SHARE_FILE = "share.json"
_REMEDY = "run this job again"


@dataclass(frozen=True, eq=False)
class EvalShare:
    """What one job has detected.

    Attributes:
        share: which of the jobs, and how many there are.
        split: such as "val".
        records: fingerprint of the split, see `shards.Manifest`.
        measured: of which detector, see `describe_measured`, and with which `_settings_of_jobs`.
        seen: the frames of the whole split that the weights were trained on.
        detections: by frame id, in the order of the records.
    """

    share: JobShare
    split: str
    records: str
    measured: dict[str, Any]
    seen: SeenInSplit
    detections: dict[str, Detections]


def detect_share(
    model: LoadedDetector,
    share: JobShare,
    seen: SeenInSplit,
    *,
    progress: FrameProgress | None = None,
) -> EvalShare:
    """Detects in the frames of one job.

    Args:
        model: the detector; its config says where the records are.
        share: which job, of how many.
        seen: see `check_split`; its split is detected in.
        progress: called with the number of frames that are done.

    Raises:
        FileNotFoundError: the split is not converted.
    """
    detected = detect_records(model, None, seen.split, share=share, progress=progress)
    measured = describe_measured(
        model.config, model.weights_hash, exported_name(model), engine=model.engine
    )
    return EvalShare(
        share,
        seen.split,
        records_fingerprint(model.config.data.records_dir, seen.split),
        measured | _settings_of_jobs(model.config),
        seen,
        {frame.frame_id: found for frame, found in detected},
    )


def _settings_of_jobs(config: DetectionConfig) -> dict[str, Any]:
    """Returns what jobs have to share beside what decides an AP, ready for JSON.

    A calibration moves no AP where all frames have it, and does where some have. Frames are divided
    by batches.
    """
    return {
        "calibration": config.postprocess.calibration,
        "eval.batch_size": config.eval.batch_size,
    }


def write_share(result: EvalShare, folder: OutputFolder) -> Path:
    """Writes detections/NNNNNN.txt, and what they are as share.json.

    Args:
        result: of the job.
        folder: of this job alone.

    Returns:
        The path of share.json.

    Raises:
        FileExistsError: a file of another is in the way; nothing has changed.
    """
    folder.refuse_foreign([SHARE_FILE])
    folder.discard([SHARE_FILE])  # it would speak for other files if this was interrupted
    write_detections(folder, result.detections)
    seen = {
        "num_frames": result.seen.num_frames,
        "frame_ids": list(result.seen.frame_ids),
        "complete": result.seen.complete,
    }
    values = {
        "share": [result.share.index, result.share.count],
        "split": result.split,
        "records": result.records,
        "measured": result.measured,
        "seen": seen,
        "frames": list(result.detections),
    }
    with folder.writing(SHARE_FILE) as path:
        write_json(path, values)
    return folder.path / SHARE_FILE


def read_share(folder: Path, classes: Sequence[str]) -> EvalShare:
    """Reads what `write_share` has written.

    Args:
        folder: of one job.
        classes: that the detector knows.

    Raises:
        FileNotFoundError: the job has not ended, or a result file is gone.
        ValueError: a file is damaged; names it and the remedy.
    """
    path = folder / SHARE_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: the job has not ended, or this is not the folder of one"
        )
    values = read_json(path, _REMEDY)
    try:
        split = check_split_name(values["split"], str(path))
        seen, frame_ids = values["seen"], values["frames"]
        for frame_id in (*frame_ids, *seen["frame_ids"]):
            check_frame_id(frame_id, str(path))
        index, count = map(int, values["share"])
        read = EvalShare(
            JobShare(index, count),
            split,
            str(values["records"]),
            dict(values["measured"]),
            SeenInSplit(
                split, int(seen["num_frames"]), tuple(seen["frame_ids"]), bool(seen["complete"])
            ),
            {},
        )
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(f"{path} is damaged ({error!r}); {_REMEDY}") from None
    for frame_id in frame_ids:
        file = folder / DETECTIONS_DIR / f"{frame_id}.txt"
        read.detections[frame_id] = Detections.from_kitti(
            read_objects(file, with_scores=True), classes
        )
    return read


def merge_shares(
    folders: Sequence[Path],
    config: DetectionConfig,
    split: str,
    weights_hash: str,
    *,
    exported: str | None = None,
    keep: int = 0,
) -> Evaluation:
    """Measures the AP of what all jobs have detected: to the digit that of a single call.

    Args:
        folders: of all jobs, in any order.
        config: of the detector, with the settings that the jobs had.
        split: such as "val".
        weights_hash: of the detector, see `runs.hash_weights`.
        exported: name of the exported file; by default that of the jobs.
        keep: see `evaluate_split`.

    Raises:
        FileNotFoundError: a job has not ended, or the split is not converted.
        ValueError: a job is missing or there twice, or they are of another detector, other settings
            or other records; names the first folder.
    """
    if not folders:
        raise ValueError("name the folders of all jobs to merge")
    shares = {folder: read_share(folder, config.data.classes) for folder in folders}
    _check_complete(shares)
    first = next(iter(shares.values()))
    measured = first.measured
    wanted = describe_measured(
        config,
        weights_hash,
        measured.get("exported") if exported is None else exported,
        engine=str(measured.get("engine", "")),
    ) | _settings_of_jobs(config)
    for folder, each in shares.items():
        others = differing(each.measured, wanted)
        if others or each.split != split:
            raise ValueError(
                f"{folder / SHARE_FILE} is of another detector, split or other settings than this "
                f"call or the other jobs (differs: {', '.join(others) or 'split'}); give all calls "
                "the same options"
            )
        if each.records != records_fingerprint(config.data.records_dir, split):
            raise ValueError(
                f"{folder / SHARE_FILE} is of other records than {split} in "
                f"{config.data.records_dir}; name those of the jobs (--data.records_dir)"
            )
    found = collect_frames(_detected(shares, config, split), config, split, keep=keep)
    return found.evaluation(
        first.seen,
        weights_hash=weights_hash,
        exported=measured.get("exported"),
        engine=str(measured.get("engine", "")),
    )


def _check_complete(shares: dict[Path, EvalShare]) -> None:
    """Refuses jobs that are missing, there twice, or of another array."""
    places: dict[JobShare, Path] = {}
    for folder, each in shares.items():
        if each.share in places:
            raise ValueError(f"{folder} is of the same job as {places[each.share]}; name it once")
        places[each.share] = folder
    count = next(iter(places)).count
    if others := [place for share, place in places.items() if share.count != count]:
        raise ValueError(f"{others[0]} is not of the same array of {count} jobs as the others")
    if num_missing := count - len(places):
        jobs = map(JobShare, range(count), repeat(count))
        missing = next(job for job in jobs if job not in places)
        raise ValueError(
            f"the job {missing} is missing among the folders to merge; {num_missing} of {count} are"
        )


def _detected(
    shares: dict[Path, EvalShare], config: DetectionConfig, split: str
) -> Iterator[DetectedFrame]:
    found = {name: each for share in shares.values() for name, each in share.detections.items()}
    for frame in read_frames(shard_paths(config.data.records_dir, split)):
        if frame.frame_id not in found:
            folder = next(iter(shares))
            raise ValueError(
                f"frame {frame.frame_id} of {split} is in none of {folder} and the other folders; "
                "run the jobs again"
            )
        yield DetectedFrame(frame, found[frame.frame_id])
