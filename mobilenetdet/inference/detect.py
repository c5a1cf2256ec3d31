"""Running a detector over a split of records."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.data.pipeline import eval_batches
from mobilenetdet.detections import Detections
from mobilenetdet.inference.detection_model import DetectionModel, to_detections
from mobilenetdet.models.detector import Detector

# Called with the number of frames that are done.
Progress = Callable[[int], None]


def make_detection_model(detector: Detector) -> DetectionModel:
    """Wraps a detector for `detect_images`; later changes of its weights are seen."""
    model = DetectionModel(detector, detector.config.postprocess)
    # XLA is the way of JAX, and many times slower than without on TensorFlow's CPU.
    model.compile(jit_compile=keras.backend.backend() == "jax")
    return model


def detect_images(
    model: DetectionModel, images: np.ndarray, image_info: np.ndarray
) -> list[Detections]:
    """Detects in one batch of letterboxed images.

    Args:
        model: from `make_detection_model`.
        images: uint8 [B, H, W, 3], RGB.
        image_info: float32 [B, 5], see `Letterbox.to_array`.

    Returns:
        Detections in pixels of the original images.
    """
    outputs = {k: ops.convert_to_numpy(v) for k, v in model.predict_on_batch(images).items()}
    return to_detections(outputs, image_info)


def detect_split(
    model: DetectionModel,
    config: DetectionConfig,
    split: str,
    progress: Progress | None = None,
) -> dict[str, Detections]:
    """Detects in every frame of a split, in the order of the records.

    Args:
        model: from `make_detection_model`.
        config: says where the records are.
        split: such as "val".
        progress: called after each batch with the frames done so far.

    Returns:
        Detections by frame id, in pixels of the original images.
    """
    found: dict[str, Detections] = {}
    for batch in eval_batches(config, split).as_numpy_iterator():
        images, info = _fill(batch["images"], batch["image_info"], config.eval.batch_size)
        detections = detect_images(model, images, info)
        # The last batch may be padded: zip stops at its last real frame.
        for frame_id, of_frame in zip(batch["frame_ids"], detections, strict=False):
            found[frame_id.decode()] = of_frame
        if progress is not None:
            progress(len(found))
    return found


def _fill(images: np.ndarray, info: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Repeats the last frame up to the batch size, so that nothing is compiled twice."""
    missing = size - len(images)
    if missing <= 0:
        return images, info
    return (
        np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]),
        np.concatenate([info, np.repeat(info[-1:], missing, axis=0)]),
    )
