"""Losses per anchor. The caller weights, sums and normalises them."""

from __future__ import annotations

from keras import ops

from mobilenetdet.boxes.geometry import Tensor

# The least base of a power whose gradient is infinite at 0.
_LEAST_BASE = 1e-12
# Scores nearer to 0 or 1 than this have the logarithm of this.
_SURE = 1e-6


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


def sigmoid_focal(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Focal loss (arXiv 1708.02002) [...] of logits [...] and targets [...], 0 or 1.

    Cross-entropy times (1 - p) ** gamma, with p the probability of what is true: what is sure and
    right costs nearly nothing. What is an object weighs alpha, the rest 1 - alpha.
    """
    # log p = -softplus(-logit), which neither overflows nor loses small probabilities.
    log_true = -ops.softplus(-logits) * targets - ops.softplus(logits) * (1 - targets)
    weights = alpha * targets + (1 - alpha) * (1 - targets)
    return -weights * _power(1 - ops.exp(log_true), gamma) * log_true


def quality_focal(logits: Tensor, targets: Tensor, *, beta: float = 2.0) -> Tensor:
    """Quality focal loss (arXiv 2006.04388) [...] of logits [...] and targets [...], 0 to 1.

    Cross-entropy times |target - p| ** beta: zero where the score is what it should be, which for
    an object is the overlap of its box.
    """
    distance = ops.absolute(targets - ops.sigmoid(logits))
    return _power(distance, beta) * (ops.softplus(logits) - targets * logits)


def background_focal(logits: Tensor, *, beta: float = 2.0) -> Tensor:
    """Quality focal loss where every target is 0, in fewer steps: [...] of logits [...]."""
    return _power(ops.sigmoid(logits), beta) * ops.softplus(logits)


def score_divergence(scores: Tensor, targets: Tensor) -> Tensor:
    """Divergence [...] of scores from targets [...], both 0 to 1: 0 where they are the same.

    That of Kullback and Leibler between two coins. Scores within 1e-6 of 0 or 1 learn nothing;
    `logit_divergence`, for sigmoids, has no such limit.
    """
    scores, targets = _unsure(scores), _unsure(targets)
    cross = -targets * ops.log(scores) - (1 - targets) * ops.log(1 - scores)
    return cross - _entropy(targets)


def logit_divergence(logits: Tensor, targets: Tensor) -> Tensor:
    """`score_divergence` of the sigmoids of logits [...]; the gradient is score minus target."""
    targets = _unsure(targets)
    return ops.softplus(logits) - targets * logits - _entropy(targets)


def _unsure(scores: Tensor) -> Tensor:
    return ops.clip(scores, _SURE, 1 - _SURE)


def _entropy(p: Tensor) -> Tensor:
    return -p * ops.log(p) - (1 - p) * ops.log(1 - p)


def _power(base: Tensor, exponent: float) -> Tensor:
    """A power of what is 0 or more, with a finite gradient at 0 for every exponent."""
    return (base if exponent >= 1 else ops.maximum(base, _LEAST_BASE)) ** exponent


def cross_entropy(class_logits: Tensor, cls_targets: Tensor) -> Tensor:
    """Softmax cross-entropy [...] of logits [..., C] and class indices [...].

    A negative index (padding) gives 0.
    """
    num_classes = class_logits.shape[-1]
    one_hot = ops.one_hot(ops.cast(cls_targets, "int32"), num_classes, dtype=class_logits.dtype)
    return -ops.sum(one_hot * ops.log_softmax(class_logits, axis=-1), axis=-1)
