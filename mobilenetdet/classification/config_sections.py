"""Classifiers: labelled images, the network, and what its training run has of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mobilenetdet.config.training import FitConfig
from mobilenetdet.config.validation import STRICT, require


@dataclass(frozen=True)
class ImageDataConfig:
    """Where the labelled images are and what the network sees of them."""

    # What to learn. Both bring a division into training and test images.
    dataset: Literal["cifar10", "imagenet"] = "cifar10"
    # Of cifar10, the folder that is or holds cifar-10-batches-py; empty: Keras downloads it. Of
    # imagenet, the folder of the TFRecords.
    data_dir: str = ""
    # Height and width of the network input, pixels.
    image_size: int = 32
    # Classes to tell apart.
    num_classes: int = 10
    # Images in the shuffle buffer, of imagenet; cifar10 is shuffled as a whole.
    shuffle_buffer: int = 4096
    # Probability of a left-right flip.
    flip: float = 0.5
    # Of cifar10: width of the grey border from which a random crop is cut, pixels; 0 = no crop.
    crop_padding: int = 4
    # Of cifar10: side of the square that is painted grey at a random place, pixels; 0 = none.
    cutout: int = 8
    # Of imagenet: smallest share of a picture's area that a random crop keeps; 1 = no crop.
    min_area: float = 0.08
    # Of imagenet: strength of the changes of brightness, contrast, saturation and hue; 0 = none, 1
    # = Inception's.
    colour: float = 1.0

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Checks the ranges, and that cifar10 is itself."""
        for name, lowest in (("image_size", 32), ("num_classes", 2), ("shuffle_buffer", 1)):
            value = getattr(self, name)
            require(value >= lowest, f"data.{name}", value, f"at least {lowest}")
        for name in ("flip", "colour"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"data.{name}", value, "between 0 and 1")
        require(0 < self.min_area <= 1, "data.min_area", self.min_area, "in (0, 1]")
        for name in ("crop_padding", "cutout"):
            value = getattr(self, name)
            require(0 <= value <= self.image_size, f"data.{name}", value, "0 to data.image_size")
        if self.dataset == "cifar10":
            require(self.image_size == 32, "data.image_size", self.image_size, "32 for cifar10")
            require(self.num_classes == 10, "data.num_classes", self.num_classes, "10 for cifar10")


@dataclass(frozen=True)
class ClassifierModelConfig:
    """The network: MobileNetV1 with its classifier."""

    # Width multiplier. ImageNet weights exist for 0.25, 0.5, 0.75 and 1.0.
    alpha: float = 1.0
    # "imagenet" (downloaded and cached), the path of a Keras weight file, or "none".
    weights: str = "none"
    # Dropout before the classifier.
    dropout: float = 1e-3
    # Behind each normalisation; ImageNet weights are made for relu6.
    activation: Literal["relu6", "leaky_relu"] = "relu6"
    # Moves the strides so that the last map of a 32x32 image is 4x4 instead of 1x1.
    small_images: bool = False
    # Share of the running statistics that a training step keeps.
    batch_norm_momentum: float = 0.99

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Checks the ranges."""
        require(self.alpha > 0, "model.alpha", self.alpha, "above 0")
        for name in ("dropout", "batch_norm_momentum"):
            value = getattr(self, name)
            require(0 <= value < 1, f"model.{name}", value, "in [0, 1)")


@dataclass(frozen=True)
class ClassifierTrainConfig(FitConfig):
    """The training run of a classifier."""

    # Epochs between two measurements on the test images; 0 = only after the last.
    eval_every: int = 1
    # Share of the target that is spread evenly over all classes.
    label_smoothing: float = 0.0

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Checks the ranges."""
        super().__post_init__()
        smoothing = self.label_smoothing
        require(0 <= smoothing < 1, "train.label_smoothing", smoothing, "in [0, 1)")
