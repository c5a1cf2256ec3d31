"""Losses per anchor. The caller weights, sums and normalises them."""

from __future__ import annotations

from keras import ops

from mobilenetdet.boxes.geometry import Tensor


def squared_error(deltas: Tensor, box_targets: Tensor) -> Tensor:
    """Squared differences summed over the four deltas: [..., 4] to [...]."""
    return ops.sum(ops.square(deltas - box_targets), axis=-1)


def smooth_l1(deltas: Tensor, box_targets: Tensor, beta: float = 1 / 9) -> Tensor:
    """Huber's loss summed over the four deltas: [..., 4] to [...].

    Half the square over beta below beta, linear with slope 1 above (Fast R-CNN, arXiv 1504.08083;
    beta of 1/9 as in Detectron).
    """
    error = ops.absolute(deltas - box_targets)
    losses = ops.where(error < beta, 0.5 * ops.square(error) / beta, error - 0.5 * beta)
    return ops.sum(losses, axis=-1)


def squared_confidence_error(confidence_logits: Tensor, targets: Tensor | float) -> Tensor:
    """SqueezeDet's squared error of the confidence: [...] of logits [...] and targets [...].

    The target is the overlap of the predicted box with its object, 0 to 1, and 0 for an anchor
    without one.
    """
    return ops.square(ops.sigmoid(confidence_logits) - targets)


def cross_entropy(class_logits: Tensor, cls_targets: Tensor) -> Tensor:
    """Softmax cross-entropy [...] of logits [..., C] and class indices [...].

    A negative index (padding) gives 0.
    """
    num_classes = class_logits.shape[-1]
    one_hot = ops.one_hot(ops.cast(cls_targets, "int32"), num_classes, dtype=class_logits.dtype)
    return -ops.sum(one_hot * ops.log_softmax(class_logits, axis=-1), axis=-1)
