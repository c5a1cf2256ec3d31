"""Top-1, top-5 and the confusion matrix of a classifier over all test images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import ops

from mobilenetdet.drawing.figure_style import draw_counts, write_figure
from mobilenetdet.files.text import write_json
from mobilenetdet.replicas import fill_rows
from mobilenetdet.runs import METRICS_FILE

# From images uint8 [B, H, W, 3] to logits [B, C].
Predictor = Callable[[np.ndarray], np.ndarray]

_TOP = 5


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Scores of a classifier on some images.

    Attributes:
        top1: share of the images whose class has the highest logit, percent.
        top5: share of the images whose class is among the five highest, percent.
        loss: mean cross-entropy, not smoothed.
        confusion: int64 [C, C]: rows are the labels, columns what was predicted.
    """

    top1: float
    top5: float
    loss: float
    confusion: np.ndarray

    @property
    def num_images(self) -> int:
        """How many images."""
        return int(self.confusion.sum())

    def metrics(self) -> dict[str, float]:
        """The numbers by name."""
        return {"top1": self.top1, "top5": self.top5, "loss": self.loss}

    def __str__(self) -> str:
        """One line."""
        return f"top-1 {self.top1:.2f} %, top-5 {self.top5:.2f} % of {self.num_images:,} images"


def make_predictor(model: keras.Model) -> Predictor:
    """Compiles the forward pass of a classifier; later changes of its weights are seen.

    `predict_on_batch` would run a batch once on each device of a strategy.
    """
    if keras.backend.backend() != "tensorflow":
        return lambda images: ops.convert_to_numpy(model.predict_on_batch(fill_rows(images)))[
            : len(images)
        ]
    import tensorflow as tf

    # AutoGraph would write temporary files and warn where it cannot; the model needs none.
    forward = tf.function(
        lambda images: model(images, training=False), reduce_retracing=True, autograph=False
    )
    return lambda images: forward(tf.constant(images)).numpy()


def score_classifier(
    predict: Predictor, batches: Iterable[tuple[np.ndarray, np.ndarray]]
) -> ClassScores:
    """Runs a classifier over labelled images.

    Args:
        predict: from images [B, H, W, 3] to logits [B, C]; see `make_predictor`.
        batches: images and labels [B].

    Raises:
        ValueError: there is no image, or a logit is NaN or infinite.
    """
    confusion: np.ndarray | int = 0
    ranks, losses = [], []
    for images, labels in batches:
        logits = predict(images).astype(np.float64)  # [B, C]
        if not np.isfinite(logits).all():
            raise ValueError("the classifier gives NaN or infinity; its weights are of no use")
        num_classes = logits.shape[1]
        cells = labels * num_classes + logits.argmax(axis=1)
        counts = np.bincount(cells, minlength=num_classes**2)
        confusion = confusion + counts.reshape(num_classes, num_classes)
        ranks.append(_ranks(logits, labels))
        losses.append(_cross_entropies(logits, labels))
    if not ranks:
        raise ValueError("there is no image to measure the classifier on")
    rank = np.concatenate(ranks)
    return ClassScores(
        top1=100 * float(np.mean(rank < 1)),
        top5=100 * float(np.mean(rank < _TOP)),
        loss=float(np.concatenate(losses).mean()),
        confusion=np.asarray(confusion),
    )


def write_class_scores(scores: ClassScores, class_names: Sequence[str], folder: Path) -> None:
    """Writes metrics.json and confusion.png.

    Args:
        scores: what to write.
        class_names: in the order of the labels.
        folder: made if it is not there.
    """
    metrics = {
        "num_images": scores.num_images,
        **scores.metrics(),
        "class_names": list(class_names),
        "confusion": scores.confusion.tolist(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / METRICS_FILE, metrics)
    figure = draw_counts(
        scores.confusion, class_names, xlabel="predicted", ylabel="labelled", title=str(scores)
    )
    write_figure(figure, folder / "confusion.png")


def _ranks(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns how many classes come before the right one [B]; of equals the lower number does."""
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    return ((logits > own) | ((logits == own) & earlier)).sum(axis=1)


def _cross_entropies(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    highest = logits.max(axis=1)
    sums = np.exp(logits - highest[:, None]).sum(axis=1)
    return np.log(sums) + highest - logits[np.arange(len(labels)), labels]
