"""Pictures for verification: what the records hold, and what training sees of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mobilenetdet.boxes.kinds import OBJECT, PADDING
from mobilenetdet.config import DetectionConfig
from mobilenetdet.data.images import decode_image
from mobilenetdet.data.pipeline import train_batches
from mobilenetdet.data.records import read_frames
from mobilenetdet.data.shards import shard_paths
from mobilenetdet.draw import draw_labels
from mobilenetdet.evaluation.overlays import choose_frames, write_pictures
from mobilenetdet.kitti.labels import DONT_CARE, KittiObjects


def write_label_overlays(
    config: DetectionConfig, split: str, folder: Path, *, frame_ids: Sequence[str] | None = None
) -> Path:
    """Draws the objects of records over their images.

    Args:
        config: where the records are, and how many frames.
        split: such as "val".
        folder: gets NNNNNN.jpg and montage.jpg.
        frame_ids: which frames; by default `eval.num_overlays` spread evenly over the split.

    Returns:
        The path of the montage.
    """
    paths = shard_paths(config.data.records_dir, split)
    known = [frame.frame_id for frame in read_frames(paths)]
    wanted = set(choose_frames(known, frame_ids, config.eval.num_overlays))

    def draw() -> Iterator[tuple[str, np.ndarray]]:
        """The wanted frames, one at a time, so that few are in memory."""
        for frame in read_frames(paths):
            if frame.frame_id in wanted:
                image = decode_image(frame.encoded, f"frame {frame.frame_id}")
                yield frame.frame_id, draw_labels(image, frame.objects, title=frame.frame_id)

    return write_pictures(draw(), folder)


def write_batch_overlays(config: DetectionConfig, folder: Path) -> Path:
    """Draws `eval.num_overlays` augmented frames of the first epoch as the network gets them.

    Objects that are not learnt are hatched like DontCare regions.

    Returns:
        The path of the montage.
    """
    return write_pictures(_draw_batches(config), folder)


def _draw_batches(config: DetectionConfig) -> Iterator[tuple[str, np.ndarray]]:
    index = 0
    for images, targets in train_batches(config, num_epochs=1).as_numpy_iterator():
        for image, boxes, classes, kinds in zip(
            images, targets["boxes"], targets["classes"], targets["kinds"], strict=True
        ):
            if index == config.eval.num_overlays:
                return
            used = kinds != PADDING
            names = np.array([*config.data.classes, DONT_CARE])
            types = np.where(kinds == OBJECT, names[classes], DONT_CARE)
            objects = KittiObjects.from_detections(types[used], boxes[used], np.ones(used.sum()))
            name = f"batch_{index:03d}"
            yield name, draw_labels(image, objects, title=name)
            index += 1
