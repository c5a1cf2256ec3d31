"""How a network learns: the training run, and the matches and losses of a detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mobilenetdet.config.validation import STRICT, require

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


@dataclass(frozen=True)
class MatchingConfig:
    """Which anchors learn which object, and which learn nothing."""

    # Anchors that overlap an object by at least this IoU learn it beside its best anchor; 1 = none.
    positive_iou: float = 0.5
    # Other anchors above this IoU with an object count neither as object nor as background.
    ignore_iou: float = 0.4
    # The same for anchors that lie in a DontCare region by this share of their own area.
    dont_care_overlap: float = 0.5
    # Whether anchors on ignored objects and DontCare regions learn nothing; otherwise background.
    ignore_regions: bool = True

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Checks the order of the thresholds."""
        ordered = 0 < self.ignore_iou <= self.positive_iou <= 1
        given = (self.ignore_iou, self.positive_iou)
        require(ordered, "matching.ignore_iou, positive_iou", given, "0 < ignore <= positive <= 1")
        overlap = self.dont_care_overlap
        require(0 < overlap <= 1, "matching.dont_care_overlap", overlap, "in (0, 1]")


@dataclass(frozen=True)
class LossConfig:
    """The parts of the loss: SqueezeDet's (arXiv 1612.01051, section 3.3) and SSD's.

    SqueezeDet's weights are 5, 75, 100 and 1, with the confidence of the anchors without object
    divided by their number. That number is about a thousand times that of the others, so a box
    next to an object costs next to nothing; it takes the paper's long training to sort them out.
    """

    # What the boxes are trained by: squared (the paper) or smooth L1 differences of the deltas, or
    # 1 - generalised or complete IoU. tfa_giou is that of tensorflow-addons, the extra [addons].
    box_loss: Literal["squared", "smooth_l1", "giou", "ciou", "tfa_giou"] = "squared"
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
    # a softmax with background as a class, over the hardest negatives (SSD). quality_focal wants
    # the overlap of the box as the score of an object (arXiv 2006.04388), so that the better box
    # wins. tfa_focal is the focal loss of tensorflow-addons.
    class_loss: Literal["focal", "softmax", "quality_focal", "tfa_focal"] = "focal"
    # Weight of anchors with an object in the focal loss; the others have 1 less this.
    focal_alpha: float = 0.25
    # Exponent of the focal losses; 0 is plain cross-entropy.
    focal_gamma: float = 2.0
    # Negatives for each anchor with an object, for the softmax.
    hard_negatives: float = 3.0

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Checks that no weight is negative."""
        weights = ("box", "confidence_positive", "confidence_negative", "classification")
        for name in (*weights, "focal_gamma", "hard_negatives"):
            value = getattr(self, name)
            require(value >= 0, f"loss.{name}", value, "0 or more")
        require(0 <= self.focal_alpha <= 1, "loss.focal_alpha", self.focal_alpha, "0 to 1")


@dataclass(frozen=True)
class FitConfig:
    """A training run, whatever is trained."""

    # Passes over the training images.
    epochs: int = 30
    # Images a step, of all devices together.
    batch_size: int = 4
    # Seed of initial weights, order of images and augmentation.
    seed: int = 0
    # Name of a Keras optimizer: sgd, rmsprop, adam, adamw, lion, ... Or yellowfin, which tunes its
    # rate, momentum and clipping: learning_rate is a factor of its own (1.0) and clip_norm is 0.
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
    # Arithmetic of the layers; the variables stay float32. On CPUs mixed_bfloat16 pays with AMX or
    # AVX512-BF16 and is slower than float32 without.
    precision: Precision = "float32"
    # Epochs between two measurements on the validation split; 0 = only after the last.
    eval_every: int = 5

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Checks the ranges."""
        for name in ("epochs", "batch_size", "learning_rate", "decay_rate", "decay_epochs"):
            value = getattr(self, name)
            require(value > 0, f"train.{name}", value, "above 0")
        for name in ("weight_decay", "clip_norm", "warmup_epochs", "eval_every"):
            value = getattr(self, name)
            require(value >= 0, f"train.{name}", value, "0 or more")
        for name in ("momentum", "ema"):
            value = getattr(self, name)
            require(0 <= value < 1, f"train.{name}", value, "in [0, 1)")
        limit = f"below train.epochs, {self.epochs}"
        require(self.warmup_epochs < self.epochs, "train.warmup_epochs", self.warmup_epochs, limit)


@dataclass(frozen=True)
class TrainConfig(FitConfig):
    """The training run of a detector."""

    # Factor of the learning rate for the backbone, whose weights know something already.
    backbone_rate: float = 1.0
    # Height and width of the training images as a share of data.image_height and image_width,
    # rounded to multiples of 32. Crops enlarge what a network learns, and it finds most where
    # later images are as large (arXiv 1906.06423).
    image_scale: float = 1.0
    # Validation frames with overlays in TensorBoard.
    tensorboard_images: int = 4

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Checks the ranges."""
        super().__post_init__()
        factor = self.backbone_rate
        require(0 < factor <= 1, "train.backbone_rate", factor, "above 0, at most 1")
        scale = self.image_scale
        require(0 < scale <= 1, "train.image_scale", scale, "above 0, at most 1")
