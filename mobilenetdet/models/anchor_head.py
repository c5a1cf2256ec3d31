"""Base class of the heads: boxes from deltas, and the loss of the boxes."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import keras
from keras import ops

from mobilenetdet.boxes.coding import decode
from mobilenetdet.boxes.gather import PositiveAnchors, batched_gather
from mobilenetdet.boxes.geometry import Tensor
from mobilenetdet.boxes.matching import AnchorMatches
from mobilenetdet.config.detection import DetectionConfig, SqueezeDetHeadConfig, SsdHeadConfig
from mobilenetdet.models.box_losses import PositiveBoxes, positive_box_losses
from mobilenetdet.models.losses import score_divergence
from mobilenetdet.replicas import count_over_replicas

Predictions = dict[str, Tensor]
HeadConfig = SqueezeDetHeadConfig | SsdHeadConfig
# How the names of a head's last layers end, whose shapes go with the classes and the anchors.
PREDICTION_LAYER = "prediction"


class ClassificationTargets(NamedTuple):
    """Inputs of the classification loss.

    Attributes:
        matches: object or background of each anchor.
        gt_classes: int [B, N].
        rows: the P anchors with an object.
        boxes: their boxes, predicted and true.
        num_positive: scalar, how many they are, at least 1.
    """

    matches: AnchorMatches
    gt_classes: Tensor
    rows: PositiveAnchors
    boxes: PositiveBoxes
    num_positive: Tensor


class AnchorHead(keras.layers.Layer):
    """A layer that predicts "deltas" [B, A, 4] and something that scores come from.

    A new head is a module with a subclass, which defines `loss_parts` and all that raises
    NotImplementedError here, and its loss, a section in `config/heads.py`, and an entry in
    `detector._HEADS`.
    """

    # Names of the parts of the loss.
    loss_parts: ClassVar[tuple[str, ...]]

    @classmethod
    def from_detection_config(cls, config: DetectionConfig, **options: Any) -> AnchorHead:
        """Makes the head of a detector; `options` are those of `keras.layers.Layer`."""
        raise NotImplementedError

    def scores(self, predictions: Predictions) -> Tensor:
        """Scores [B, C, A], 0 to 1; class by class, as they are ranked."""
        raise NotImplementedError

    def score_divergences(self, predictions: Predictions, targets: Tensor) -> Tensor:
        """How far the scores are from others, [B, C, A]; 0 where they are the same.

        Args:
            predictions: from `call`.
            targets: [B, C, A], 0 to 1.
        """
        return score_divergence(self.scores(predictions), targets)

    def score_losses(
        self, predictions: Predictions, targets: ClassificationTargets, config: Any
    ) -> dict[str, Tensor]:
        """The parts of the loss beside the box loss, weighted and normalised, scalars."""
        raise NotImplementedError

    def boxes(self, predictions: Predictions, anchors_xyxy: Tensor, index: Tensor = None) -> Tensor:
        """Boxes xyxy, pixels of the network input, not clipped.

        Args:
            predictions: from `call`.
            anchors_xyxy: [A, 4], pixels.
            index: int [B, K], the anchors whose boxes are wanted; by default all.

        Returns:
            [B, K, 4], or [B, A, 4].
        """
        deltas = predictions["deltas"]
        if index is None:
            return decode(deltas, anchors_xyxy)
        return decode(batched_gather(deltas, index), ops.take(anchors_xyxy, index, axis=0))

    def losses_by_part(
        self,
        predictions: Predictions,
        anchors_xyxy: Tensor,
        matches: AnchorMatches,
        *,
        gt_boxes: Tensor,
        gt_classes: Tensor,
        config: HeadConfig,
    ) -> dict[str, Tensor]:
        """The parts of the loss, weighted, each a scalar; the loss is their sum.

        The box loss is divided by the number of anchors with an object. Where several devices share
        a batch, each divides by the number in all of it: the loss of the batch is their sum.

        Args:
            predictions: from `call`.
            anchors_xyxy: [A, 4], pixels.
            matches: object or background of each anchor.
            gt_boxes: [B, N, 4], pixels of the network input.
            gt_classes: int [B, N].
            config: of the head: its losses and their weights.
        """
        rows = PositiveAnchors(matches.positive)
        boxes = positive_box_losses(
            config.box_loss,
            rows,
            predictions["deltas"],
            anchors_xyxy=anchors_xyxy,
            matches=matches,
            gt_boxes=gt_boxes,
        )
        num_positive = count_over_replicas(rows.weights)
        targets = ClassificationTargets(matches, gt_classes, rows, boxes, num_positive)
        return {
            "box_loss": config.box_weight * rows.sum(boxes.losses) / num_positive,
            **self.score_losses(predictions, targets, config),
        }


def softmax_by_class(logits: Tensor) -> Tensor:
    """Probabilities [B, C, A] of logits [B, A, C].

    On a CPU this is faster than TensorFlow's softmax over a handful of columns.
    """
    by_class = ops.transpose(logits, (0, 2, 1))
    powers = ops.exp(by_class - ops.max(by_class, axis=1, keepdims=True))
    return powers / ops.sum(powers, axis=1, keepdims=True)
