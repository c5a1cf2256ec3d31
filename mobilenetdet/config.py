"""The one detection config that train, eval, visualize, predict and export share.

A tree of frozen dataclasses. Every field has a type, a unit where it has one, and a restriction
that is checked when the object is made. Presets (`presets.py`) are functions that return a tree;
the command line overrides single leaves; the resolved tree is written into the run directory as
`config.json` and read back from there by every later command.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ConfigDict

# (width, height) of SqueezeDet's nine anchors in pixels of a 1248x384 input (arXiv 1612.01051).
SQUEEZEDET_ANCHORS = (
    (36.0, 37.0),
    (366.0, 174.0),
    (115.0, 59.0),
    (162.0, 87.0),
    (38.0, 90.0),
    (258.0, 173.0),
    (224.0, 108.0),
    (78.0, 170.0),
    (72.0, 43.0),
)
Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class DataConfig:
    """Where the records are and what the network sees of them."""

    # Folder of the TFRecord shards that tools/tf_convert_data.py writes.
    records_dir: str = "data/KITTI/tfrecord"
    # Split to train on; its shards are train_000.tfrecord and so on.
    train_split: str = "train"
    # Split that AP is measured on.
    val_split: str = "val"
    # Classes to detect, in the order of the class indices.
    classes: tuple[str, ...] = ("Car", "Pedestrian", "Cyclist")
    # Height of the network input, pixels, a multiple of 32.
    image_height: int = 384
    # Width of the network input, pixels, a multiple of 32.
    image_width: int = 1248
    # Objects lower than this in the network input are ignored in training, pixels.
    min_object_height: float = 12.0
    # Objects more occluded than this (0 to 3, KITTI's scale) are ignored in training.
    max_occlusion: int = 2
    # Objects cut off by more than this share by the image border are ignored in training.
    max_truncation: float = 0.7
    # Frames in the shuffle buffer; at least one shard's worth mixes well.
    shuffle_buffer: int = 1024

    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        """Checks the sizes and the class names."""
        for name in ("image_height", "image_width"):
            value = getattr(self, name)
            _require(value > 0 and value % 32 == 0, f"data.{name}", value, "a multiple of 32")
        distinct = len({c.lower() for c in self.classes}) == len(self.classes) > 0
        _require(distinct, "data.classes", self.classes, "one or more distinct names")
        _require(self.shuffle_buffer > 0, "data.shuffle_buffer", self.shuffle_buffer, "positive")


@dataclass(frozen=True)
class AugmentConfig:
    """Augmentation of training frames. Boxes move with the pixels."""

    # Switches all of it.
    enabled: bool = True
    # Probability of a left-right flip.
    flip: float = 0.5
    # Probability of a crop that keeps every object whole and is then enlarged.
    safe_crop: float = 0.0
    # Probability of an enlarging crop that may cut objects.
    crop: float = 0.4
    # Smallest side of that crop as a share of the frame's.
    crop_min_scale: float = 0.55
    # Probability of a shift and scale of the whole frame.
    shift_scale: float = 0.2
    # Largest shift as a share of the frame's sides.
    shift: float = 0.05
    # Scales are drawn from 1 - scale to 1 + scale.
    scale: float = 0.15
    # Probability of a change of brightness and contrast.
    colour: float = 0.5
    # Largest change of brightness, as a share of full scale.
    brightness: float = 0.2
    # Largest change of contrast, as a factor around 1.
    contrast: float = 0.2
    # Probability of a change of hue and saturation (slow: about 5 ms a frame).
    hue_saturation: float = 0.0
    # Boxes narrower or lower than this afterwards are dropped and counted, network pixels.
    min_box_size: float = 3.0
    # Objects of which a crop leaves less than this share are ignored in training.
    min_visibility: float = 0.4

    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        """Checks that probabilities and shares lie in 0..1."""
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name not in ("enabled", "min_box_size"):
                _require(0.0 <= value <= 1.0, f"augment.{item.name}", value, "between 0 and 1")
        _require(self.min_box_size >= 0, "augment.min_box_size", self.min_box_size, "0 or more")
        _require(self.crop_min_scale > 0, "augment.crop_min_scale", self.crop_min_scale, "above 0")


@dataclass(frozen=True)
class ModelConfig:
    """The network: MobileNetV1 and an anchor head."""

    # Width multiplier of MobileNetV1. ImageNet weights exist for 0.25, 0.5, 0.75 and 1.0.
    alpha: float = 1.0
    # "imagenet" (downloaded and cached), the path of a Keras weight file, or "none".
    weights: str = "imagenet"
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

    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        """Checks width, anchors and the ranges."""
        _require(self.alpha > 0, "model.alpha", self.alpha, "above 0")
        sizes = [side for anchor in self.anchors for side in anchor]
        positive = len(sizes) > 0 and min(sizes) > 0
        _require(positive, "model.anchors", self.anchors, "one or more (width, height) above 0")
        self._check_maps()
        momentum = self.batch_norm_momentum
        _require(0 <= momentum < 1, "model.batch_norm_momentum", momentum, "in [0, 1)")
        _require(0 <= self.dropout < 1, "model.dropout", self.dropout, "in [0, 1)")
        _require(
            0 <= self.frozen_blocks <= 13, "model.frozen_blocks", self.frozen_blocks, "0 to 13"
        )
        channels = self.pyramid_channels
        _require(channels >= 0, "model.pyramid_channels", channels, "0 or more")
        _require(0 <= self.head_blocks <= 8, "model.head_blocks", self.head_blocks, "0 to 8")
        _require(self.head_channels > 0, "model.head_channels", self.head_channels, "above 0")

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
        _require(rising, "model.strides", strides, "one or more, rising")
        _require(
            self.head == "ssd" or len(strides) == 1,
            "model.strides",
            strides,
            "one for the head squeezedet; several go with --model.head ssd",
        )
        _require(
            self.pyramid_channels == 0 or max(strides) <= 32,
            "model.strides",
            strides,
            "at most 32 with a pyramid",
        )
        fits = sum(counts) == len(self.anchors) and len(counts) == len(strides) and 0 not in counts
        _require(
            fits or (len(strides) == 1 and not counts),
            "model.anchors_per_stride",
            counts,
            f"{len(strides)} numbers above 0 that add up to {len(self.anchors)} anchors",
        )


@dataclass(frozen=True)
class MatchingConfig:
    """Which anchors learn which object, and which learn nothing."""

    # Anchors that overlap an object by at least this IoU learn it beside its best anchor; 1 = none.
    positive_iou: float = 0.5
    # Other anchors above this IoU with an object count neither as object nor as background.
    ignore_iou: float = 0.4
    # The same for anchors that lie in a DontCare region by this share of their own area.
    dont_care_overlap: float = 0.5

    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        """Checks the order of the thresholds."""
        ordered = 0 < self.ignore_iou <= self.positive_iou <= 1
        given = (self.ignore_iou, self.positive_iou)
        _require(ordered, "matching.ignore_iou, positive_iou", given, "0 < ignore <= positive <= 1")
        overlap = self.dont_care_overlap
        _require(0 < overlap <= 1, "matching.dont_care_overlap", overlap, "in (0, 1]")


@dataclass(frozen=True)
class LossConfig:
    """The parts of the loss: SqueezeDet's (arXiv 1612.01051, section 3.3) and SSD's.

    SqueezeDet's weights are 5, 75, 100 and 1, with the confidence of the anchors without object
    divided by their number. That number is about a thousand times that of the others, so a box
    next to an object costs next to nothing; it takes the paper's long training to sort them out.
    """

    # What the boxes are trained by: squared (the paper) or smooth L1 differences of the deltas, or
    # 1 - generalised or complete IoU.
    box_loss: Literal["squared", "smooth_l1", "giou", "ciou"] = "squared"
    # Weight of that loss.
    box: float = 20.0
    # Weight of the confidence of anchors with an object.
    confidence_positive: float = 75.0
    # Weight of the confidence of all other anchors.
    confidence_negative: float = 5.0
    # What the confidence of those is divided by: the number of anchors without (the paper) or
    # with an object.
    negative_normaliser: Literal["negatives", "positives"] = "positives"
    # Weight of the loss of the classes.
    classification: float = 3.0
    # What the head ssd learns its classes by: a sigmoid for each with focal loss (RetinaNet), or
    # a softmax with background as a class, over the hardest negatives (SSD).
    class_loss: Literal["focal", "softmax"] = "focal"
    # Weight of anchors with an object in the focal loss; the others have 1 less this.
    focal_alpha: float = 0.25
    # Exponent of the focal loss; 0 is plain cross-entropy.
    focal_gamma: float = 2.0
    # Negatives for each anchor with an object, for the softmax.
    hard_negatives: float = 3.0

    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        """Checks that no weight is negative."""
        weights = ("box", "confidence_positive", "confidence_negative", "classification")
        for name in (*weights, "focal_gamma", "hard_negatives"):
            value = getattr(self, name)
            _require(value >= 0, f"loss.{name}", value, "0 or more")
        _require(0 <= self.focal_alpha <= 1, "loss.focal_alpha", self.focal_alpha, "0 to 1")


@dataclass(frozen=True)
class PostprocessConfig:
    """From raw predictions to detections; the same for eval, visualize, predict and export."""

    # Detections below this score are dropped. AP needs it low, drawing has its own threshold.
    score_threshold: float = 0.005
    # Of two detections of one class that overlap by more than this IoU the weaker goes.
    nms_iou: float = 0.45
    # Anchors of each class that enter NMS, the best first.
    max_candidates: int = 256
    # Detections kept per frame, all classes together.
    max_detections: int = 64

    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        """Checks the ranges."""
        for name in ("score_threshold", "nms_iou"):
            value = getattr(self, name)
            _require(0 <= value <= 1, f"postprocess.{name}", value, "between 0 and 1")
        count = self.max_detections
        _require(count > 0, "postprocess.max_detections", count, "above 0")
        enough = self.max_candidates >= count
        _require(enough, "postprocess.max_candidates", self.max_candidates, f"at least {count}")


@dataclass(frozen=True)
class TrainConfig:
    """The training run."""

    # Passes over the training frames.
    epochs: int = 30
    # Frames a step.
    batch_size: int = 4
    # Seed of initial weights, order of frames and augmentation.
    seed: int = 0
    # Name of a Keras optimizer: sgd, rmsprop, adam, adamw, lion, ...
    optimizer: str = "adamw"
    # Peak learning rate.
    learning_rate: float = 1e-3
    # Momentum, for the optimizers that have one.
    momentum: float = 0.9
    # Decoupled weight decay; 0 switches it off. Biases and batch normalisation are exempt.
    weight_decay: float = 1e-4
    # Gradients are scaled to at most this global norm; 0 switches it off.
    clip_norm: float = 1.0
    # Shape of the learning rate after the warm-up.
    schedule: Literal["cosine", "exponential", "step", "constant"] = "cosine"
    # Linear warm-up from 0, in epochs.
    warmup_epochs: float = 1.0
    # Factor of the exponential and step schedules.
    decay_rate: float = 0.5
    # Epochs between two applications of decay_rate.
    decay_epochs: float = 10.0
    # Momentum of the moving average of the weights that is evaluated and saved; 0 switches it off.
    ema: float = 0.998
    # Arithmetic of the layers; the variables stay float32.
    precision: Precision = "float32"
    # Epochs between two measurements of validation AP; 0 = only after the last.
    eval_every: int = 5
    # Validation frames with overlays in TensorBoard.
    tensorboard_images: int = 4

    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        """Checks the ranges."""
        for name in ("epochs", "batch_size", "learning_rate", "decay_rate", "decay_epochs"):
            value = getattr(self, name)
            _require(value > 0, f"train.{name}", value, "above 0")
        for name in ("weight_decay", "clip_norm", "warmup_epochs", "eval_every"):
            value = getattr(self, name)
            _require(value >= 0, f"train.{name}", value, "0 or more")
        for name in ("momentum", "ema"):
            value = getattr(self, name)
            _require(0 <= value < 1, f"train.{name}", value, "in [0, 1)")
        shorter = self.warmup_epochs < self.epochs
        _require(shorter, "train.warmup_epochs", self.warmup_epochs, f"below {self.epochs} epochs")


@dataclass(frozen=True)
class EvalConfig:
    """Evaluation and overlays."""

    # Rules of the official evaluation: since 2017, or before as in SqueezeDet's paper.
    protocol: Literal["current", "pre2017"] = "current"
    # Frames a step; 1 takes the least memory.
    batch_size: int = 4
    # Overlays to draw in eval and visualize.
    num_overlays: int = 24
    # Detections below this score are not drawn.
    overlay_score: float = 0.4

    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        """Checks the ranges."""
        _require(self.batch_size > 0, "eval.batch_size", self.batch_size, "above 0")
        _require(self.num_overlays >= 0, "eval.num_overlays", self.num_overlays, "0 or more")
        score = self.overlay_score
        _require(0 <= score <= 1, "eval.overlay_score", score, "between 0 and 1")


@dataclass(frozen=True)
class DetectionConfig:
    """Everything that decides what a detector is and how it came about."""

    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    matching: MatchingConfig = field(default_factory=MatchingConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    postprocess: PostprocessConfig = field(default_factory=PostprocessConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)

    __pydantic_config__ = _STRICT

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the network input, pixels."""
        return self.data.image_height, self.data.image_width

    @property
    def num_classes(self) -> int:
        """Number of classes to detect."""
        return len(self.data.classes)


def _require(holds: bool, key: str, value: Any, rule: str) -> None:
    if not holds:
        raise ValueError(f"{key} is {value!r}; it must be {rule}")
