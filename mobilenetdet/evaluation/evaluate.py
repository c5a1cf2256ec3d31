"""From a detector and the records of a split to KITTI's AP."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.detections import Detections
from mobilenetdet.evaluation.metrics_file import describe_measured
from mobilenetdet.evaluation.score_calibration import Calibration, calibrate
from mobilenetdet.inference.detect_records import (
    DetectedFrame,
    FrameProgress,
    detect_records,
    with_records,
)
from mobilenetdet.inference.exported import ExportedDetector
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.kitti.ap_result import (
    MEASURED_KEY,
    SEEN_KEY,
    SPLIT_KEY,
    AveragePrecision,
    describe_scoring,
)
from mobilenetdet.kitti.average_precision import evaluate_detections
from mobilenetdet.kitti.frames_seen import SeenInSplit, frame_hashes, seen_in_split
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.records.detection_record import RecordFrame, read_frames
from mobilenetdet.records.frame_hashes import hash_frames
from mobilenetdet.records.shards import count_frames, shard_paths


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a detector made of a split.

    Attributes:
        config: it was measured with.
        split: such as "val".
        ap: KITTI's average precision.
        labels: ground truth by frame id.
        detections: what was found, by frame id.
        images: encoded images of the frames that were kept for drawing, by frame id.
        seen: the frames that the weights were trained on.
        weights_hash: of their file, see `runs.hash_weights`; "" where there is none.
        exported: name of the exported file that was measured; None for a run.
        engine: what ran it, with its version; "" where that is not known.
    """

    config: DetectionConfig
    split: str
    ap: AveragePrecision
    labels: dict[str, KittiObjects]
    detections: dict[str, Detections]
    images: dict[str, bytes]
    seen: SeenInSplit
    weights_hash: str = ""
    exported: str | None = None
    engine: str = ""

    def context(self) -> dict[str, Any]:
        """Returns what the AP depends on, ready for JSON; see `AveragePrecision`."""
        return {
            SPLIT_KEY: self.split,
            SEEN_KEY: self.seen.count,
            **describe_scoring(self.config.eval_task(), list(self.labels)),
            MEASURED_KEY: describe_measured(
                self.config, self.weights_hash, self.exported, engine=self.engine
            ),
        }

    def pairs(self) -> tuple[list[KittiObjects], list[KittiObjects]]:
        """Returns labels and detections of the frames as KITTI's files have them, in one order."""
        return list(self.labels.values()), [
            self.detections[frame_id].to_kitti() for frame_id in self.labels
        ]


def evaluate_split(
    model: LoadedDetector,
    records_dir: str | os.PathLike[str] | None = None,
    split: str | None = None,
    *,
    keep: int | Sequence[str] = 0,
    progress: FrameProgress | None = None,
    detect: Callable[..., Iterator[DetectedFrame]] = detect_records,
) -> Evaluation:
    """Detects in a split and measures the official AP, in one pass over the records.

    Args:
        model: the detector; its config says which protocol counts.
        records_dir: folder of the records; by default `data.records_dir` of the model's config.
        split: such as "val"; by default `data.val_split`.
        keep: frames whose images are kept for drawing: their ids, or how many, evenly spread.
        progress: called with the number of frames that are done.
        detect: called as `detect_records`; several processes may do its work together.

    Raises:
        FileNotFoundError: the split is not converted.
        ValueError: a frame to keep is not in the split, or a frame is in the records twice.
    """
    config = with_records(model.config, records_dir)
    split = config.data.val_split if split is None else split
    detected = detect(model, config.data.records_dir, split, progress=progress)
    found = collect_frames(detected, config, split, keep=keep)
    hashes = {name: frame_hashes(name, objects) for name, objects in found.labels.items()}
    return found.evaluation(
        seen_in_split(model.frames_seen, hashes, split),
        weights_hash=model.weights_hash,
        exported=exported_name(model),
        engine=model.engine,
    )


def exported_name(model: LoadedDetector) -> str | None:
    """Returns the name of the exported file that a detector is in; None for a run in Keras."""
    return model.path.name if isinstance(model, ExportedDetector) else None


@dataclass(frozen=True, eq=False)
class CollectedFrames:
    """The frames of a split with what was found in them; see `Evaluation`."""

    config: DetectionConfig
    split: str
    labels: dict[str, KittiObjects]
    detections: dict[str, Detections]
    images: dict[str, bytes]

    def evaluation(self, seen: SeenInSplit, **origin: Any) -> Evaluation:
        """Measures the AP.

        Args:
            seen: the frames that the weights were trained on.
            origin: weights_hash, exported and engine, see `Evaluation`.
        """
        ap = evaluate_detections(
            list(self.labels.values()),
            [found.to_kitti() for found in self.detections.values()],
            task=self.config.eval_task(),
            protocol=self.config.eval.protocol,
        )
        evaluation = Evaluation(
            self.config,
            self.split,
            ap,
            self.labels,
            self.detections,
            self.images,
            seen,
            **origin,
        )
        return replace(evaluation, ap=replace(ap, context=evaluation.context()))


