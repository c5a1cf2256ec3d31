"""What the tests of data share."""

from collections.abc import Callable

import numpy as np
import pytest

from mobilenetdet.data.letterbox_image import BORDER_GREY


@pytest.fixture(scope="session")
def find_rectangle() -> Callable[[np.ndarray], np.ndarray]:
    """A function: the xyxy [4] of the one bright rectangle on grey, to parts of a pixel."""

    def find(image):
        bright = np.clip((image[..., 0].astype(float) - BORDER_GREY) / (255 - BORDER_GREY), 0, 1)
        box = np.zeros(4)
        for axis in (0, 1):  # 0: the sum over rows gives the extent in x
            profile = bright.sum(axis=axis)
            profile = profile / profile.max()
            size = profile.sum()
            centre = (profile * (np.arange(len(profile)) + 0.5)).sum() / size
            box[[axis, axis + 2]] = centre - size / 2, centre + size / 2
        return box

    return find
