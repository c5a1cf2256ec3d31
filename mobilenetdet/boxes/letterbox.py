"""Letterboxing: an image fitted into the network input with its aspect kept, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Letterbox:
    """The transform from original pixels to network pixels: x' = x * scale + offset.

    Coordinates are continuous (pixel i covers [i, i + 1)), so one scale serves boxes and pixels.

    Attributes:
        scale: network pixels per original pixel, the same for both axes.
        offset_x: network pixels left of the image.
        offset_y: network pixels above the image.
        width: of the original image, pixels.
        height: of the original image, pixels.
    """

    scale: float
    offset_x: float
    offset_y: float
    width: int
    height: int

    @classmethod
    def fit(cls, image_size: tuple[int, int], network_size: tuple[int, int]) -> Letterbox:
        """Fits an image into the network input, centred.

        The drawn image has whole pixels, and its offset is whole: see `drawn_size`.

        Args:
            image_size: (height, width) of the original.
            network_size: (height, width) of the network input.

        Raises:
            ValueError: the image has no pixels.

        Example: a 100x200 image in a 64x64 input has scale 0.32 and 16 rows above it.
        """
        height, width = image_size
        if height <= 0 or width <= 0:
            raise ValueError(f"an image of height {height} and width {width} cannot be fitted")
        scale = min(network_size[0] / height, network_size[1] / width)
        drawn_height, drawn_width = round(height * scale), round(width * scale)
        offset_y = (network_size[0] - drawn_height) // 2
        offset_x = (network_size[1] - drawn_width) // 2
        return cls(scale, float(offset_x), float(offset_y), int(width), int(height))

    @classmethod
    def from_array(cls, image_info: np.ndarray) -> Letterbox:
        """Restores what `to_array` wrote."""
        scale, offset_x, offset_y, width, height = (float(v) for v in image_info)
        return cls(scale, offset_x, offset_y, int(width), int(height))

    def to_array(self) -> np.ndarray:
        """Returns float32 [5]: scale, offset_x, offset_y, width, height; it travels in batches."""
        values = (self.scale, self.offset_x, self.offset_y, self.width, self.height)
        return np.array(values, np.float32)

    @property
    def drawn_size(self) -> tuple[int, int]:
        """(height, width) that the image takes in the network input, whole pixels."""
        return max(1, round(self.height * self.scale)), max(1, round(self.width * self.scale))

    def apply(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Moves boxes [N, 4] from original to network pixels."""
        offsets = np.array([self.offset_x, self.offset_y] * 2)
        return boxes_xyxy * self.scale + offsets

    def undo(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Moves boxes [N, 4] from network to original pixels, clipped to the image."""
        offsets = np.array([self.offset_x, self.offset_y] * 2)
        limits = np.array([self.width, self.height] * 2, np.float64)
        return np.clip((boxes_xyxy - offsets) / self.scale, 0.0, limits)
