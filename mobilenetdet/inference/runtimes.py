"""What runs a network: one class a runtime, behind one interface.

A runtime takes letterboxed images and gives boxes in their pixels. Everything around it (reading
pictures, letterboxing, the way back to the pixels of the picture) is `loaded_detector.py`.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import keras
import numpy as np
from keras import ops

from mobilenetdet.inference.detection_model import DetectionModel
from mobilenetdet.models.detector import Detector


class RawDetections(NamedTuple):
    """Detections of a batch, in pixels of the network input; rows that are left over have class -1.

    Attributes:
        boxes: float [B, N, 4], xyxy.
        scores: float [B, N], 0 to 1, descending.
        classes: int [B, N], places in the runtime's classes, or -1.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


class Runtime(Protocol):
    """A network with its post-processing, in whatever program it runs.

    Attributes:
        image_size: height and width of the input, pixels.
        classes: names, by class index.
    """

    image_size: tuple[int, int]
    classes: tuple[str, ...]

    def run(self, images: np.ndarray) -> RawDetections:
        """Detects in letterboxed images, uint8 [B, *image_size, 3], RGB."""
        ...


class KerasRuntime:
    """A `Detector` in Keras, on whichever backend it has."""

    def __init__(self, detector: Detector) -> None:
        """Wraps a detector; later changes of its weights are seen."""
        self.detector = detector
        self.image_size = detector.image_size
        self.classes = detector.config.data.classes
        self._model = DetectionModel(detector, detector.config.postprocess)
        # XLA is the way of JAX, and many times slower than without on TensorFlow's CPU.
        self._model.compile(jit_compile=keras.backend.backend() == "jax")

    def run(self, images: np.ndarray) -> RawDetections:
        """Detects in letterboxed images, uint8 [B, *image_size, 3], RGB."""
        outputs = self._model.predict_on_batch(images)
        return RawDetections(
            *(ops.convert_to_numpy(outputs[name]) for name in ("boxes", "scores", "classes"))
        )
