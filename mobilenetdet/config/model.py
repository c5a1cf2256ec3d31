"""The network up to its head, and what becomes of its predictions."""

from __future__ import annotations

import itertools
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field

from mobilenetdet.config.anchor_shapes import SQUEEZEDET_ANCHORS, Shapes
from mobilenetdet.config.validation import (
    Fraction,
    NonNegative,
    NonNegativeInt,
    NumBoxes,
    Positive,
    Share,
    Width,
    require,
    section,
)

Stride = Literal[8, 16, 32, 64, 128]
# The coarsest feature map of the backbone; coarser levels are extra layers behind it.
_COARSEST_OF_BACKBONE = 32
_MAX_ANCHORS = 256


@section("model.levels")
class LevelConfig:
    """A feature map that the head predicts on, and its anchors."""

    # Distance of its cells, pixels of the network input: 8, 16, 32, 64 or 128.
    stride: Stride
    # Width and height of the anchors at every cell, pixels of the network input.
    anchors: tuple[tuple[Positive, Positive], ...]

    def __post_init__(self) -> None:
        """Checks that there is an anchor; a `Field` would complain beside each faulty one."""
        count, key = len(self.anchors), "model.levels.anchors"
        require(count > 0, key, self.anchors, "one or more")
        require(count <= _MAX_ANCHORS, f"the number of {key}", count, f"at most {_MAX_ANCHORS}")


_FILLS_ALL = "model.detector_weights fills the whole network"


@section("model")
class ModelConfig:
    """The network up to its head: MobileNetV1, feature pyramid, levels with their anchors."""

    # Width multiplier of MobileNetV1, above 0 up to 8. ImageNet weights: 0.25, 0.5, 0.75 and 1.
    alpha: Width = 1.0
    # Initial weights of the backbone: imagenet (downloaded once), the path of a Keras weight file,
    # or none (random).
    weights: str = "imagenet"
    # Takes the channels that matter most out of weights for a wider backbone than alpha's, such as
    # those for alpha 1 for one of 0.5. Off, such a file is refused.
    narrow_weights: bool = False
    # Whole detector to begin with instead: weight file, run or ssd_fpn, which ships; empty = none.
    # Prediction layers of other classes or anchors begin with random weights.
    detector_weights: str = ""
    # Feature maps that the head predicts on, finest first, each with its anchors in pixels of the
    # network input: STRIDE:WIDTHxHEIGHT,... `mobilenetdet fit_anchors` prints some for a data set.
    # Strides 64 and 128 are extra layers behind the backbone.
    levels: tuple[LevelConfig, ...] = (LevelConfig(16, SQUEEZEDET_ANCHORS),)
    # Channels of the feature pyramid, which adds the coarser maps to the finer ones; 0 = none.
    pyramid_channels: Annotated[int, Field(ge=0, le=8192)] = 0
    # Blocks of the backbone that are not trained, 0 to 13, the first ones; block 1 includes the
    # stem.
    frozen_blocks: Annotated[int, Field(ge=0, le=13)] = 0
    # Keeps batch normalisation as loaded: of the backbone, or with detector_weights of the whole
    # detector.
    freeze_batch_norm: bool = False
    # Momentum of the running batch normalisation statistics, 0 to 1. Keras' default of 0.99 is too
    # slow for runs of a few hundred steps: the initial variance of 1 would remain in them.
    batch_norm_momentum: Fraction = 0.97

    def __post_init__(self) -> None:
        """Checks that the levels go from fine to coarse, and that the pyramid has them."""
        strides = self.strides
        rising = len(strides) > 0 and all(a < b for a, b in itertools.pairwise(strides))
        require(rising, "model.levels", strides, "one or more levels, finest stride first")
        require(
            self.pyramid_channels == 0 or max(strides) <= _COARSEST_OF_BACKBONE,
            "model.levels",
            strides,
            f"of strides up to {_COARSEST_OF_BACKBONE} with a pyramid",
        )

    def notes(self) -> list[str]:
        """Returns a line for each setting that is not taken at its word, or makes no sense."""
        lines = []
        if self.detector_weights and (self.weights not in ("none", "imagenet")):
            lines.append(f"model.weights {self.weights} is not used: {_FILLS_ALL}")
        if self.narrow_weights and (self.detector_weights or self.weights in ("none", "imagenet")):
            reason = _FILLS_ALL if self.detector_weights else "model.weights names no file"
            lines.append(f"model.narrow_weights is not used: {reason}")
        if self.weights == "none" and not self.detector_weights:
            lines += frozen_at_random(self, freeze_batch_norm=False, frozen_blocks=0)
        return lines

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides of the levels, pixels, finest first."""
        return tuple(level.stride for level in self.levels)

    @property
    def anchor_levels(self) -> tuple[tuple[int, Shapes], ...]:
        """Stride and anchor shapes of each level, as `AnchorGrid` takes them."""
        return tuple((level.stride, level.anchors) for level in self.levels)


@section("postprocess.suppression")
class GreedyNms:
    """Greedy non-maximum suppression: the weaker of two overlapping detections is dropped."""

    # How duplicates are suppressed: greedy drops them, soft lowers scores.
    kind: Literal["greedy"] = "greedy"
    # Highest IoU of two detections of one class that both stay, 0 to 1.
    max_iou: Share = 0.45


@section("postprocess.suppression")
class SoftNms:
    """Soft-NMS (arXiv 1704.04503): overlapping detections keep a lower score."""

    # How duplicates are suppressed: greedy drops them, soft lowers scores.
    kind: Literal["soft"] = "soft"
    # Width of the decay exp(-IoU^2 / sigma) of scores, above 0; published: 0.5.
    sigma: Positive = 0.5
    # Rounds of lowering scores; more hardly change AP, 0 = until all are done.
    rounds: NonNegativeInt = 5


Suppression = Annotated[GreedyNms | SoftNms, Field(discriminator="kind")]


@section("postprocess")
class PostprocessConfig:
    """From raw predictions to detections; the same in eval, visualize and predict."""

    # Lowest score before calibration, 0 to 1; low: AP needs weak detections.
    score_threshold: Share = 0.005
    suppression: Suppression = field(default_factory=GreedyNms)
    # Box voting: a detection moves to the mean of the boxes around it, weighted by
    # score * exp(-(1 - IoU)^2 / sigma). Useful are 0.02 to 0.1; 0 = off.
    vote_sigma: NonNegative = 0.0
    # Averages image and mirror image: more AP for twice the time.
    mirror: bool = False
    # Best boxes of each class that enter suppression, at least max_detections.
    max_candidates: NumBoxes = 256
    # Most detections of an image, all classes together, 1 or more.
    max_detections: NumBoxes = 64
    # Slope and offset of each class's log odds, fitted by training. Empty = as predicted.
    calibration: tuple[tuple[Positive, float], ...] = ()

    def __post_init__(self) -> None:
        """Checks that there are enough candidates."""
        enough = self.max_candidates >= self.max_detections
        rule = f"at least postprocess.max_detections, {self.max_detections}"
        require(enough, "postprocess.max_candidates", self.max_candidates, rule)


def frozen_at_random(model: Any, **off: int) -> list[str]:
    """Returns a line for each setting that keeps the random weights of a network as they are.

    Args:
        model: the config of the network, which begins with no others.
        off: such settings, each with the value that keeps nothing.
    """
    return [
        f"model.{name} {getattr(model, name)} keeps random weights as they are, which "
        f"model.weights none begins with: name weights, or say --model.{name} {value}"
        for name, value in off.items()
        if getattr(model, name) != value
    ]
