"""Classifiers: labelled images, the network, and what its training run has of its own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mobilenetdet.config.model import frozen_at_random
from mobilenetdet.config.training import FitConfig
from mobilenetdet.config.validation import (
    Fraction,
    NonNegativeInt,
    PositiveInt,
    PositiveShare,
    Share,
    Width,
    require,
    section,
)

# Height and width of CIFAR-10's images, pixels.
CIFAR10_SIDE = 32


@section("data")
class ImageDataConfig:
    """Where the labelled images are and what the network sees of them."""

    # Data set: cifar10 or imagenet. Both come divided into training and test images.
    dataset: Literal["cifar10", "imagenet"] = "cifar10"
    # Folder of the data set. cifar10: that is or holds cifar-10-batches-py; empty = downloaded by
    # Keras. imagenet: of the TFRecords that `mobilenetdet imagenet_convert` writes.
    data_dir: str = ""
    # Height and width of the network input, pixels, 32 to 8192. cifar10's images of 32x32 are
    # augmented and then enlarged to it; beyond 32, model.small_images had better be False.
    image_size: Annotated[int, Field(ge=32, le=8192)] = 32
    # Number of classes, 2 to 1,000,000; 10 for cifar10.
    num_classes: Annotated[int, Field(ge=2, le=1_000_000)] = 10
    # Images in the shuffle buffer of imagenet, 1 or more, of which the train.record_shares have an
    # equal part each; cifar10 is shuffled as a whole.
    shuffle_buffer: PositiveInt = 4096
    # Probability of a left-right flip, 0 to 1.
    flip: Share = 0.5
    # cifar10: width of the grey border from which a random crop is cut, pixels of the image before
    # it is enlarged; 0 = no crop.
    crop_padding: NonNegativeInt = 4
    # cifar10: side of the square that is painted grey at a random place, pixels of the image before
    # it is enlarged; 0 = none.
    cutout: NonNegativeInt = 8
    # imagenet: smallest share of a picture's area that a random crop keeps, above 0; 1 = no crop.
    min_area: PositiveShare = 0.08
    # imagenet: strength of random brightness, contrast, saturation and hue, 0 (none) to 1, which is
    # Inception's.
    colour: Share = 1.0

    def __post_init__(self) -> None:
        """Checks what only cifar10 goes by: crop and cutout against its images, its classes."""
        if self.dataset != "cifar10":
            return
        for name in ("crop_padding", "cutout"):
            value = getattr(self, name)
            require(value <= CIFAR10_SIDE, f"data.{name}", value, f"at most {CIFAR10_SIDE}")
        require(self.num_classes == 10, "data.num_classes", self.num_classes, "10 for cifar10")


@section("model")
class ClassifierModelConfig:
    """The network: MobileNetV1 with its classifier."""

    # Width multiplier, above 0 up to 8. ImageNet weights exist for 0.25, 0.5, 0.75 and 1.
    alpha: Width = 1.0
    # Initial weights: imagenet (downloaded once), a Keras weight file, or none (random).
    weights: str = "none"
    # Dropout rate before the classifier, 0 to 1; 0.001 as Keras has it.
    dropout: Fraction = 1e-3
    # Activation behind each normalisation; the ImageNet weights are made for relu6.
    activation: Literal["relu6", "leaky_relu"] = "relu6"
    # Blocks that are not trained, 0 to 13, the first ones, which work on the largest maps: weights
    # that are loaded stay as they are there. Block 1 includes the stem.
    frozen_blocks: Annotated[int, Field(ge=0, le=13)] = 0
    # Moves the strides so that the last map of a 32x32 image is 4x4 instead of 1x1.
    small_images: bool = False
    # Momentum of the running batch normalisation statistics, 0 to 1.
    batch_norm_momentum: Fraction = 0.99

    def notes(self) -> list[str]:
        """Returns a line for each setting that makes no sense."""
        return frozen_at_random(self, frozen_blocks=0) if self.weights == "none" else []


@section("train")
class ClassifierTrainConfig(FitConfig):
    """The training run of a classifier."""

    # Epochs between two measurements on the test images; 0 = only after the last.
    eval_every: NonNegativeInt = 1
    # Share of the target that is spread evenly over all classes, 0 to 1.
    label_smoothing: Fraction = 0.0
