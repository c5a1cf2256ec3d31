"""What the network sees: the records, and their augmentation."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

from pydantic import Field

from mobilenetdet.config.classes import EVALUATED_CLASSES, EvalTask
from mobilenetdet.config.frozen import freeze
from mobilenetdet.config.validation import (
    ImageSide,
    NonNegative,
    PositiveInt,
    PositiveShare,
    Share,
    section,
)


@section("data")
class DataConfig:
    """Where the records are and what the network sees of them."""

    # Folder of the TFRecord shards, as `mobilenetdet tf_convert_data` writes them.
    records_dir: str = "data/KITTI/tfrecord"
    # Split to train on; its shards are named train_000.tfrecord and so on.
    train_split: str = "train"
    # Split to measure AP on.
    val_split: str = "val"
    # Classes to detect, in the order of the class indices: any types of the labels.
    classes: tuple[str, ...] = EVALUATED_CLASSES
    # Other types that are trained and scored as one of the classes, by type: Van Car Truck Car.
    class_map: dict[str, str] = field(default_factory=dict)
    # Types beside a class that are neither learnt nor false alarms, by class: Car Van,Truck. A
    # class that is not named has KITTI's: Van for Car, Person_sitting for Pedestrian.
    neighbours: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # Height of the network input, pixels, a multiple of 32. Training images may be smaller, see
    # train.image_scale.
    image_height: ImageSide = 384
    # Width of the network input, pixels, a multiple of 32.
    image_width: ImageSide = 1248
    # Lowest height of an object that is trained, pixels of the network input; lower ones are
    # ignored. 12 is about half the lowest height that KITTI scores, 25 pixels of the original.
    min_object_height: NonNegative = 12.0
    # Highest occlusion of an object that is trained, KITTI's scale of 0 (visible) to 3 (unknown);
    # more occluded ones are ignored. 2 is what KITTI's level hard scores.
    max_occlusion: Annotated[int, Field(ge=0, le=3)] = 2
    # Highest truncation by the image border of an object that is trained, 0 to 1; more truncated
    # ones are ignored. KITTI's level hard scores up to 0.5.
    max_truncation: Share = 0.7
    # Frames in the shuffle buffer, 1 or more. One shard's worth mixes well; more takes memory. The
    # train.record_shares have an equal part of it each.
    shuffle_buffer: PositiveInt = 1024

    def __post_init__(self) -> None:
        """Checks the class names."""
        for name in ("class_map", "neighbours"):
            object.__setattr__(self, name, freeze(getattr(self, name)))
        try:
            self.class_task()
        except ValueError as error:
            raise ValueError(f"data.{error}") from None

    def class_task(self) -> EvalTask:
        """Returns the classes with the types that belong to them and beside them.

        Minimum overlaps and difficulties are defaults; see `DetectionConfig.eval_task`.
        """
        return EvalTask.of(self.classes, class_map=self.class_map, neighbours=self.neighbours)


@section("augment")
class AugmentConfig:
    """Random changes of the training frames; boxes move with the pixels."""

    # Switches all augmentation on or off.
    enabled: bool = True
    # Probability of a left-right flip, 0 to 1.
    flip: Share = 0.5
    # Probability of a random crop that is enlarged to the input size, 0 to 1; it may cut objects.
    crop: Share = 0.4
    # Smallest side of the crop as a share of the frame's, above 0 up to 1.
    crop_min_scale: PositiveShare = 0.55
    # Probability of a shift and scale of the whole frame, 0 to 1.
    shift_scale: Share = 0.2
    # Largest shift as a share of the frame's sides, 0 to 1.
    shift: Share = 0.05
    # Largest change of the scale, 0 to 1: factors are drawn from 1 - scale to 1 + scale.
    scale: Share = 0.15
    # Probability of a change of brightness and contrast, 0 to 1.
    colour: Share = 0.5
    # Largest change of brightness as a share of full scale, 0 to 1.
    brightness: Share = 0.2
    # Largest change of contrast, 0 to 1: factors are drawn from 1 - contrast to 1 + contrast.
    contrast: Share = 0.2
    # Probability of a change of hue and saturation, 0 to 1; it takes about 5 ms a frame.
    hue_saturation: Share = 0.0
    # Probability that a rectangle of each object is painted over, 0 to 1; cutout,
    # arXiv 1708.04552.
    cutout: Share = 0.0
    # Largest sides of that rectangle as a share of the object's, 0 to 1; at 0.6 what is left can
    # still be recognised.
    cutout_size: Share = 0.6
    # Smallest width and height of a box after augmentation, pixels of the network input; smaller
    # ones are dropped and counted.
    min_box_size: NonNegative = 3.0
    # Share of an object's area that a crop must leave, 0 to 1; objects with less are ignored.
    min_visibility: Share = 0.4
