"""Overlays of an evaluation: which frames, and where the pictures go."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from mobilenetdet.analysis.match_overlays import draw_match_overlay
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.draw import montage, write_image
from mobilenetdet.evaluation.evaluate import Evaluation
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.encoded_image import decode_image
from mobilenetdet.records.shards import shard_paths

MONTAGE_NAME = "montage.jpg"
_MONTAGE_FRAMES, _MONTAGE_COLUMNS, _MONTAGE_WIDTH = 12, 2, 1600


def write_overlays(
    evaluation: Evaluation,
    config: DetectionConfig,
    folder: Path,
    *,
    frame_ids: Sequence[str] | None = None,
) -> Path:
    """Draws frames of an evaluation, and a montage of them.

    Args:
        evaluation: labels and detections.
        config: where the records are, how many frames, and from which score on to draw.
        folder: gets NNNNNN.jpg and montage.jpg; an older folder is replaced when all is drawn.
        frame_ids: which frames; by default `eval.num_overlays` spread evenly over the split.

    Returns:
        The path of the montage.

    Raises:
        ValueError: a frame is not in the split.
    """
    frame_ids = choose_frames(list(evaluation.labels), frame_ids, config.eval.num_overlays)
    return write_pictures(draw_frames(evaluation, config, frame_ids), folder)


def write_pictures(pictures: Iterable[tuple[str, np.ndarray]], folder: Path) -> Path:
    """Writes pictures as NAME.jpg and a montage of up to twelve of them.

    Args:
        pictures: (name, uint8 [H, W, 3]).
        folder: an older folder of that name is replaced when all is written.

    Returns:
        The path of the montage.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    drawn = {}
    for name, picture in pictures:
        write_image(temporary / f"{name}.jpg", picture)
        drawn[name] = picture
    chosen = spread_frames(list(drawn), _MONTAGE_FRAMES)
    sheet = montage(
        [drawn[name] for name in chosen], columns=_MONTAGE_COLUMNS, width=_MONTAGE_WIDTH
    )
    write_image(temporary / MONTAGE_NAME, sheet)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(temporary, folder)
    return folder / MONTAGE_NAME


def read_images(
    config: DetectionConfig, split: str, frame_ids: Sequence[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Reads (frame id, image uint8 [H, W, 3] RGB) of some frames in the order of the records."""
    wanted = set(frame_ids)
    for frame in read_frames(shard_paths(config.data.records_dir, split)):
        if frame.frame_id in wanted:
            yield frame.frame_id, decode_image(frame.encoded, f"frame {frame.frame_id}")


def draw_frames(
    evaluation: Evaluation, config: DetectionConfig, frame_ids: Sequence[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields (frame id, overlay uint8 [H, W, 3]) in the order of the records."""
    task = config.eval_task()
    for frame_id, image in read_images(config, evaluation.split, frame_ids):
        results = evaluation.results[frame_id]
        shown = results[results.scores >= config.eval.overlay_score]
        labels = evaluation.labels[frame_id]
        picture = draw_match_overlay(image, labels, shown, task=task, title=frame_id)
        yield frame_id, picture


def tensorboard_overlays(evaluation: Evaluation, config: DetectionConfig) -> np.ndarray:
    """Draws a few frames at the network's width, stacked: uint8 [N, H, W, 3]."""
    frame_ids = spread_frames(list(evaluation.labels), config.train.tensorboard_images)
    height, width = config.image_size
    return np.stack(
        [
            cv2.resize(overlay, (width, height), interpolation=cv2.INTER_AREA)
            for _, overlay in draw_frames(evaluation, config, frame_ids)
        ]
    )


def choose_frames(known: Sequence[str], asked: Sequence[str] | None, count: int) -> list[str]:
    """Returns the frames that were asked for, or `count` frames spread over all.

    Raises:
        ValueError: a frame that was asked for is not known.
    """
    if unknown := sorted(set(asked or ()) - set(known)):
        raise ValueError(f"not in the records of this split: frames {', '.join(unknown)}")
    return list(asked or spread_frames(known, count))


def spread_frames(frame_ids: Sequence[str], count: int) -> list[str]:
    """Chooses up to `count` frames at equal distances, the first included.

    Example: 2 of (a, b, c, d) are a and c.
    """
    count = min(count, len(frame_ids))
    return [frame_ids[index * len(frame_ids) // count] for index in range(count)]
