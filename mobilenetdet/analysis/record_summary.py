"""What is in the records of a split: counts, sizes, faults and a few frames to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mobilenetdet.config.classes import EVALUATED_CLASSES
from mobilenetdet.config.type_names import DONT_CARE_TYPE, KITTI_TYPES
from mobilenetdet.drawing import draw_labels
from mobilenetdet.evaluation.evaluate import spread_places
from mobilenetdet.records.detection_record import RecordFrame
from mobilenetdet.records.encoded_image import decode_image


@dataclass(frozen=True)
class ClassSummary:
    """The objects of one class.

    Attributes:
        num_objects: all of them.
        num_frames: frames that hold at least one.
        num_outside: boxes that reach past the border of their image.
        num_empty: boxes without area.
        median_height: of the boxes, pixels.
    """

    num_objects: int
    num_frames: int
    num_outside: int
    num_empty: int
    median_height: float


@dataclass(frozen=True)
class RecordsSummary:
    """The frames of one split.

    Attributes:
        num_frames: records.
        num_image_bytes: size of the encoded images.
        classes: by name, the most frequent first; names are told apart whatever their case.
        image_sizes: number of images by (width, height, format), the most frequent first.
        empty_frames: ids of the frames without any object.
        dont_care_frames: ids of the frames that hold DontCare alone.
        repeated_frames: ids that occur more than once.
    """

    num_frames: int
    num_image_bytes: int
    classes: dict[str, ClassSummary]
    image_sizes: dict[tuple[int, int, str], int]
    empty_frames: list[str]
    dont_care_frames: list[str]
    repeated_frames: list[str]


def summarize(frames: Iterable[RecordFrame]) -> RecordsSummary:
    """Counts what is in the records; reads every frame once and keeps none."""
    frame_ids: Counter[str] = Counter()
    sizes: Counter[tuple[int, int, str]] = Counter()
    num_image_bytes = 0
    boxes: dict[str, list[np.ndarray]] = {}
    # KITTI's spelling of its own types, for others that which comes first.
    spelling = {name.lower(): name for name in KITTI_TYPES}
    empty, dont_care = [], []
    for frame in frames:
        frame_ids[frame.frame_id] += 1
        sizes[frame.width, frame.height, frame.format] += 1
        num_image_bytes += len(frame.encoded)
        types = frame.objects.types.tolist()
        names = np.array([spelling.setdefault(name.lower(), name) for name in types], str)
        if not len(names):
            empty.append(frame.frame_id)
        elif (names == DONT_CARE_TYPE).all():
            dont_care.append(frame.frame_id)
        for name in dict.fromkeys(names.tolist()):
            boxes.setdefault(name, []).append(_measure(frame, names == name))
    classes = {name: _summarize_class(measured) for name, measured in boxes.items()}
    return RecordsSummary(
        num_frames=frame_ids.total(),
        num_image_bytes=num_image_bytes,
        classes=dict(sorted(classes.items(), key=lambda item: -item[1].num_objects)),
        image_sizes=dict(sizes.most_common()),
        empty_frames=empty,
        dont_care_frames=dont_care,
        repeated_frames=[frame_id for frame_id, count in frame_ids.items() if count > 1],
    )


def draw_sample(
    frames: Iterable[RecordFrame],
    num_total: int,
    num_frames: int,
    *,
    prefix: str = "",
    classes: Sequence[str] = EVALUATED_CLASSES,
) -> list[np.ndarray]:
    """Draws the labels over some frames, evenly spaced, the first among them.

    Args:
        frames: the frames of the split.
        num_total: how many they are.
        num_frames: how many to draw; all where there are fewer.
        prefix: stands before the frame's id on each picture.
        classes: have colours of their own, as KITTI's types have.

    Returns:
        Pictures uint8 [H, W, 3].
    """
    chosen = set(spread_places(num_total, num_frames))
    pictures = []
    for index, frame in enumerate(frames):
        if index in chosen:
            image_rgb = decode_image(frame.encoded, f"frame {frame.frame_id}")
            title = f"{prefix}{frame.frame_id}"
            pictures.append(draw_labels(image_rgb, frame.objects, classes=classes, title=title))
    return pictures


def _measure(frame: RecordFrame, chosen: np.ndarray) -> np.ndarray:
    """Returns [K, 3]: reaches past the border, has no area (0 or 1), height in pixels."""
    x1, y1, x2, y2 = frame.objects.boxes_xyxy[chosen].T
    outside = (x1 < 0) | (y1 < 0) | (x2 > frame.width) | (y2 > frame.height)
    return np.stack([outside, (x2 <= x1) | (y2 <= y1), y2 - y1], axis=-1)


def _summarize_class(measured: Sequence[np.ndarray]) -> ClassSummary:
    outside, empty, heights = np.concatenate(measured).T
    return ClassSummary(
        num_objects=len(heights),
        num_frames=len(measured),
        num_outside=int(outside.sum()),
        num_empty=int(empty.sum()),
        median_height=float(np.median(heights)),
    )
