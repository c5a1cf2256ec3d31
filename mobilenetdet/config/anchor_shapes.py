"""Shapes of anchors: SqueezeDet's, those fitted to KITTI, and SSD's default boxes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

Shapes = tuple[tuple[float, float], ...]

# (width, height) of SqueezeDet's nine anchors in pixels of a 1248x384 input (arXiv 1612.01051).
SQUEEZEDET_ANCHORS = (
    (36.0, 37.0),
    (366.0, 174.0),
    (115.0, 59.0),
    (162.0, 87.0),
    (38.0, 90.0),
    (258.0, 173.0),
    (224.0, 108.0),
    (78.0, 170.0),
    (72.0, 43.0),
)
# (width, height) of nine shapes fitted to KITTI's labels by k-medians over IoU, pixels of a
# 1248x384 input.
KITTI_ANCHORS = (
    (18.0, 49.0),
    (28.0, 21.0),
    (36.0, 86.0),
    (44.0, 31.0),
    (69.0, 43.0),
    (75.0, 165.0),
    (113.0, 61.0),
    (181.0, 100.0),
    (290.0, 178.0),
)
# Five shapes for stride 8, four for 16 and three for 32, fitted to all labels of KITTI by
# `mobilenetdet fit_anchors --strides 8 16 32 --num_shapes 5 4 3`: 1.4 % of the Cars, 4.2 % of the
# Pedestrians and 6.1 % of the Cyclists have no anchor of IoU 0.5.
KITTI_PYRAMID_LEVELS = (
    (8, ((11.7, 30.6), (28.0, 21.1), (19.4, 50.5), (43.1, 30.8), (31.6, 75.4))),
    (16, ((59.2, 48.0), (83.4, 35.8), (50.5, 115.3), (112.7, 62.1))),
    (32, ((83.7, 173.3), (180.2, 99.0), (283.4, 177.7))),
)


def scaled(shapes: Shapes, factor: float) -> Shapes:
    """Multiplies widths and heights, for another size of the input.

    Example: ((10, 20),) times 0.5 is ((5, 10),).
    """
    return tuple((width * factor, height * factor) for width, height in shapes)


def default_shapes(sizes: Sequence[float], ratios: Sequence[Sequence[float]]) -> list[Shapes]:
    """SSD's default boxes (arXiv 1512.02325, section 2.2): one size a map, several ratios.

    Args:
        sizes: side of the square box of each map, and one more at the end, pixels.
        ratios: width over height of the boxes of each map; all have the area of the square one.

    Returns:
        Shapes (width, height) of each map: one a ratio, and a square between this size and the
        next.

    Raises:
        ValueError: there is not one size more than maps.

    Example: sizes (20, 80) and ratios ((1, 4),) give [((20, 20), (40, 10), (40, 40))].
    """
    if len(sizes) != len(ratios) + 1:
        raise ValueError(f"{len(sizes)} sizes for {len(ratios)} maps; give one more than maps")
    levels = []
    for (size, larger), of_map in zip(itertools.pairwise(sizes), ratios, strict=True):
        between = math.sqrt(size * larger)
        shapes = [(size * math.sqrt(ratio), size / math.sqrt(ratio)) for ratio in of_map]
        levels.append((*shapes, (between, between)))
    return levels
