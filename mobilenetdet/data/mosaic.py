"""Mosaic: a training frame put together from quarters of several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mobilenetdet.config.detection import AugmentConfig
from mobilenetdet.data.targets import Targets, make_targets

# The quarters meet in the middle part of the frame, shares of its sides.
_LEAST, _MOST = 0.3, 0.7
# Sets this stream of random numbers apart from that of a frame's augmentation.
_STREAM = 1


def add_mosaics(
    images: np.ndarray,
    targets: Sequence[Targets],
    seeds: Sequence[Sequence[int]],
    config: AugmentConfig,
    *,
    min_height: float,
) -> list[Targets]:
    """Replaces some frames of a batch by mosaics of its frames.

    The mosaic of YOLOv4 (arXiv 2004.10934) shrinks four frames into one. Here each quarter keeps
    its place and scale, so that small objects stay as large as they are and the horizon stays
    where it is; what is new is what stands beside what. What a seam leaves of an object counts as
    what a crop leaves of it.

    Args:
        images: uint8 [B, H, W, 3]; the chosen ones are changed.
        targets: their boxes.
        seeds: one a frame; the choice depends on it and on the batch.
        config: `mosaic` is the probability of each frame.
        min_height: objects lower than this are ignored.

    Returns:
        The boxes, of a mosaic those of its quarters. `num_dropped` stays that of the frame: what
        lies outside of a quarter was not lost by accident.
    """
    sources, result = None, list(targets)
    for index, seed in enumerate(seeds):
        random = np.random.default_rng([*seed, _STREAM])
        if random.random() >= config.mosaic:
            continue
        if sources is None:
            sources = images.copy()  # a mosaic is made of frames, not of mosaics
        chosen = [index, *random.integers(len(targets), size=3)]
        random.shuffle(chosen)
        parts = []
        for source, window in zip(chosen, _quarters(images.shape[1:3], random), strict=True):
            left, top, right, bottom = window
            images[index, top:bottom, left:right] = sources[source, top:bottom, left:right]
            parts.append(
                make_targets(
                    targets[source].boxes_xyxy,
                    targets[source].classes,
                    targets[source].box_status,
                    window_xyxy=np.array(window, np.float32),
                    min_size=config.min_box_size,
                    min_visibility=config.min_visibility,
                    min_height=min_height,
                )
            )
        result[index] = _joined(parts, targets[index].num_dropped)
    return result


def _quarters(
    size: tuple[int, int], random: np.random.Generator
) -> list[tuple[int, int, int, int]]:
    """Cuts an image of (height, width) into four windows, xyxy."""
    height, width = size
    x, y = (round(side * random.uniform(_LEAST, _MOST)) for side in (width, height))
    return [
        (left, top, right, bottom)
        for top, bottom in ((0, y), (y, height))
        for left, right in ((0, x), (x, width))
    ]


def _joined(parts: Sequence[Targets], num_dropped: int) -> Targets:
    return Targets(
        np.concatenate([part.boxes_xyxy for part in parts]),
        np.concatenate([part.classes for part in parts]),
        np.concatenate([part.box_status for part in parts]),
        num_dropped,
    )
