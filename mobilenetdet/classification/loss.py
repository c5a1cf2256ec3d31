"""The loss of a classifier, and its mean over a batch that devices share."""

from __future__ import annotations

import keras
from keras import ops

from mobilenetdet.boxes.geometry import Tensor
from mobilenetdet.replicas import count_over_replicas


@keras.saving.register_keras_serializable("mobilenetdet")
class SmoothedCrossEntropy(keras.losses.Loss):
    """Cross-entropy of logits with labels as numbers, smoothed (arXiv 1512.00567, section 7).

    The target of an image is 1 - s for its class, and s / C more for every class.
    """

    def __init__(self, label_smoothing: float = 0.0, **options: object) -> None:
        """Takes s, in [0, 1), and the options of `keras.losses.Loss`."""
        super().__init__(**options)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The loss of each image: [B] of labels [B] and logits [B, C]."""
        num_classes = y_pred.shape[-1]
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        targets = ops.one_hot(labels, num_classes, dtype="float32")
        smoothing = self.label_smoothing
        targets = targets * (1.0 - smoothing) + smoothing / num_classes
        logits = ops.cast(y_pred, "float32")
        return ops.categorical_crossentropy(targets, logits, from_logits=True)

    def get_config(self) -> dict[str, object]:
        """Everything that `__init__` needs."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable("mobilenetdet")
class TrainableClassifier(keras.Model):
    """A classifier whose loss is the mean over the images of the whole batch.

    Made of inputs and outputs, as any functional model. Keras takes the mean of each device and
    then that of the devices, which is another where one has fewer images, or images of weight 0.
    """

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """Sums the losses of the images of this device, over the number of all images.

        Args:
            x: images, unused.
            y: labels [B].
            y_pred: logits [B, C].
            sample_weight: [B], 0 for an image that only fills up the batch; by default 1.
            training: unused.
        """
        losses = self.loss(y, y_pred)  # [B], `compile` was given a loss that does not reduce
        weights = ops.ones_like(losses)
        if sample_weight is not None:
            weights = ops.cast(sample_weight, losses.dtype)
        return ops.sum(losses * weights) / count_over_replicas(weights)
