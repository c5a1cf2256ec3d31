"""A detector with its post-processing: from images to boxes in the pixels of the network input."""

from __future__ import annotations

import keras
from keras import ops

from mobilenetdet.boxes.geometry import Tensor
from mobilenetdet.config.detection import PostprocessConfig
from mobilenetdet.models.anchor_head import Predictions
from mobilenetdet.models.postprocess import select_detections


def detect(
    detector: keras.Model, predictions: Predictions, config: PostprocessConfig
) -> dict[str, Tensor]:
    """Makes detections of the raw predictions of a `Detector`; see `select_detections`."""
    head = detector.head

    def boxes_of(index: Tensor) -> Tensor:
        """Boxes of some anchors."""
        return head.boxes(predictions, detector.anchors, index)

    return select_detections(head.scores(predictions), boxes_of, detector.image_size, config)


def average_mirrored(predictions: Predictions, mirrored: Predictions, order: Tensor) -> Predictions:
    """Means of the raw predictions for an image and for its mirror image, anchor by anchor.

    Args:
        predictions: of the image; "deltas" [B, A, 4], and whatever its head makes scores of,
            [B, A] or [B, A, ...].
        mirrored: those of the image mirrored left to right.
        order: int [A], from `AnchorGrid.mirror_order`.

    Returns:
        The same entries and shapes.
    """
    back = mirrored_back(mirrored, order)
    return {name: (value + back[name]) / 2 for name, value in predictions.items()}


def mirrored_back(mirrored: Predictions, order: Tensor) -> Predictions:
    """Makes raw predictions for an image of those for its mirror image; see `average_mirrored`."""
    back = {name: ops.take(value, order, axis=1) for name, value in mirrored.items()}
    # To the right is to the left in the mirror.
    back["deltas"] = back["deltas"] * ops.convert_to_tensor([-1.0, 1.0, 1.0, 1.0])
    return back


class DetectionModel(keras.Model):
    """A detector with its post-processing: uint8 images in, detections out."""

    def __init__(self, detector: keras.Model, config: PostprocessConfig) -> None:
        """Wraps a `Detector`; the weights stay shared with it.

        Raises:
            ValueError: mirrored images are asked for, and the anchors have no mirror image.
        """
        super().__init__(name="detection_model")
        self.detector = detector
        self.postprocess = config
        self.mirror_order = None
        if config.mirror:
            self.mirror_order = detector.anchor_grid.mirror_order()  # [A]

    def call(self, images: Tensor) -> dict[str, Tensor]:
        """Detects in [B, H, W, 3]; see `select_detections`."""
        return detect(self.detector, self.predict_raw(images), self.postprocess)

    def predict_raw(self, images: Tensor) -> Predictions:
        """Predicts for [B, H, W, 3]; with `mirror` the mean of image and mirror image."""
        predictions = self.detector(images, training=False)
        if self.mirror_order is None:
            return predictions
        mirrored = self.detector(ops.flip(images, axis=2), training=False)
        return average_mirrored(predictions, mirrored, self.mirror_order)
