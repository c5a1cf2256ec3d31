"""The heads, each with its layers and its loss; one class a head, told apart by `kind`."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field

from mobilenetdet.config.validation import (
    Channels,
    Fraction,
    NonNegative,
    Share,
    section,
)

BoxLoss = Literal["squared", "smooth_l1", "giou", "ciou", "tfa_giou"]
NumBlocks = Annotated[int, Field(ge=0, le=8)]


@section("head.class_loss")
class FocalLoss:
    """Sigmoid focal loss (RetinaNet, arXiv 1708.02002): one score for each class."""

    # Loss of the classes: focal, quality_focal, softmax or tfa_focal (of tensorflow-addons).
    kind: Literal["focal"] = "focal"
    # Weight of anchors with an object, 0 to 1; the others have 1 minus this. 0.25 as published.
    alpha: Share = 0.25
    # Exponent that fades out what is classified well, 0 or more; 0 = cross-entropy. 2 as published.
    gamma: NonNegative = 2.0


@section("head.class_loss")
class QualityFocalLoss:
    """Quality focal loss (arXiv 2006.04388): the score learns the IoU of the predicted box."""

    # Loss of the classes: focal, quality_focal, softmax or tfa_focal (of tensorflow-addons).
    kind: Literal["quality_focal"] = "quality_focal"
    # Exponent of the distance between score and IoU, 0 or more. 2 as published.
    gamma: NonNegative = 2.0


@section("head.class_loss")
class SoftmaxLoss:
    """Softmax cross-entropy with background as a class, on the hardest negatives (SSD)."""

    # Loss of the classes: focal, quality_focal, softmax or tfa_focal (of tensorflow-addons).
    kind: Literal["softmax"] = "softmax"
    # Background anchors trained for each anchor with an object, 0 or more; those of the highest
    # loss. 3 as published.
    hard_negatives: NonNegative = 3.0


@section("head.class_loss")
class AddonsFocalLoss:
    """Sigmoid focal loss of tensorflow-addons; needs the extra [addons], equals `focal`."""

    # Loss of the classes: focal, quality_focal, softmax or tfa_focal (of tensorflow-addons).
    kind: Literal["tfa_focal"] = "tfa_focal"
    # Weight of anchors with an object, 0 to 1; the others have 1 minus this. 0.25 as published.
    alpha: Share = 0.25
    # Exponent that fades out what is classified well, 0 or more; 0 = cross-entropy. 2 as published.
    gamma: NonNegative = 2.0


ClassLoss = Annotated[
    FocalLoss | QualityFocalLoss | SoftmaxLoss | AddonsFocalLoss, Field(discriminator="kind")
]


@section("head")
class SqueezeDetHeadConfig:
    """SqueezeDet's head and loss (arXiv 1612.01051): class probability times confidence.

    The paper weighs box, confidence (with and without object) and class loss with 5, 75, 100 and 1,
    and divides the confidence loss of background anchors by their number, about a thousand times
    that of the others. A false alarm then costs so little that only long training removes it; the
    defaults divide by the number of anchors with an object.
    """

    # Head: squeezedet (one level, class probability times confidence) or ssd (one or more levels).
    kind: Literal["squeezedet"] = "squeezedet"
    # Depthwise-separable blocks before the prediction layer, 0 to 8; SqueezeDet has two fire
    # modules there.
    blocks: NumBlocks = 2
    # Channels of those blocks, 1 or more.
    channels: Channels = 512
    # Dropout rate before the prediction layer, 0 to 1.
    dropout: Fraction = 0.0
    # Loss of the boxes: squared (as published) or smooth_l1 difference of the encoded boxes, or 1
    # minus the generalised (giou) or complete (ciou) IoU; tfa_giou is giou of tensorflow-addons.
    box_loss: BoxLoss = "squared"
    # Weight of the box loss, 0 or more.
    box_weight: NonNegative = 20.0
    # Weight of the confidence loss of anchors with an object, 0 or more.
    confidence_positive_weight: NonNegative = 75.0
    # Weight of the confidence loss of background anchors, 0 or more.
    confidence_negative_weight: NonNegative = 5.0
    # What the confidence loss of background anchors is divided by: their number (negatives, as
    # published) or that of the anchors with an object (positives, which trains faster).
    negative_normaliser: Literal["negatives", "positives"] = "positives"
    # Weight of the class loss, 0 or more.
    class_weight: NonNegative = 3.0


@section("head")
class SsdHeadConfig:
    """SSD's head (arXiv 1512.02325) on one or more levels: a class score and a box an anchor."""

    # Head: squeezedet (one level, class probability times confidence) or ssd (one or more levels).
    kind: Literal["ssd"] = "ssd"
    # Depthwise-separable blocks before the prediction layers of each level, 0 to 8.
    blocks: NumBlocks = 2
    # Channels of those blocks, 1 or more.
    channels: Channels = 128
    # Dropout rate before the prediction layers, 0 to 1.
    dropout: Fraction = 0.0
    # Loss of the boxes: squared or smooth_l1 (as published) difference of the encoded boxes, or 1
    # minus the generalised (giou) or complete (ciou) IoU; tfa_giou is giou of tensorflow-addons.
    box_loss: BoxLoss = "giou"
    # Weight of the box loss, 0 or more.
    box_weight: NonNegative = 2.0
    # Weight of the class loss, 0 or more.
    class_weight: NonNegative = 1.0
    class_loss: ClassLoss = field(default_factory=QualityFocalLoss)


Head = Annotated[SqueezeDetHeadConfig | SsdHeadConfig, Field(discriminator="kind")]
