"""The network, and what comes out of it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

from mobilenetdet.config.anchor_shapes import SQUEEZEDET_ANCHORS
from mobilenetdet.config.validation import STRICT, require


@dataclass(frozen=True)
class ModelConfig:
    """The network: MobileNetV1 and an anchor head."""

    # Width multiplier of MobileNetV1. ImageNet weights exist for 0.25, 0.5, 0.75 and 1.0.
    alpha: float = 1.0
    # "imagenet" (downloaded and cached), the path of a Keras weight file, or "none".
    weights: str = "imagenet"
    # Weight file of a whole detector to begin with instead; empty: none. Prediction layers of other
    # shapes (other classes or anchors) start fresh.
    detector_weights: str = ""
    # SqueezeDet's head on one map, or SSD's on one or several.
    head: Literal["squeezedet", "ssd"] = "squeezedet"
    # Strides of the maps that the head sits on, pixels, finest first. 64 and 128 are extra layers
    # behind the backbone.
    strides: tuple[Literal[8, 16, 32, 64, 128], ...] = (16,)
    # (width, height) of the anchors at every cell, pixels of the network input; those of the finest
    # map first.
    anchors: tuple[tuple[float, float], ...] = SQUEEZEDET_ANCHORS
    # How many of them each map has; empty if there is one map.
    anchors_per_stride: tuple[int, ...] = ()
    # Channels of a feature pyramid that carries what the coarser maps see down to the finest one; 0
    # = none, the head sits on the backbone's own maps.
    pyramid_channels: int = 0
    # Depthwise-separable blocks between each map and the head (SqueezeDet has two fire modules).
    head_blocks: int = 2
    # Channels of those blocks.
    head_channels: int = 512
    # Dropout before the head's convolution.
    dropout: float = 0.0
    # Number of backbone blocks (0 to 13, the stem goes with the first) that are not trained.
    frozen_blocks: int = 0
    # Keeps the batch normalisation statistics of the backbone as loaded.
    freeze_batch_norm: bool = False
    # Share of the running statistics that a training step keeps. Keras' 0.99 leaves so much of the
    # initial variance of 1 after 400 steps that a fresh network detects nothing in evaluation.
    batch_norm_momentum: float = 0.97

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Checks width, anchors and the ranges."""
        require(self.alpha > 0, "model.alpha", self.alpha, "above 0")
        sizes = [side for anchor in self.anchors for side in anchor]
        positive = len(sizes) > 0 and min(sizes) > 0
        require(positive, "model.anchors", self.anchors, "one or more (width, height) above 0")
        self._check_maps()
        momentum = self.batch_norm_momentum
        require(0 <= momentum < 1, "model.batch_norm_momentum", momentum, "in [0, 1)")
        require(0 <= self.dropout < 1, "model.dropout", self.dropout, "in [0, 1)")
        require(0 <= self.frozen_blocks <= 13, "model.frozen_blocks", self.frozen_blocks, "0 to 13")
        channels = self.pyramid_channels
        require(channels >= 0, "model.pyramid_channels", channels, "0 or more")
        require(0 <= self.head_blocks <= 8, "model.head_blocks", self.head_blocks, "0 to 8")
        require(self.head_channels > 0, "model.head_channels", self.head_channels, "above 0")

    def levels(self) -> tuple[tuple[int, tuple[tuple[float, float], ...]], ...]:
        """The maps that the head sits on, finest first: stride and shapes of each."""
        counts = self.anchors_per_stride or (len(self.anchors),)
        ends = [sum(counts[: index + 1]) for index in range(len(counts))]
        return tuple(
            (stride, self.anchors[end - count : end])
            for stride, count, end in zip(self.strides, counts, ends, strict=True)
        )

    def _check_maps(self) -> None:
        strides, counts = self.strides, self.anchors_per_stride
        rising = len(strides) > 0 and all(a < b for a, b in itertools.pairwise(strides))
        require(rising, "model.strides", strides, "one or more, rising")
        require(
            self.head == "ssd" or len(strides) == 1,
            "model.strides",
            strides,
            "one for the head squeezedet; several go with --model.head ssd",
        )
        require(
            self.pyramid_channels == 0 or max(strides) <= 32,
            "model.strides",
            strides,
            "at most 32 with a pyramid",
        )
        fits = sum(counts) == len(self.anchors) and len(counts) == len(strides) and 0 not in counts
        require(
            fits or (len(strides) == 1 and not counts),
            "model.anchors_per_stride",
            counts,
            f"{len(strides)} numbers above 0 that add up to {len(self.anchors)} anchors",
        )


@dataclass(frozen=True)
class PostprocessConfig:
    """From raw predictions to detections; the same for eval, visualize, predict and export."""

    # Detections below this score are dropped. AP needs it low, drawing has its own threshold.
    score_threshold: float = 0.005
    # Of two detections of one class that overlap by more than this IoU the weaker goes.
    nms_iou: float = 0.45
    # Above 0, the scores of the weaker ones fall instead, by exp(-IoU^2 / sigma) (soft-NMS); the
    # paper has 0.5. 0 = they go.
    soft_nms_sigma: float = 0.0
    # Boxes of a pile whose turn comes in soft-NMS before the rest keep the scores that they have;
    # 0 = all of them, at several times the cost and next to no gain.
    soft_nms_rounds: int = 5
    # Above 0, each detection moves to the mean of the candidates around it, suppressed ones too,
    # weighted by score * exp(-(1 - IoU)^2 / sigma) (box voting): 0.02 to 0.1; beyond, boxes that
    # are somewhere else have a say.
    vote_sigma: float = 0.0
    # Whether the network looks at the mirrored image, too, and both predictions are averaged: more
    # AP for a second pass.
    mirror: bool = False
    # Anchors of each class that enter NMS, the best first.
    max_candidates: int = 256
    # Detections kept per frame, all classes together.
    max_detections: int = 64
    # Slope and offset of the log odds of each class, which make 0.5 mean that a detection is as
    # likely right as wrong; training fits them and leaves them in the run. Empty = as predicted.
    calibration: tuple[tuple[float, float], ...] = ()

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Checks the ranges."""
        for name in ("score_threshold", "nms_iou"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"postprocess.{name}", value, "between 0 and 1")
        rising = all(slope > 0 for slope, _ in self.calibration)
        require(rising, "postprocess.calibration", self.calibration, "slopes above 0, offsets")
        for name in ("soft_nms_sigma", "vote_sigma"):
            sigma = getattr(self, name)
            require(sigma >= 0, f"postprocess.{name}", sigma, "0 or more")
        rounds = self.soft_nms_rounds
        require(rounds >= 0, "postprocess.soft_nms_rounds", rounds, "0 or more")
        count = self.max_detections
        require(count > 0, "postprocess.max_detections", count, "above 0")
        enough = self.max_candidates >= count
        require(enough, "postprocess.max_candidates", self.max_candidates, f"at least {count}")
