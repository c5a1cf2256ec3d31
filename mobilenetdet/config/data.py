"""What the network sees: the records, and their augmentation."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from mobilenetdet.config.classes import EVALUATED_CLASSES, EvalTask
from mobilenetdet.config.frozen import freeze
from mobilenetdet.config.validation import STRICT, require


@dataclass(frozen=True)
class DataConfig:
    """Where the records are and what the network sees of them."""

    # Folder of the TFRecord shards that tools/tf_convert_data.py writes.
    records_dir: str = "data/KITTI/tfrecord"
    # Split to train on; its shards are train_000.tfrecord and so on.
    train_split: str = "train"
    # Split that AP is measured on.
    val_split: str = "val"
    # Classes to detect, in the order of the class indices: any types of the labels.
    classes: tuple[str, ...] = EVALUATED_CLASSES
    # Other types that are trained and scored as one of the classes, by type: Van Car Truck Car.
    class_map: dict[str, str] = field(default_factory=dict)
    # Types beside a class that are neither learnt nor false alarms, by class: Car Van,Truck. A
    # class that is not named has KITTI's: Van for Car, Person_sitting for Pedestrian.
    neighbours: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # Height of the network input, pixels, a multiple of 32; of training see train.image_scale.
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

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Checks the sizes and the class names."""
        for name in ("class_map", "neighbours"):
            object.__setattr__(self, name, freeze(getattr(self, name)))
        for name in ("image_height", "image_width"):
            value = getattr(self, name)
            require(value > 0 and value % 32 == 0, f"data.{name}", value, "a multiple of 32")
        require(self.shuffle_buffer > 0, "data.shuffle_buffer", self.shuffle_buffer, "positive")
        try:
            self.class_task()
        except ValueError as error:
            raise ValueError(f"data.{error}") from None

    def class_task(self) -> EvalTask:
        """Returns the classes with the types that belong to them and beside them.

        Minimum overlaps and difficulties are defaults; see `DetectionConfig.eval_task`.
        """
        return EvalTask.of(self.classes, class_map=self.class_map, neighbours=self.neighbours)


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
    # Probability that a rectangle of each object is painted over (cutout, arXiv 1708.04552).
    cutout: float = 0.0
    # Largest sides of that rectangle as a share of the object's; what is left can still be told.
    cutout_size: float = 0.6
    # Probability that a frame is put together from quarters of the frames of its batch.
    mosaic: float = 0.0
    # Boxes narrower or lower than this afterwards are dropped and counted, network pixels.
    min_box_size: float = 3.0
    # Objects of which a crop leaves less than this share are ignored in training.
    min_visibility: float = 0.4

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Checks that probabilities and shares lie in 0..1."""
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name not in ("enabled", "min_box_size"):
                require(0.0 <= value <= 1.0, f"augment.{item.name}", value, "between 0 and 1")
        require(self.min_box_size >= 0, "augment.min_box_size", self.min_box_size, "0 or more")
        require(self.crop_min_scale > 0, "augment.crop_min_scale", self.crop_min_scale, "above 0")
