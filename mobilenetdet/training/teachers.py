"""Knowledge distillation: a detector learns what other detectors predict for the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from keras import ops

from mobilenetdet.boxes.geometry import Tensor
from mobilenetdet.config.detection import DetectionConfig, changed_keys
from mobilenetdet.inference.detection_model import mirrored_back
from mobilenetdet.models.anchor_head import AnchorHead, Predictions
from mobilenetdet.models.detector import Detector, build_detector
from mobilenetdet.models.losses import smooth_l1
from mobilenetdet.replicas import count_over_replicas
from mobilenetdet.runs import RunDir, hash_weights, open_run

# Weight of the box deltas beside the scores.
_BOX_WEIGHT = 2.0
# Mean score of the teachers from which on an anchor's mean box is learnt.
_LEAST_SCORE = 0.1


class SoftTargets(NamedTuple):
    """What the teachers predict.

    Attributes:
        scores: [B, C, A], 0 to 1.
        deltas: [B, A, 4].
    """

    scores: Tensor
    deltas: Tensor


class Teachers:
    """Trained detectors, whose mean prediction another one learns (arXiv 1503.02531).

    Every second teacher looks at the mirror images: what is peculiar to one of two orientations is
    averaged out without a second look. They are no part of the detector that learns, so that its
    weight files and checkpoints do not hold them.
    """

    def __init__(self, detectors: Sequence[Detector], shares: Sequence[float] = ()) -> None:
        """Takes built detectors of the same classes, anchors and image size.

        Args:
            detectors: one or more.
            shares: of each in the mean, above 0; empty: all alike.
        """
        self._detectors = list(detectors)
        given = np.asarray(shares or [1.0] * len(self._detectors))
        given = given / given.max()  # of the largest numbers there is no sum
        self._shares = (given / given.sum()).tolist()

    def loss(self, images: Tensor, head: AnchorHead, predictions: Predictions) -> Tensor:
        """How far predictions for images are from the mean of the teachers'; a scalar.

        See `models.detector.Teacher`.
        """
        targets = self.predict(images)
        divergences = head.score_divergences(predictions, targets.scores)
        return distillation_loss(divergences, predictions["deltas"], targets)

    def predict(self, images: Tensor) -> SoftTargets:
        """Predicts for [B, H, W, 3], 0 to 255, as `Detector.call` takes them; without gradients."""
        scores: Tensor = 0.0
        deltas: Tensor = 0.0
        for index, (detector, share) in enumerate(zip(self._detectors, self._shares, strict=True)):
            predictions = _predict(detector, images, in_mirror=_in_mirror(index))
            scores += share * detector.head.scores(predictions)
            deltas += share * predictions["deltas"]
        return SoftTargets(ops.stop_gradient(scores), ops.stop_gradient(deltas))


def _in_mirror(index: int) -> bool:
    """Whether the teacher with this number, from 0, looks at mirror images."""
    return index % 2 == 1


def _predict(detector: Detector, images: Tensor, *, in_mirror: bool) -> Predictions:
    if not in_mirror:
        return detector(images, training=False)
    mirrored = detector(ops.flip(images, axis=2), training=False)
    return mirrored_back(mirrored, detector.anchor_grid.mirror_order())


def distillation_loss(divergences: Tensor, deltas: Tensor, targets: SoftTargets) -> Tensor:
    """How far predictions are from those of the teachers, a scalar.

    The divergences of the scores of all anchors, divided by the sum of the teachers' highest
    scores, and smooth L1 of the box deltas, weighted by these where the teachers see an object and
    divided by the sum of the weights; sums below 1 are 1.

    Args:
        divergences: [B, C, A], of the scores, see `AnchorHead.score_divergences`.
        deltas: [B, A, 4], of the detector that learns.
        targets: of the teachers.
    """
    objects = ops.max(targets.scores, axis=1)  # [B, A]
    sure = ops.where(objects > _LEAST_SCORE, objects, 0.0)
    score_loss = ops.sum(divergences) / count_over_replicas(objects)
    box_loss = ops.sum(sure * smooth_l1(deltas, targets.deltas)) / count_over_replicas(sure)
    return score_loss + _BOX_WEIGHT * box_loss


def teachers_fingerprint(config: DetectionConfig, run: RunDir) -> str:
    """Identifies the weights of `train.teachers` in their order.

    Args:
        config: of the run that learns.
        run: that learns.

    Returns:
        Hashes, "" of no teachers, and where the run goes on with those that it had and one of them
        is gone: at its end it needs them no more.

    Raises:
        FileNotFoundError: one of them is not there.
    """
    names = config.train.teachers
    try:
        weights = [_find(name) for name in names]
    except FileNotFoundError:
        if run.state_file.is_file() and run.read_config().train.teachers == names:
            return ""
        raise
    return " ".join(map(hash_weights, weights))


def _find(name: str) -> Path:
    """Finds the weights of a teacher."""
    try:
        return open_run(name).find_weights()
    except (FileNotFoundError, ValueError) as error:
        raise type(error)(f"train.teachers: {error}") from None


def load_teachers(config: DetectionConfig) -> Teachers | None:
    """Loads `train.teachers` at the input size of a config, if it names any.

    Raises:
        FileNotFoundError: there is no such run, or it has no weights.
        ValueError: a teacher has other classes or anchors, or none of these has a mirror image
            that the second needs, or its files are damaged; names it.
    """
    names = config.train.teachers
    if not names:
        return None
    detectors = [_load(name, config, in_mirror=_in_mirror(i)) for i, name in enumerate(names)]
    return Teachers(detectors, config.train.teacher_shares)


def _load(name: str, config: DetectionConfig, *, in_mirror: bool) -> Detector:
    weights = _find(name)
    trained = open_run(name).read_config()
    for key in sorted({"data.classes", "model.levels"} & set(changed_keys(trained, config))):
        raise ValueError(
            f"train.teachers: {name} has another {key} than the detector that learns from it; "
            "name a run of the same classes and anchors"
        )
    height, width = config.image_size
    data = replace(trained.data, image_height=height, image_width=width)
    model = replace(trained.model, detector_weights=str(weights))
    own_config = replace(trained, data=data, model=model)
    detector, report = build_detector(own_config, precision=config.train.precision)
    if in_mirror:
        _check_mirror(detector, name)
    print(f"teacher {report}")
    return detector


def _check_mirror(detector: Detector, name: str) -> None:
    """Refuses anchors without a mirror image, before the run begins."""
    try:
        detector.anchor_grid.mirror_order()
    except ValueError as error:
        why = str(error).removesuffix(", or postprocess.mirror False")
        raise ValueError(
            f"train.teachers: {name} looks at mirror images, as each second one does, but {why}, "
            "or name one teacher"
        ) from None
