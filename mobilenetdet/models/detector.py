"""The detector: backbone, head and anchors, trained by `fit` through its own `compute_loss`."""

from __future__ import annotations

import keras
from keras import ops

from mobilenetdet.boxes.anchors import AnchorGrid
from mobilenetdet.boxes.geometry import Tensor
from mobilenetdet.boxes.matching import match_anchors
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.models.addons_losses import load_addons
from mobilenetdet.models.anchor_head import AnchorHead, Predictions
from mobilenetdet.models.extra_layers import build_extra_layers
from mobilenetdet.models.mobilenet_v1 import (
    TAP_BLOCKS,
    build_mobilenet_v1,
    freeze_batch_norm,
    freeze_blocks,
)
from mobilenetdet.models.pyramid import build_pyramid
from mobilenetdet.models.squeezedet_head import SqueezeDetHead
from mobilenetdet.models.ssd_head import SsdHead
from mobilenetdet.models.weights import (
    LoadReport,
    load_backbone_weights,
    load_detector_weights,
)
from mobilenetdet.runs import find_detector_weights


@keras.saving.register_keras_serializable("mobilenetdet")
class Detector(keras.Model):
    """MobileNetV1 with an anchor head.

    uint8 images go in, the scaling to -1..1 is inside. The detector owns its anchors: batches
    carry boxes, and `compute_loss` makes targets from them.
    """

    def __init__(self, config: DetectionConfig) -> None:
        """Builds the network with fresh weights; see `load_backbone_weights`."""
        super().__init__(name="detector")
        self.config = config
        self.image_size = config.image_size
        model = config.model
        self.backbone = build_mobilenet_v1(
            (*config.image_size, 3),
            alpha=model.alpha,
            strides=self._backbone_strides(),
            batch_norm_momentum=model.batch_norm_momentum,
        )
        self.pyramid = self._build_pyramid()
        self.extra_layers = self._build_extra_layers()
        if "tfa_" in config.loss.box_loss + config.loss.class_loss:
            load_addons()  # says at once what is missing
        self.head = _build_head(config)
        self.anchor_grid = AnchorGrid(config.image_size, model.levels())
        self.anchors = self.anchor_grid.boxes_xyxy()  # [A, 4]
        self.part_trackers = [keras.metrics.Mean(name=name) for name in self.head.loss_parts]
        self.dropped_tracker = keras.metrics.Sum(name="dropped_boxes")
        freeze_blocks(self.backbone, model.frozen_blocks)
        if model.freeze_batch_norm:
            freeze_batch_norm(self.backbone)

    def call(self, images: Tensor, training: bool | None = None) -> Predictions:
        """Predicts for every anchor.

        Args:
            images: [B, H, W, 3], 0 to 255, RGB, of `image_size`.
            training: switches dropout and batch statistics.

        Returns:
            The raw predictions of the head.
        """
        pixels = ops.cast(images, self.compute_dtype) / 127.5 - 1.0
        maps = dict(self.backbone(pixels, training=training))
        if self.extra_layers is not None:
            coarsest = maps[f"stride_{max(TAP_BLOCKS)}"]
            maps |= self.extra_layers(coarsest, training=training)
        if self.pyramid is not None:
            maps = self.pyramid(maps, training=training)
        features = [maps[f"stride_{stride}"] for stride in self.config.model.strides]
        several = self.config.model.head == "ssd"
        return self.head(features if several else features[0], training=training)

    def compute_loss(
        self,
        x: Tensor = None,
        y: dict[str, Tensor] | None = None,
        y_pred: Predictions | None = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """Matches anchors to the boxes of the batch and sums the parts of the loss.

        Args:
            x: images, unused.
            y: "boxes" [B, N, 4] (pixels of the network input), "classes" and "box_status" [B, N],
                and optionally "num_dropped" [B].
            y_pred: raw predictions.
            sample_weight: not supported.
            training: unused.
        """
        if sample_weight is not None:
            raise ValueError("Detector takes no sample_weight; use box_status to ignore objects")
        matches = match_anchors(self.anchor_grid, y["boxes"], y["box_status"], self.config.matching)
        parts = self.head.losses_by_part(
            y_pred, self.anchors, matches, y["boxes"], y["classes"], self.config.loss
        )
        for tracker in self.part_trackers:
            tracker.update_state(parts[tracker.name])
        if "num_dropped" in y:
            self.dropped_tracker.update_state(y["num_dropped"])
        return sum(parts.values())

    def compute_metrics(
        self, x: Tensor, y: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> dict[str, Tensor]:
        """The loss, its parts and the boxes that augmentation dropped, over the epoch so far."""
        return self.get_metrics_result()

    def _backbone_strides(self) -> tuple[int, ...]:
        """Strides of the maps that the backbone gives."""
        model = self.config.model
        if model.pyramid_channels:
            return tuple(stride for stride in TAP_BLOCKS if stride >= min(model.strides))
        own = {stride for stride in model.strides if stride in TAP_BLOCKS}
        # The extra layers begin at the coarsest map.
        extra = {max(TAP_BLOCKS)} if len(own) < len(model.strides) else set()
        return tuple(sorted(own | extra))

    def _build_pyramid(self) -> keras.Model | None:
        model = self.config.model
        if model.pyramid_channels == 0:
            return None
        strides = self._backbone_strides()
        return build_pyramid(
            {s: self.backbone.output[f"stride_{s}"].shape[1:] for s in strides},
            strides=model.strides,
            channels=model.pyramid_channels,
            batch_norm_momentum=model.batch_norm_momentum,
        )

    def _build_extra_layers(self) -> keras.Model | None:
        model = self.config.model
        strides = [stride for stride in model.strides if stride not in TAP_BLOCKS]
        if not strides:
            return None
        coarsest = max(TAP_BLOCKS)
        return build_extra_layers(
            self.backbone.output[f"stride_{coarsest}"].shape[1:],
            stride=coarsest,
            strides=strides,
            batch_norm_momentum=model.batch_norm_momentum,
        )


def _build_head(config: DetectionConfig) -> AnchorHead:
    model = config.model
    options = {
        "num_blocks": model.head_blocks,
        "channels": model.head_channels,
        "dropout": model.dropout,
        "batch_norm_momentum": model.batch_norm_momentum,
        "name": "head",
    }
    if model.head == "squeezedet":
        return SqueezeDetHead(config.num_classes, len(model.anchors), **options)
    return SsdHead(
        config.num_classes,
        [len(shapes) for _, shapes in model.levels()],
        background=config.loss.class_loss == "softmax",
        **options,
    )


def build_detector(
    config: DetectionConfig, *, load_weights: bool = True
) -> tuple[Detector, LoadReport | None]:
    """Builds a detector and fills its backbone, or all of it.

    Args:
        config: the whole config; `train.seed` seeds the fresh weights, and `train.precision`
            becomes Keras' global policy.
        load_weights: whether to load `model.detector_weights` or, where there are none,
            `model.weights`; not needed before a checkpoint is loaded.

    Returns:
        The detector, built, and what was loaded.
    """
    keras.utils.set_random_seed(config.train.seed)
    keras.mixed_precision.set_global_policy(config.train.precision)
    detector = Detector(config)
    detector(keras.KerasTensor((1, *config.image_size, 3), dtype="uint8"))  # makes the variables
    report = None
    model = config.model
    if load_weights and model.detector_weights:
        path = find_detector_weights(model.detector_weights)
        report = load_detector_weights(detector, path)
    elif load_weights:
        report = load_backbone_weights(detector.backbone, model.weights, alpha=model.alpha)
    return detector, report
