"""Losses of tensorflow-addons: selectable, and the reference that ours are tested against."""

from __future__ import annotations

import warnings
from types import ModuleType

import keras
from keras import ops

from mobilenetdet.boxes.geometry import Tensor


def load_addons() -> ModuleType:
    """Imports tensorflow-addons without its warnings that it is no longer maintained.

    Raises:
        ValueError: it is not installed, or Keras runs on another backend than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "the losses of tensorflow-addons need KERAS_BACKEND=tensorflow; with "
            f"{keras.backend.backend()} choose --head.box_loss giou and "
            "--head.class_loss.kind focal"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow_addons
    except ImportError as error:
        raise ValueError(
            f"the losses tfa_giou and tfa_focal need tensorflow-addons ({error}): "
            "pip install -e '.[addons]' with Python 3.10 or 3.11, the last ones that it was built "
            "for; giou and focal are the same functions without it"
        ) from None
    return tensorflow_addons


def tfa_giou(boxes_xyxy: Tensor, targets_xyxy: Tensor) -> Tensor:
    """Generalised IoU [P] of boxes [P, 4] each, by `tfa.losses.giou_loss`."""
    # It reads y1 x1 y2 x2, and squeezes the result.
    swapped = [ops.take(boxes, [1, 0, 3, 2], axis=-1) for boxes in (targets_xyxy, boxes_xyxy)]
    losses = load_addons().losses.giou_loss(*swapped)
    return ops.reshape(1 - losses, (-1,))


def tfa_focal(logits: Tensor, targets: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """Focal loss [...] of logits [...] and targets [...], `tfa.losses.sigmoid_focal_crossentropy`.

    That one sums over the last axis, which is therefore one more here.
    """
    return load_addons().losses.sigmoid_focal_crossentropy(
        targets[..., None], logits[..., None], alpha=alpha, gamma=gamma, from_logits=True
    )
