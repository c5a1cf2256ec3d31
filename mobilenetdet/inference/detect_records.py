"""Running a detector over a split of records, each of them read and decoded once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.detections import Detections
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.records.detection_record import RecordFrame, decode_record
from mobilenetdet.records.encoded_image import decode_image
from mobilenetdet.records.shards import count_frames
from mobilenetdet.system.job_share import JobShare

# Called with the number of frames that are done.
FrameProgress = Callable[[int], None]
WHOLE = JobShare()


class DetectedFrame(NamedTuple):
    """A frame of the records (its image as it is encoded, its labels) and what was found in it."""

    frame: RecordFrame
    detections: Detections


def detect_records(
    model: LoadedDetector,
    records_dir: str | os.PathLike[str] | None = None,
    split: str | None = None,
    *,
    share: JobShare = WHOLE,
    progress: FrameProgress | None = None,
) -> Iterator[DetectedFrame]:
    """Detects in every frame of a split, in the order of the records.

    Args:
        model: the detector.
        records_dir: folder of the records; by default `data.records_dir` of the model's config.
        split: such as "val"; by default `data.val_split`.
        share: of the split to detect in; by default all of it.
        progress: called after each batch with the frames done so far.

    Yields:
        Each frame with its detections, in pixels of its image; the shares of a split together give
        to the digit what one call gives.

    Raises:
        FileNotFoundError: the split is not converted.
        ValueError: a file of the records is damaged; names it.
    """
    # Not at the top: it imports TensorFlow.
    from mobilenetdet.data.pipeline import damage_named, eval_batches

    config = with_records(model.config, records_dir)
    split = config.data.val_split if split is None else split
    num_frames = count_frames(config.data.records_dir, split)
    # Whole batches, each as large as in one call: what else is in a batch moves the last digits.
    size, done = min(config.eval.batch_size, num_frames), 0
    batches = share.of(range(-(-num_frames // config.eval.batch_size)))
    with damage_named(config.data.records_dir, split):
        for batch in eval_batches(config, split, batches).as_numpy_iterator():
            found = model.detect_batch(batch["images"], batch["image_info"], fill_to=size)
            for payload, detections in zip(batch["payloads"], found, strict=True):
                yield DetectedFrame(decode_record(payload), detections)
            done += len(found)
            if progress is not None:
                progress(done)


def detect_frames(
    model: LoadedDetector, frames: Sequence[RecordFrame], *, progress: FrameProgress | None = None
) -> Iterator[DetectedFrame]:
    """Detects in some frames of records, in their order.

    Args:
        model: the detector.
        frames: to detect in.
        progress: called after each with the frames done so far.

    Yields:
        Each frame with its detections, in pixels of its image.

    Raises:
        ValueError: an image cannot be decoded; names the frame.
    """
    images = (decode_image(frame.encoded, f"frame {frame.frame_id}") for frame in frames)
    for done, found in enumerate(model.detect_images(images), 1):
        yield DetectedFrame(frames[done - 1], found)
        if progress is not None:
            progress(done)


def with_records(
    config: DetectionConfig, records_dir: str | os.PathLike[str] | None
) -> DetectionConfig:
    """Returns a config with other records; None leaves it as it is."""
    if records_dir is None:
        return config
    return replace(config, data=replace(config.data, records_dir=str(records_dir)))
