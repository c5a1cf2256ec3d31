"""The network in Keras, on TensorFlow or JAX."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from mobilenetdet.inference.detection_model import DetectionModel
from mobilenetdet.inference.runtimes import RawDetections
from mobilenetdet.models.detector import Detector
from mobilenetdet.replicas import fill_rows


class KerasRuntime:
    """A `Detector` in Keras, on whichever backend it has."""

    def __init__(self, detector: Detector) -> None:
        """Wraps a detector; later changes of its weights are seen."""
        self.detector = detector
        self.image_size = detector.image_size
        self.classes = detector.config.data.classes
        self.engine = f"Keras {keras.__version__} on {keras.backend.backend()}"
        self._model = DetectionModel(detector, detector.config.postprocess)
        # XLA is the way of JAX, and many times slower than without on TensorFlow's CPU.
        self._model.compile(jit_compile=keras.backend.backend() == "jax")

    def run(self, images: np.ndarray) -> RawDetections:
        """Detects in letterboxed images, uint8 [B, *image_size, 3], RGB."""
        outputs = self._model.predict_on_batch(fill_rows(images))
        names, count = ("boxes", "scores", "classes"), len(images)
        return RawDetections(*(ops.convert_to_numpy(outputs[name])[:count] for name in names))
