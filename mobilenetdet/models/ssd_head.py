"""SSD's head: separable predictors on several maps, and its classification losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import keras
from keras import ops

from mobilenetdet.boxes.geometry import Tensor, iou
from mobilenetdet.config.detection import (
    AddonsFocalLoss,
    DetectionConfig,
    FocalLoss,
    QualityFocalLoss,
    SoftmaxLoss,
    SsdHeadConfig,
)
from mobilenetdet.models.addons_losses import tfa_focal
from mobilenetdet.models.anchor_head import (
    PREDICTION_LAYER,
    AnchorHead,
    ClassificationTargets,
    Predictions,
    softmax_by_class,
)
from mobilenetdet.models.layers import PointwiseConv2D, separable_layers
from mobilenetdet.models.losses import (
    background_focal,
    cross_entropy,
    logit_divergence,
    quality_focal,
    sigmoid_focal,
)

# Probability of an object that the class logits start from (RetinaNet, arXiv 1708.02002).
_PRIOR = 0.01


@keras.saving.register_keras_serializable("mobilenetdet")
class SsdHead(AnchorHead):
    """SSD's predictors (arXiv 1512.02325) on several maps, depthwise-separable as in SSDLite.

    For each anchor it gives class logits and 4 box deltas. Classes are either told apart from
    each other and from background by a softmax (SSD), or each has a sigmoid of its own (RetinaNet).
    """

    loss_parts = ("box_loss", "class_loss")

    def __init__(
        self,
        num_classes: int,
        num_shapes: Sequence[int],
        *,
        background: bool = False,
        num_blocks: int = 1,
        channels: int = 128,
        dropout: float = 0.0,
        batch_norm_momentum: float = 0.99,
        **options: object,
    ) -> None:
        """Makes the layers.

        Args:
            num_classes: C.
            num_shapes: anchors at a cell of each map.
            background: whether background is a class of a softmax.
            num_blocks: depthwise-separable blocks of each map before its predictors.
            channels: of those blocks.
            dropout: rate before the predictors.
            batch_norm_momentum: share of the running statistics that a training step keeps.
            **options: of `keras.layers.Layer`.
        """
        super().__init__(**options)
        self.num_classes, self.num_shapes = num_classes, tuple(num_shapes)
        self.background, self.num_blocks, self.channels = background, num_blocks, channels
        self.dropout_rate, self.batch_norm_momentum = dropout, batch_norm_momentum
        self.num_logits = num_classes + int(background)
        maps = range(len(self.num_shapes))
        self.towers = [self._tower(f"tower_{index}") for index in maps]
        self.dropout = keras.layers.Dropout(dropout, name="dropout")
        self.class_predictors = [
            self._predictor(count * self.num_logits, f"class_{index}", self._initial_bias)
            for index, count in enumerate(self.num_shapes)
        ]
        self.box_predictors = [
            self._predictor(count * 4, f"box_{index}", "zeros")
            for index, count in enumerate(self.num_shapes)
        ]

    @classmethod
    def from_detection_config(cls, config: DetectionConfig, **options: object) -> SsdHead:
        """Makes the head of a detector with one or more levels."""
        head = cast(SsdHeadConfig, config.head)
        return cls(
            config.num_classes,
            [len(level.anchors) for level in config.model.levels],
            background=isinstance(head.class_loss, SoftmaxLoss),
            num_blocks=head.blocks,
            channels=head.channels,
            dropout=head.dropout,
            batch_norm_momentum=config.model.batch_norm_momentum,
            **options,
        )

    def call(self, maps: Sequence[Tensor], training: bool | None = None) -> Predictions:
        """Predicts for every anchor of every map.

        Args:
            maps: [B, H, W, F] each, in the order of `num_shapes`.
            training: switches dropout and batch statistics.

        Returns:
            float32 "class_logits" [B, A, C], or C + 1 with background first, and "deltas"
            [B, A, 4]; the anchors of the first map come first, each map's as in `grid_anchors`.
        """
        logits: list[Tensor] = []
        deltas: list[Tensor] = []
        for index, x in enumerate(maps):
            x = self.dropout(self.towers[index](x, training=training), training=training)
            for found, predictor, width in (
                (logits, self.class_predictors[index], self.num_logits),
                (deltas, self.box_predictors[index], 4),
            ):
                predicted = ops.cast(predictor(x, training=training), "float32")
                rows, columns = predicted.shape[1:3]
                # A known number of anchors lets post-processing run on any number of images.
                known = None not in (rows, columns)
                anchors = rows * columns * self.num_shapes[index] if known else -1
                found.append(ops.reshape(predicted, (ops.shape(predicted)[0], anchors, width)))
        return {
            "class_logits": ops.concatenate(logits, axis=1),
            "deltas": ops.concatenate(deltas, axis=1),
        }

    def scores(self, predictions: Predictions) -> Tensor:
        """Scores [B, C, A], 0 to 1."""
        logits = predictions["class_logits"]
        if self.background:
            return softmax_by_class(logits)[:, 1:]
        return ops.sigmoid(ops.transpose(logits, (0, 2, 1)))

    def score_divergences(self, predictions: Predictions, targets: Tensor) -> Tensor:
        """How far the scores are from others, [B, C, A]; see `AnchorHead.score_divergences`."""
        if self.background:
            return super().score_divergences(predictions, targets)
        return logit_divergence(ops.transpose(predictions["class_logits"], (0, 2, 1)), targets)

    def score_losses(
        self, predictions: Predictions, targets: ClassificationTargets, config: SsdHeadConfig
    ) -> dict[str, Tensor]:
        """The class loss, divided by the number of anchors with an object."""
        class_losses: dict[type, Callable[..., Tensor]] = {
            FocalLoss: _focal_loss,
            AddonsFocalLoss: _focal_loss,
            QualityFocalLoss: _quality_focal_loss,
            SoftmaxLoss: _softmax_loss,
        }
        class_loss = class_losses[type(config.class_loss)]
        total = class_loss(predictions["class_logits"], targets, config.class_loss)
        return {"class_loss": config.class_weight * total / targets.num_positive}

    def get_config(self) -> dict[str, object]:
        """Everything that `__init__` needs."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "num_shapes": self.num_shapes,
            "background": self.background,
            "num_blocks": self.num_blocks,
            "channels": self.channels,
            "dropout": self.dropout_rate,
            "batch_norm_momentum": self.batch_norm_momentum,
        }

    def _tower(self, name: str) -> keras.layers.Layer:
        momentum = self.batch_norm_momentum
        layers = [
            layer
            for index in range(self.num_blocks)
            for layer in separable_layers(self.channels, f"{name}_{index}", momentum)
        ]
        return keras.Sequential(layers, name=name) if layers else keras.layers.Identity(name=name)

    def _predictor(self, filters: int, name: str, bias: object) -> keras.layers.Layer:
        return PointwiseConv2D(
            filters,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            bias_initializer=bias,
            name=f"{name}_{PREDICTION_LAYER}",
        )

    def _initial_bias(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        """Logits of an image in which hardly any anchor has an object."""
        if self.background:
            # softmax(b, 0, ..) gives background 1 - prior.
            one = [math.log((1 - _PRIOR) / _PRIOR * self.num_classes)] + [0.0] * self.num_classes
        else:
            one = [-math.log(1 / _PRIOR - 1)] * self.num_classes
        return ops.convert_to_tensor(one * (shape[0] // len(one)), dtype=dtype)


def _focal_loss(
    logits: Tensor, targets: ClassificationTargets, config: FocalLoss | AddonsFocalLoss
) -> Tensor:
    """Sigmoid focal loss, summed over the anchors with an object and those on background."""
    matches = targets.matches
    classes = ops.take_along_axis(targets.gt_classes, matches.gt_index, axis=1)  # [B, A]
    classes = ops.where(matches.positive, classes, -1)  # a row of zeros
    one_hot = ops.one_hot(ops.cast(classes, "int32"), logits.shape[-1], dtype="float32")
    focal = tfa_focal if isinstance(config, AddonsFocalLoss) else sigmoid_focal
    losses = focal(logits, one_hot, alpha=config.alpha, gamma=config.gamma)  # [B, A, C]
    counts = ops.cast(ops.logical_or(matches.positive, matches.negative), "float32")
    return ops.sum(ops.sum(losses, axis=-1) * counts)


def _quality_focal_loss(
    logits: Tensor, targets: ClassificationTargets, config: QualityFocalLoss
) -> Tensor:
    """Quality focal loss, summed; the target of an object's score is the IoU of its box."""
    rows, boxes = targets.rows, targets.boxes
    overlaps = iou(ops.stop_gradient(boxes.boxes_xyxy), boxes.targets_xyxy)  # [P]
    classes = rows.take_objects(targets.matches.gt_index, targets.gt_classes)
    one_hot = ops.one_hot(ops.cast(classes, "int32"), logits.shape[-1], dtype="float32")
    of_objects = quality_focal(
        rows.take(logits), one_hot * overlaps[:, None], beta=config.gamma
    )  # [P, C]
    of_background = background_focal(logits, beta=config.gamma)
    negative = ops.cast(targets.matches.negative, "float32")
    return rows.sum(ops.sum(of_objects, axis=-1)) + ops.sum(
        ops.sum(of_background, axis=-1) * negative
    )


def _softmax_loss(logits: Tensor, targets: ClassificationTargets, config: SoftmaxLoss) -> Tensor:
    """Cross-entropy of anchors with an object and of each image's hardest negatives."""
    matches = targets.matches
    classes = ops.take_along_axis(targets.gt_classes, matches.gt_index, axis=1)  # [B, A]
    losses = cross_entropy(logits, ops.where(matches.positive, classes + 1, 0))  # [B, A]
    positive = ops.cast(matches.positive, "float32")
    negative_losses = ops.where(matches.negative, ops.stop_gradient(losses), -1.0)
    # The rank of each negative among those of its image, the hardest first.
    ranks = ops.argsort(ops.argsort(-negative_losses, axis=1), axis=1)
    # An image without objects counts as one with a single object.
    num_wanted = config.hard_negatives * ops.maximum(ops.sum(positive, axis=1), 1.0)
    is_hard = ops.cast(ranks, "float32") < num_wanted[:, None]
    hard = ops.cast(ops.logical_and(is_hard, matches.negative), "float32")
    return ops.sum(losses * (positive + hard))
