"""SqueezeDet's head: raw predictions for every anchor of one feature map, and their losses."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
from keras import ops

from mobilenetdet.boxes.geometry import Tensor, iou
from mobilenetdet.config.detection import DetectionConfig, SqueezeDetHeadConfig
from mobilenetdet.models.anchor_head import (
    PREDICTION_LAYER,
    AnchorHead,
    ClassificationTargets,
    Predictions,
    softmax_by_class,
)
from mobilenetdet.models.layers import separable_layers
from mobilenetdet.models.losses import cross_entropy, squared_confidence_error
from mobilenetdet.replicas import count_over_replicas

# Prior probability that sets the initial bias of the confidence; without it the loss of the many
# background anchors dominates the first steps.
_PRIOR = 0.01


@keras.saving.register_keras_serializable("mobilenetdet")
class SqueezeDetHead(AnchorHead):
    """SqueezeDet's ConvDet layer (arXiv 1612.01051): one 3x3 convolution predicts everything.

    For each of K anchors at a cell it gives C class logits, one confidence logit and 4 box deltas.
    The score of a class is its softmax probability times the confidence, which learns the IoU of
    the predicted box with the object.
    """

    loss_parts = (
        "box_loss",
        "confidence_positive_loss",
        "confidence_negative_loss",
        "class_loss",
    )

    def __init__(
        self,
        num_classes: int,
        num_shapes: int,
        *,
        num_blocks: int = 0,
        channels: int = 512,
        dropout: float = 0.0,
        batch_norm_momentum: float = 0.99,
        **options: object,
    ) -> None:
        """Makes the layers.

        Args:
            num_classes: C.
            num_shapes: K, anchors at a cell.
            num_blocks: depthwise-separable blocks before the prediction.
            channels: of those blocks.
            dropout: rate before the prediction.
            batch_norm_momentum: share of the running statistics that a training step keeps.
            **options: of `keras.layers.Layer`.
        """
        super().__init__(**options)
        self.num_classes, self.num_shapes = num_classes, num_shapes
        self.num_blocks, self.channels, self.dropout_rate = num_blocks, channels, dropout
        self.batch_norm_momentum = batch_norm_momentum
        self.blocks = [
            layer
            for index in range(num_blocks)
            for layer in separable_layers(channels, f"head_{index}", batch_norm_momentum)
        ]
        self.dropout = keras.layers.Dropout(dropout, name="dropout")
        outputs = num_shapes * (num_classes + 5)
        self.prediction = keras.layers.Conv2D(
            outputs,
            3,
            padding="same",
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            bias_initializer=self._initial_bias,
            name=PREDICTION_LAYER,
        )

    @classmethod
    def from_detection_config(cls, config: DetectionConfig, **options: object) -> SqueezeDetHead:
        """Makes the head of a detector with a single level."""
        (level,) = config.model.levels
        return cls(
            config.num_classes,
            len(level.anchors),
            num_blocks=config.head.blocks,
            channels=config.head.channels,
            dropout=config.head.dropout,
            batch_norm_momentum=config.model.batch_norm_momentum,
            **options,
        )

    def call(
        self, features: Tensor | Sequence[Tensor], training: bool | None = None
    ) -> Predictions:
        """Predicts for every anchor of a map.

        Args:
            features: [B, H, W, F], or a sequence of this one map.
            training: switches dropout and batch statistics.

        Returns:
            float32 "class_logits" [B, A, C], "confidence_logits" [B, A] and "deltas" [B, A, 4],
            with A = H * W * K in the order of `grid_anchors`.
        """
        (x,) = features if isinstance(features, (list, tuple)) else (features,)
        for layer in self.blocks:
            x = layer(x) if isinstance(layer, keras.layers.ReLU) else layer(x, training=training)
        x = self.prediction(self.dropout(x, training=training))  # [B, H, W, K * (C + 5)]
        rows, columns = x.shape[1:3]
        # A known number of anchors lets post-processing run on any number of images.
        anchors = -1 if None in (rows, columns) else rows * columns * self.num_shapes
        x = ops.reshape(ops.cast(x, "float32"), (ops.shape(x)[0], anchors, self.num_classes + 5))
        classes = self.num_classes
        # Split, not sliced: the gradient of a slice is an array of zeros as large as x.
        class_logits, confidence_logits, deltas = ops.split(x, [classes, classes + 1], axis=-1)
        return {
            "class_logits": class_logits,
            "confidence_logits": ops.squeeze(confidence_logits, axis=-1),
            "deltas": deltas,
        }

    def scores(self, predictions: Predictions) -> Tensor:
        """Scores [B, C, A], 0 to 1."""
        confidences = ops.sigmoid(predictions["confidence_logits"])
        return softmax_by_class(predictions["class_logits"]) * confidences[:, None]

    def score_losses(
        self,
        predictions: Predictions,
        targets: ClassificationTargets,
        config: SqueezeDetHeadConfig,
    ) -> dict[str, Tensor]:
        """The losses of the confidence and of the classes (section 3.3 of the paper)."""
        matches, rows, num_positive = targets.matches, targets.rows, targets.num_positive
        boxes = targets.boxes
        overlaps = iou(ops.stop_gradient(boxes.boxes_xyxy), boxes.targets_xyxy)
        confidence_logits = predictions["confidence_logits"]  # [B, A]
        confidence_losses = squared_confidence_error(rows.take(confidence_logits), overlaps)
        cls_targets = rows.take_objects(matches.gt_index, targets.gt_classes)
        class_losses = cross_entropy(rows.take(predictions["class_logits"]), cls_targets)
        parts = {
            "confidence_positive_loss": (
                config.confidence_positive_weight * rows.sum(confidence_losses)
            ),
            "class_loss": config.class_weight * rows.sum(class_losses),
        }
        parts = {name: value / num_positive for name, value in parts.items()}
        negative = ops.cast(matches.negative, "float32")
        by_negatives = config.negative_normaliser == "negatives"
        negative_normaliser = count_over_replicas(negative) if by_negatives else num_positive
        at_negative = ops.sum(squared_confidence_error(confidence_logits, 0.0) * negative)
        parts["confidence_negative_loss"] = (
            config.confidence_negative_weight * at_negative / negative_normaliser
        )
        return parts

    def get_config(self) -> dict[str, object]:
        """Everything that `__init__` needs."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "num_shapes": self.num_shapes,
            "num_blocks": self.num_blocks,
            "channels": self.channels,
            "dropout": self.dropout_rate,
            "batch_norm_momentum": self.batch_norm_momentum,
        }

    def _initial_bias(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        bias = [0.0] * self.num_classes + [-math.log(1 / _PRIOR - 1)] + [0.0] * 4
        return ops.convert_to_tensor(bias * self.num_shapes, dtype=dtype)