def collect_frames(
    detected: Iterable[DetectedFrame],
    config: DetectionConfig,
    split: str,
    *,
    keep: int | Sequence[str] = 0,
) -> CollectedFrames:
    """Takes labels, detections and the images to keep out of the frames of a whole split.

    Args:
        detected: in the order of the records.
        config: says where these are.
        split: such as "val".
        keep: see `evaluate_split`.

    Raises:
        ValueError: a frame to keep is not in the split, or a frame is in the records twice.
    """
    records_dir = config.data.records_dir
    kept = _FramesToKeep.of(keep, count_frames(records_dir, split))
    if kept.frame_ids:  # before anything is detected
        refuse_unknown_frames(kept.frame_ids, hash_frames(records_dir, split))
    found = CollectedFrames(config, split, {}, {}, {})
    for index, (frame, detections) in enumerate(detected):
        if frame.frame_id in found.labels:
            hash_frames(records_dir, split)  # raises, and names both files
        found.labels[frame.frame_id], found.detections[frame.frame_id] = frame.objects, detections
        if kept.holds(index, frame.frame_id):
            found.images[frame.frame_id] = frame.encoded
    return found


def check_split(
    model: LoadedDetector,
    records_dir: str | os.PathLike[str] | None = None,
    split: str | None = None,
) -> SeenInSplit:
    """Reads a split before anything is detected in it, in a fraction of that time.

    Args:
        model: the detector.
        records_dir: folder of the records; by default `data.records_dir` of the model's config.
        split: such as "val"; by default `data.val_split`.

    Returns:
        The frames that the weights were trained on.

    Raises:
        FileNotFoundError: the split is not converted.
        ValueError: a record is damaged, not as its conversion has written it, or there twice.
    """
    config = with_records(model.config, records_dir)
    split = config.data.val_split if split is None else split
    count_frames(config.data.records_dir, split)
    return seen_in_split(model.frames_seen, hash_frames(config.data.records_dir, split), split)


def spread_places(num_frames: int, count: int) -> list[int]:
    """Returns up to `count` places among so many frames at equal distances, the first included.

    Example: 2 of 4 are 0 and 2.
    """
    count = min(count, num_frames)
    return [index * num_frames // count for index in range(count)]


def refuse_unknown_frames(asked: Collection[str], known: Collection[str]) -> None:
    """Checks that frames are in a split.

    Raises:
        ValueError: one is not; names all of them.
    """
    if unknown := sorted(set(asked) - set(known)):
        raise ValueError(f"not in the records of this split: frames {', '.join(unknown)}")


def choose_frames(
    records_dir: str | os.PathLike[str], split: str, keep: int | Sequence[str]
) -> list[RecordFrame]:
    """Reads some frames of a split, in the order of the records.

    Args:
        records_dir: folder of the records.
        split: such as "val".
        keep: their ids, or how many, evenly spread.

    Raises:
        FileNotFoundError: the split is not converted.
        ValueError: an id is not in the split.
    """
    kept = _FramesToKeep.of(keep, count_frames(records_dir, split))
    chosen, known = [], set()
    for place, frame in enumerate(read_frames(shard_paths(records_dir, split))):
        known.add(frame.frame_id)
        if kept.holds(place, frame.frame_id):
            chosen.append(frame)
    refuse_unknown_frames(kept.frame_ids, known)
    return chosen


@dataclass(frozen=True)
class _FramesToKeep:
    """Frames by their place in the records, or by their id."""

    places: frozenset[int] = frozenset()
    frame_ids: frozenset[str] = frozenset()

    @classmethod
    def of(cls, keep: int | Sequence[str], num_frames: int) -> _FramesToKeep:
        """Reads `keep` of `evaluate_split`, for a split of so many frames."""
        if isinstance(keep, int):
            return cls(places=frozenset(spread_places(num_frames, keep)))
        if isinstance(keep, str):
            raise ValueError(f"frames to keep are {keep!r}; give a list of ids, or how many")
        return cls(frame_ids=frozenset(keep))

    def holds(self, place: int, frame_id: str) -> bool:
        return place in self.places or frame_id in self.frame_ids


def calibrated(evaluation: Evaluation, by_class: Sequence[Calibration]) -> Evaluation:
    """Returns an evaluation with calibrated scores; AP looks at their order alone, and stays.

    Args:
        evaluation: with the scores as the detector gives them.
        by_class: a calibration a class, in the order of the class ids.
    """
    detections = {}
    for frame_id, found in evaluation.detections.items():
        scores = found.scores.copy()
        for class_id, calibration in enumerate(by_class):
            own = found.class_ids == class_id
            scores[own] = calibrate(scores[own], calibration)
        order = np.argsort(-scores, kind="stable")
        detections[frame_id] = replace(found, scores=scores)[order]
    return replace(evaluation, detections=detections)
