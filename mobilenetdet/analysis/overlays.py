"""Overlays of an evaluation: which frames, and where the pictures go."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from mobilenetdet.analysis.analyse import best_f1_scores
from mobilenetdet.analysis.match_overlays import draw_match_overlay
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.detections import Detections
from mobilenetdet.drawing import montage, write_image
from mobilenetdet.evaluation.evaluate import Evaluation, spread_places
from mobilenetdet.files.names import check_file_name, unique_name
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.files.text import write_json
from mobilenetdet.kitti.labels import KittiObjects
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.encoded_image import decode_image
from mobilenetdet.records.shards import shard_paths
from mobilenetdet.runs import RunDir

MONTAGE_NAME = "montage.jpg"
_MONTAGE_FRAMES, _MONTAGE_COLUMNS, _MONTAGE_WIDTH = 12, 2, 1600


def measure_scores(evaluation: Evaluation, run: RunDir | None = None) -> Evaluation:
    """Measures from which scores on detections are worth drawing: those of the best F1.

    Args:
        evaluation: of all frames of a split.
        run: gets the scores, so that prediction knows them without labels.

    Returns:
        The evaluation, whose config has the scores.
    """
    config = evaluation.config
    scores = best_f1_scores(
        *evaluation.pairs(), task=config.eval_task(), protocol=config.eval.protocol
    )
    if run is not None:
        write_json(run.best_f1_file, scores)
    measured = replace(config, eval=replace(config.eval, best_f1_scores=scores))
    return replace(evaluation, config=measured)


def write_overlays(
    evaluation: Evaluation, folder: OutputFolder, *, count: int | None = None
) -> Path:
    """Draws the frames whose images an evaluation has kept, and a montage of them.

    Args:
        evaluation: labels, detections and images; its config says from which score on to draw.
        folder: gets NNNNNN.jpg and montage.jpg; pictures of an earlier call are replaced when all
            are drawn, files of others stay.
        count: frames at most, evenly spread over those that were kept; by default all of them.

    Returns:
        The path of the montage.

    Raises:
        FileExistsError: a file of another is in the way; nothing has changed.
        ValueError: the evaluation has kept no image.
    """
    if not evaluation.images:
        raise ValueError("the evaluation has kept no image to draw on; set eval.num_overlays")
    return write_pictures(draw_frames(evaluation, count), folder)


def write_pictures(pictures: Iterable[tuple[str, np.ndarray]], folder: OutputFolder) -> Path:
    """Writes pictures as NAME.jpg and a montage of up to twelve of them.

    Args:
        pictures: (name, uint8 [H, W, 3]); a name that is there already gets a counter.
        folder: pictures of an earlier call are replaced when all are written; files of others stay.

    Returns:
        The path of the montage.

    Raises:
        FileExistsError: a file of another is in the way; nothing has changed.
        ValueError: a name would be a path.
    """
    folder.refuse_foreign([MONTAGE_NAME])
    with folder.replacing("*.jpg") as staging:
        paths = []
        taken = {Path(MONTAGE_NAME).stem}
        for name, picture in pictures:
            unique = unique_name(check_file_name(name, "a picture"), taken)
            taken.add(unique.lower())
            paths.append(staging / f"{unique}.jpg")
            write_image(paths[-1], picture)
        # Read again: all of a split would not fit into memory.
        chosen = [paths[place] for place in spread_places(len(paths), _MONTAGE_FRAMES)]
        images = [decode_image(path.read_bytes(), str(path)) for path in chosen]
        sheet = montage(images, columns=_MONTAGE_COLUMNS, width=_MONTAGE_WIDTH)
        write_image(staging / MONTAGE_NAME, sheet)
    return folder.path / MONTAGE_NAME


def read_images(
    records_dir: str | os.PathLike[str], split: str, frame_ids: Sequence[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Reads (frame id, image uint8 [H, W, 3] RGB) of some frames in the order of the records."""
    wanted = set(frame_ids)
    for frame in read_frames(shard_paths(records_dir, split)):
        if frame.frame_id in wanted:
            yield frame.frame_id, decode_image(frame.encoded, f"frame {frame.frame_id}")


def draw_frames(
    evaluation: Evaluation, count: int | None = None
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields (frame id, overlay uint8 [H, W, 3]) of kept frames in the order of the records.

    Args:
        evaluation: labels, detections and images.
        count: frames at most, evenly spread; by default all that were kept.
    """
    kept = list(evaluation.images)
    for place in spread_places(len(kept), len(kept) if count is None else count):
        frame_id = kept[place]
        picture = draw_found(
            frame_id,
            evaluation.images[frame_id],
            evaluation.labels[frame_id],
            evaluation.detections[frame_id],
            config=evaluation.config,
        )
        yield frame_id, picture


def draw_found(
    frame_id: str,
    encoded: bytes,
    labels: KittiObjects,
    found: Detections,
    *,
    config: DetectionConfig,
) -> np.ndarray:
    """Draws hits, misses and false alarms of a frame over its image.

    Args:
        frame_id: the title.
        encoded: the image, as it is in the records.
        labels: ground truth.
        found: detections; those that reach `config.drawing_scores` are drawn.
        config: says which objects count, too.

    Returns:
        uint8 [H, W, 3].
    """
    return draw_match_overlay(
        decode_image(encoded, f"frame {frame_id}"),
        labels,
        found.above(config.drawing_scores()).to_kitti(),
        task=config.eval_task(),
        protocol=config.eval.protocol,
        title=frame_id,
    )


def tensorboard_overlays(evaluation: Evaluation) -> np.ndarray:
    """Draws `train.tensorboard_images` frames at the network's size: uint8 [N, H, W, 3]."""
    height, width = evaluation.config.image_size
    count = evaluation.config.train.tensorboard_images
    return np.stack(
        [
            cv2.resize(overlay, (width, height), interpolation=cv2.INTER_AREA)
            for _, overlay in draw_frames(evaluation, count)
        ]
    )
