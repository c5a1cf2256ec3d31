"""The interface of what runs a network; each runtime has a module of its own.

A runtime takes letterboxed images and gives boxes in their pixels. Everything around it (reading
pictures, letterboxing, the way back to the pixels of the picture) is `loaded_detector.py`.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

# Images that a runtime runs at once at most: each takes memory for tensors of its own.
MAX_STREAMS = 8


class RawDetections(NamedTuple):
    """Detections of a batch, in pixels of the network input; rows to spare have class id -1.

    Attributes:
        boxes: float [B, N, 4], xyxy.
        scores: float [B, N], 0 to 1, descending.
        class_ids: int [B, N], indices into the runtime's classes, or -1.
    """

    boxes: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray


class Runtime(Protocol):
    """A network with its post-processing, in whatever program it runs.

    Attributes:
        image_size: height and width of the input, pixels.
        classes: names, by class index.
        engine: what runs it, with its version.
    """

    image_size: tuple[int, int]
    classes: tuple[str, ...]
    engine: str

    def run(self, images: np.ndarray) -> RawDetections:
        """Detects in letterboxed images, uint8 [B, *image_size, 3], RGB."""
        ...
