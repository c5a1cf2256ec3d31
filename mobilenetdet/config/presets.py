"""Named configs. Each docstring states data, hardware, time and result, or that it was not run.

Its last line begins with "Expected:" and stands in the help of the commands. AP is KITTI's official
one, moderate, R40 (the mean precision at 40 recalls), of each class. The sample is 860 real frames
of KITTI, 525 to train and 335 to measure, none of a drive on both sides; docs/results.md has the
commands. The full KITTI was not yet run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import cast

from mobilenetdet.config.anchor_shapes import (
    KITTI_ANCHORS,
    KITTI_PYRAMID_LEVELS,
    Shapes,
    default_shapes,
    scaled,
)
from mobilenetdet.config.detection import (
    AugmentConfig,
    DataConfig,
    DetectionConfig,
    GreedyNms,
    LevelConfig,
    ModelConfig,
    PostprocessConfig,
    QualityFocalLoss,
    SoftmaxLoss,
    SoftNms,
    SqueezeDetHeadConfig,
    SsdHeadConfig,
    TrainConfig,
)
from mobilenetdet.config.model import Stride
from mobilenetdet.config.type_names import choose_preset

# Sides of SSD's square default boxes on its four maps, and one more; pixels of the input.
_SSD_SIZES = (28.0, 60.0, 120.0, 200.0, 320.0)
# Widths over heights on the first map and on the others, as in the paper.
_SSD_RATIOS = ((1.0, 2.0, 1 / 2), *[(1.0, 2.0, 1 / 2, 3.0, 1 / 3)] * 3)
_SSD_STRIDES = (16, 32, 64, 128)
# Candidates vote where a box lies, and neighbours in a group keep a lower score instead of none.
_VOTING = PostprocessConfig(vote_sigma=0.05, suppression=SoftNms(), max_candidates=128)
# Crops pay in long runs; a short one had better see the scale that it is measured on.
_LIGHT_AUGMENT = AugmentConfig(crop=0.0, shift_scale=0.3, colour=0.2, min_box_size=2.0)


def squeezedet() -> DetectionConfig:
    """SqueezeDet's head, anchors and loss on MobileNetV1 at stride 16, 384x1248.

    The sample, ImageNet weights, 20 epochs in bfloat16 on 2 CPU cores, 50 minutes on a busy
    machine: 61.1 Car, 46.7 Pedestrian, 46.0 Cyclist.

    Expected: Car 61.1, Pedestrian 46.7, Cyclist 46.0 AP; 50 min with --train.epochs 20.
    """
    return DetectionConfig(model=ModelConfig(frozen_blocks=3))


def squeezedet_paper() -> DetectionConfig:
    """The recipe of the SqueezeDet paper: SGD, rate halved in steps, one anchor an object.

    Values are those of the authors' code (github.com/BichenWuUCB/squeezeDet), but: images move by
    up to 45 rows, not 100, objects that leave the image by more than 60 % count no longer, and the
    best 64 boxes are of each class. Random halves of 899 frames, R11 by the rules before 2017: 31.8
    Car, 42.8 Pedestrian, 48.9 Cyclist.

    Expected: Car 31.8, Pedestrian 42.8, Cyclist 48.9 R11, after 80 of 100 epochs.
    """
    config = squeezedet()
    return replace(
        config,
        # No object is left out as too hard (EXCLUDE_HARD_EXAMPLES is False).
        data=replace(config.data, min_object_height=0.0, max_occlusion=3, max_truncation=1.0),
        matching=replace(config.matching, positive_iou=1.0, ignore_iou=1.0),
        head=SqueezeDetHeadConfig(
            dropout=0.5,
            box_weight=5.0,
            confidence_positive_weight=75.0,
            confidence_negative_weight=100.0,
            negative_normaliser="negatives",
            class_weight=1.0,
        ),
        augment=AugmentConfig(crop=0.0, shift_scale=1.0, shift=0.12, scale=0.0, colour=0.0),
        model=replace(config.model, frozen_blocks=0),
        postprocess=replace(
            config.postprocess, suppression=GreedyNms(max_iou=0.4), max_candidates=64
        ),
        train=TrainConfig(
            epochs=100,
            batch_size=20,
            optimizer="sgd",
            learning_rate=0.01,
            schedule="step",
            decay_rate=0.5,
            decay_epochs=54.0,
            warmup_epochs=0.0,
            ema=0.0,
        ),
    )


def ssd_fpn() -> DetectionConfig:
    """SSD's head on a feature pyramid, strides 8, 16 and 32, 480x1568: the best AP.

    Fitted anchors, quality focal loss, GIoU; trained at 384x1248 on crops that enlarge; ImageNet
    weights. The sample, 20 epochs in bfloat16 on 2 CPU cores, 63 minutes on a busy machine: 78.3
    Car, 52.8 Pedestrian, 57.9 Cyclist. The weights that ship as `ssd_fpn` went on with street
    photographs and learnt from teachers: 86.0 Car, 60.1 Pedestrian, 63.8 Cyclist.

    Expected: Car 78.3, Pedestrian 52.8, Cyclist 57.9 AP; 63 min on 525 frames, 2 CPU cores.
    """
    return DetectionConfig(
        # Crops make objects 1.4 times as large on average; at 1.25 times the training size those of
        # whole frames are found best.
        data=DataConfig(image_height=480, image_width=1568),
        model=ModelConfig(
            levels=_levels(KITTI_PYRAMID_LEVELS),
            pyramid_channels=128,
            frozen_blocks=3,
            batch_norm_momentum=0.98,
        ),
        head=SsdHeadConfig(
            blocks=2,
            channels=128,
            box_loss="giou",
            box_weight=2.0,
            class_weight=1.0,
            class_loss=QualityFocalLoss(),
        ),
        augment=AugmentConfig(
            crop=0.8,
            crop_min_scale=0.4,
            shift_scale=0.3,
            colour=0.7,
            hue_saturation=0.2,
            cutout=0.2,
        ),
        postprocess=_VOTING,
        train=TrainConfig(
            epochs=20,
            batch_size=2,
            backbone_rate=0.5,
            image_scale=0.8,
            weight_decay=0.05,
            ema=0.999,
        ),
    )


def ssd_fpn_050() -> DetectionConfig:
    """The detector of `ssd_fpn` at half the width, 384x1248: for small machines.

    As `ssd_fpn_025`, from ImageNet weights for alpha 1 that were narrowed, 4 epochs with street
    photographs and 24 without, about 55 minutes on 2 CPU cores that shared other work: 81.2 Car,
    42.0 Pedestrian, 50.3 Cyclist. The weights that ship, the mean of these and of two runs from
    them, have 86.7, 48.5 and 50.6.

    Expected: Car 81.2, Pedestrian 42.0, Cyclist 50.3 AP with photographs, 55 min.
    """
    return _narrow(alpha=0.5, channels=96)


def ssd_fpn_025() -> DetectionConfig:
    """The detector of `ssd_fpn` at a quarter of the width, 384x1248: for embedded cameras.

    ImageNet weights, 6 epochs of 564 real frames and 2,178 street photographs, then 24 of the 564
    (docs/experiments.md has the commands), about 42 minutes on 2 CPU cores that shared other work:
    77.9 Car, 42.0 Pedestrian, 43.6 Cyclist. The weights that ship, the mean of these and of two
    runs from them, have 80.8, 48.6 and 46.0.

    Expected: Car 77.9, Pedestrian 42.0, Cyclist 43.6 AP with photographs, 42 min.
    """
    return _narrow(alpha=0.25, channels=64)


def _narrow(*, alpha: float, channels: int) -> DetectionConfig:
    """`ssd_fpn` with a narrower backbone, pyramid and head.

    384x1248 in training, too, and lighter crops: the recipe of `ssd_fpn` costs the narrowest 7
    points. Nothing is frozen and the rate stays constant: 2 points each. Fewer candidates, so that
    suppression takes its share of the time and no more.
    """
    config = ssd_fpn()
    return replace(
        config,
        data=DataConfig(),
        augment=AugmentConfig(),
        model=replace(config.model, alpha=alpha, pyramid_channels=channels, frozen_blocks=0),
        head=replace(config.head, channels=channels),
        train=TrainConfig(epochs=20, batch_size=2, schedule="constant"),
        postprocess=replace(config.postprocess, max_candidates=96),
    )


def ssd() -> DetectionConfig:
    """SSD as published on MobileNetV1: strides 16 to 128, softmax, smooth L1, 384x1248.

    arXiv 1512.02325. Its default boxes begin at 28 pixels, which is more than most pedestrians of
    KITTI are wide. The sample, ImageNet weights, `--train.epochs 12`, 80 minutes on 2 CPU cores
    that shared other work: 48.0 Car, 32.6 Pedestrian, 40.9 Cyclist.

    Expected: Car 48.0, Pedestrian 32.6, Cyclist 40.9 AP; 80 min with --train.epochs 12.
    """
    shapes = default_shapes(_SSD_SIZES, _SSD_RATIOS)
    return DetectionConfig(
        model=ModelConfig(levels=_levels(zip(_SSD_STRIDES, shapes, strict=True)), frozen_blocks=3),
        head=SsdHeadConfig(
            blocks=1,
            channels=256,
            box_loss="smooth_l1",
            box_weight=1.0,
            class_weight=1.0,
            class_loss=SoftmaxLoss(),
        ),
    )


def rendered() -> DetectionConfig:
    """SqueezeDet's head on a pyramid at stride 8, 384x1248: for the rendered data set.

    1,530 rendered frames to train, 270 to measure, ImageNet weights, 9 epochs on 2 CPU cores, 117
    minutes on a busy machine: 99.7 Car, 93.8 Pedestrian, 96.5 Cyclist (epoch 6).

    Expected: Car 99.7, Pedestrian 93.8, Cyclist 96.5 AP; 117 min on 1,530 rendered frames.
    """
    return DetectionConfig(
        data=DataConfig(records_dir="data/rendered/tfrecord"),
        augment=_LIGHT_AUGMENT,
        model=ModelConfig(
            levels=(LevelConfig(8, KITTI_ANCHORS),),
            pyramid_channels=128,
            frozen_blocks=3,
            batch_norm_momentum=0.98,
        ),
        head=SqueezeDetHeadConfig(blocks=1, channels=128, box_loss="giou", box_weight=10.0),
        # Two frames a step end at the same training loss as four, and at more AP on new frames.
        train=TrainConfig(epochs=9, batch_size=2, warmup_epochs=0.5, ema=0.999),
    )


def quickstart() -> DetectionConfig:
    """Half the size, half the width, no pretrained weights: for the rendered data set on a laptop.

    680 rendered frames to train, 120 to measure, 6 epochs, 5 min 48 s on 2 CPU cores with rendering
    and evaluation (`bash scripts/quickstart.sh`): 75.4 Car, 42.8 Pedestrian, 41.7 Cyclist.

    Expected: Car 75.4, Pedestrian 42.8, Cyclist 41.7 AP; 6 min on 680 rendered frames.
    """
    return DetectionConfig(
        data=DataConfig(
            records_dir="data/rendered/tfrecord",
            image_height=192,
            image_width=640,
            min_object_height=6.0,
        ),
        augment=_LIGHT_AUGMENT,
        model=ModelConfig(
            alpha=0.5,
            weights="none",
            levels=(LevelConfig(8, scaled(KITTI_ANCHORS, 0.5)),),
            pyramid_channels=96,
            batch_norm_momentum=0.98,
        ),
        head=SqueezeDetHeadConfig(
            blocks=1, channels=96, box_loss="giou", box_weight=15.0, class_weight=10.0
        ),
        postprocess=_VOTING,
        train=TrainConfig(epochs=6, batch_size=2, learning_rate=2e-3, ema=0.995, eval_every=0),
    )


PRESETS: dict[str, Callable[[], DetectionConfig]] = {
    preset.__name__: preset
    for preset in (
        ssd_fpn,
        ssd_fpn_050,
        ssd_fpn_025,
        ssd,
        squeezedet,
        squeezedet_paper,
        rendered,
        quickstart,
    )
}


def make_preset(name: str) -> DetectionConfig:
    """Returns a preset by name.

    Raises:
        ValueError: no such preset; the nearest is named.
    """
    return choose_preset(name, PRESETS)


def _levels(levels: Iterable[tuple[int, Shapes]]) -> tuple[LevelConfig, ...]:
    return tuple(LevelConfig(cast(Stride, stride), shapes) for stride, shapes in levels)
