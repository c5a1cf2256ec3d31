"""Sizes of the network input: the sides that it may have, and one of the shape of pictures."""

from __future__ import annotations

from collections.abc import Sequence

# As `config.validation.ImageSide` has them, pixels.
_STEP, _MAX_SIDE = 32, 8192


def input_side(pixels: float) -> int:
    """Returns the side of an input that is nearest to a number of pixels.

    Example: 100 gives 96, 3 gives 32.
    """
    return min(_MAX_SIDE, max(_STEP, _STEP * round(pixels / _STEP)))


def fitting_size(image_size: Sequence[int], num_pixels: int) -> tuple[int, int]:
    """Returns height and width of an input of the shape of pictures.

    Args:
        image_size: height and width of the pictures.
        num_pixels: of the input, about. Never more than the pictures have.

    Example: for 480x640 and as many pixels as 384x1248 has it is 480x640, for 1080x1920 512x928.
    """
    height, width = image_size
    scale = min(1.0, (num_pixels / (height * width)) ** 0.5)
    return input_side(height * scale), input_side(width * scale)
