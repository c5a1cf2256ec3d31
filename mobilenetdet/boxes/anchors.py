"""Anchors: the same few box shapes at every cell of a feature map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# (stride, shapes) of each map.
Levels = Sequence[tuple[int, Sequence[tuple[float, float]]]]


@dataclass(frozen=True, eq=False)
class LevelSides:
    """Left, right, top and bottom of the anchors of one map.

    Anchors of one shape share left and right in a column, top and bottom in a row.

    Attributes:
        columns: float32 [columns, K, 2], left and right, pixels.
        rows: float32 [rows, K, 2], top and bottom, pixels.
    """

    columns: np.ndarray
    rows: np.ndarray

    @property
    def areas(self) -> np.ndarray:
        """Square pixels of each shape, float32 [K]."""
        return np.ptp(self.columns[0], axis=1) * np.ptp(self.rows[0], axis=1)


@dataclass(frozen=True, eq=False)
class AnchorGrid:
    """The anchors of all maps, one map after the other.

    Attributes:
        image_size: (height, width) of the network input, pixels.
        levels: (stride, shapes) of each map.
    """

    image_size: tuple[int, int]
    levels: Levels

    def boxes_xyxy(self) -> np.ndarray:
        """Returns float32 [A, 4], pixels; each map's as `grid_anchors` gives them."""
        return np.concatenate([grid_anchors(self.image_size, *level) for level in self.levels])

    def sides(self) -> list[LevelSides]:
        """Returns the sides of each map's anchors."""
        found = []
        for stride, shapes in self.levels:
            rows, columns = _num_cells(self.image_size, stride)
            boxes = grid_anchors(self.image_size, stride, shapes)
            boxes = boxes.reshape(rows, columns, len(shapes), 4)
            found.append(LevelSides(columns=boxes[0, :, :, 0::2], rows=boxes[:, 0, :, 1::2]))
        return found

    def mirror_order(self) -> np.ndarray:
        """Returns the permutation of anchors that mirrors the image left to right.

        Returns:
            int [A], indices of anchors.

        Raises:
            ValueError: the cells of a map reach beyond the image, so that its anchors have no
                mirror image among them.

        Example: two cells side by side with three shapes have (3, 4, 5, 0, 1, 2).
        """
        width = self.image_size[1]
        orders, start = [], 0
        for stride, shapes in self.levels:
            if width % stride:
                coarsest = max(each for each, _ in self.levels)
                raise ValueError(
                    f"the map of stride {stride} has no mirror image: its cells do not divide the "
                    f"width of {width} pixels; make data.image_width a multiple of {coarsest}, or "
                    "postprocess.mirror False"
                )
            rows, columns = _num_cells(self.image_size, stride)
            places = np.arange(rows * columns * len(shapes)).reshape(rows, columns, len(shapes))
            orders.append(start + places[:, ::-1].reshape(-1))
            start += places.size
        return np.concatenate(orders)


def grid_anchors(
    image_size: tuple[int, int], stride: int, shapes: Sequence[tuple[float, float]]
) -> np.ndarray:
    """Places each shape at the centre of each cell.

    Args:
        image_size: (height, width) of the network input, pixels.
        stride: pixels a cell; the map has ceil(side / stride) cells.
        shapes: K pairs (width, height), pixels.

    Returns:
        float32 [rows * columns * K, 4], xyxy pixels; the shape index runs fastest, then the column.
        Cell i is centred at (i + 0.5) * stride. Anchors may leave the image.

    Example: a 16x16 image at stride 16 and the shape (4, 2) give ((6, 7, 10, 9),).
    """
    rows, columns = _num_cells(image_size, stride)
    centre_y, centre_x = np.meshgrid(
        (np.arange(rows) + 0.5) * stride, (np.arange(columns) + 0.5) * stride, indexing="ij"
    )
    centres = np.stack([centre_x, centre_y], axis=-1)[:, :, None]  # [rows, columns, 1, 2]
    halves = np.asarray(shapes, np.float64)[None, None] / 2  # [1, 1, K, 2]
    boxes = np.concatenate([centres - halves, centres + halves], axis=-1)
    return boxes.reshape(-1, 4).astype(np.float32)


def _num_cells(image_size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Rows and columns of a map; the last cells may reach beyond the image."""
    height, width = image_size
    return -(-height // stride), -(-width // stride)
