"""Pictures for verification: what the records hold, and what training sees of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from keras import ops

from mobilenetdet.analysis.overlays import write_pictures
from mobilenetdet.boxes.anchors import AnchorGrid
from mobilenetdet.boxes.box_status import OBJECT, PADDING, WITHOUT_WEIGHT
from mobilenetdet.boxes.matching import match_anchors
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.type_names import DONT_CARE_TYPE
from mobilenetdet.data.pipeline import train_batches
from mobilenetdet.drawing import draw_labels, draw_matches
from mobilenetdet.evaluation.evaluate import refuse_unknown_frames, spread_places
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.encoded_image import decode_image
from mobilenetdet.records.shards import count_frames, shard_paths


def write_label_overlays(
    config: DetectionConfig,
    split: str,
    folder: OutputFolder,
    *,
    frame_ids: Sequence[str] = (),
) -> Path:
    """Draws the objects of records over their images.

    Args:
        config: where the records are, and how many frames.
        split: such as "val".
        folder: gets NNNNNN.jpg and montage.jpg.
        frame_ids: which frames; by default `eval.num_overlays` spread evenly over the split.

    Returns:
        The path of the montage.

    Raises:
        FileExistsError: a file of another is in the way.
        ValueError: a frame is not in the split.
    """
    frames = read_frames(shard_paths(config.data.records_dir, split))
    num_frames = count_frames(config.data.records_dir, split)
    places = set(spread_places(num_frames, config.eval.num_overlays))

    def draw() -> Iterator[tuple[str, np.ndarray]]:
        """The wanted frames, one at a time, so that few are in memory."""
        seen = set()
        for place, frame in enumerate(frames):
            seen.add(frame.frame_id)
            if frame.frame_id in frame_ids or (not frame_ids and place in places):
                image = decode_image(frame.encoded, f"frame {frame.frame_id}")
                picture = draw_labels(
                    image, frame.objects, classes=config.data.classes, title=frame.frame_id
                )
                yield frame.frame_id, picture
        refuse_unknown_frames(frame_ids, seen)

    return write_pictures(draw(), folder)


def write_batch_overlays(config: DetectionConfig, folder: OutputFolder) -> Path:
    """Draws `eval.num_overlays` augmented frames of the first epoch as the network gets them.

    Objects that are not learnt are hatched like DontCare regions.

    Returns:
        The path of the montage.
    """

    def draw() -> Iterator[tuple[str, np.ndarray]]:
        """One picture a frame."""
        for name, frame in _training_frames(config):
            picture = draw_labels(
                frame.image, frame.objects, classes=config.data.classes, title=name
            )
            yield name, picture

    return write_pictures(draw(), folder)


def write_match_overlays(config: DetectionConfig, folder: OutputFolder) -> Path:
    """Draws, over the same frames, which anchors learn which object; it needs no weights.

    Returns:
        The path of the montage.
    """
    image_size = config.for_training().image_size
    grid = AnchorGrid(image_size, config.model.anchor_levels)
    anchors = grid.boxes_xyxy()  # [A, 4]

    def draw() -> Iterator[tuple[str, np.ndarray]]:
        """One picture a frame."""
        for name, frame in _training_frames(config):
            matches = match_anchors(
                grid, frame.boxes[None], frame.box_status[None], config.matching
            )
            positive = ops.convert_to_numpy(matches.positive)[0]
            owners = ops.convert_to_numpy(matches.gt_index)[0, positive]
            yield (
                name,
                draw_matches(frame.image, frame.objects, anchors[positive], owners, title=name),
            )

    return write_pictures(draw(), folder)


class _Frame(NamedTuple):
    """One frame of a training batch; row i of all fields is the same object.

    Boxes have the rows of padding, too, which come last: a frame may have no others.
    """

    image: np.ndarray
    boxes: np.ndarray
    box_status: np.ndarray
    objects: KittiObjects


def _training_frames(config: DetectionConfig) -> Iterator[tuple[str, _Frame]]:
    names = np.array([*config.data.classes, DONT_CARE_TYPE])
    index = 0
    for images, targets in train_batches(config, num_epochs=1).as_numpy_iterator():
        for image, boxes, classes, box_status in zip(
            images, targets["boxes"], targets["classes"], targets["box_status"], strict=True
        ):
            if index == config.eval.num_overlays:
                return
            if (box_status == WITHOUT_WEIGHT).any():
                continue  # it fills up the batch, and is elsewhere in the epoch
            used = box_status != PADDING
            types = np.where(box_status == OBJECT, names[classes], DONT_CARE_TYPE)[used]
            objects = KittiObjects.from_detections(types, boxes[used], np.ones(len(types)))
            objects = replace(objects, scores=None)  # they are labels
            yield f"batch_{index:03d}", _Frame(image, boxes, box_status, objects)
            index += 1
