"""The detector: backbone, head and anchors, trained by `fit` through its own `compute_loss`."""

from __future__ import annotations

import contextlib
from typing import Any, Protocol

import keras
from keras import ops

from mobilenetdet.boxes.anchors import AnchorGrid
from mobilenetdet.boxes.geometry import Tensor
from mobilenetdet.boxes.matching import match_anchors
from mobilenetdet.config.detection import DetectionConfig, ModelConfig, Precision
from mobilenetdet.config.storage import from_json, to_json
from mobilenetdet.models.addons_losses import load_addons
from mobilenetdet.models.anchor_head import AnchorHead, Predictions
from mobilenetdet.models.backbone_weights import load_backbone_weights
from mobilenetdet.models.extra_layers import build_extra_layers
from mobilenetdet.models.layers import layer_policy, layer_seed
from mobilenetdet.models.mobilenet_v1 import (
    TAP_BLOCKS,
    build_mobilenet_v1,
    freeze_batch_norm,
    freeze_blocks,
)
from mobilenetdet.models.pyramid import build_pyramid
from mobilenetdet.models.squeezedet_head import SqueezeDetHead
from mobilenetdet.models.ssd_head import SsdHead
from mobilenetdet.models.weights import LoadReport, load_detector_weights
from mobilenetdet.replicas import num_replicas
from mobilenetdet.runs import find_detector_weights, shipped_weights

# The coarsest map of the backbone.
_COARSEST = max(TAP_BLOCKS)
# By the kind that the config names.
_HEADS: dict[str, type[AnchorHead]] = {"squeezedet": SqueezeDetHead, "ssd": SsdHead}


class Teacher(Protocol):
    """What a detector learns from beside labels."""

    def loss(self, images: Tensor, head: AnchorHead, predictions: Predictions) -> Tensor:
        """How far predictions for images are from what it predicts itself, a scalar.

        Args:
            images: [B, H, W, 3], 0 to 255.
            head: that predicted.
            predictions: raw ones.
        """
        ...


@keras.saving.register_keras_serializable("mobilenetdet")
class Detector(keras.Model):
    """MobileNetV1 with an anchor head.

    uint8 images go in, the scaling to -1..1 is inside. The detector owns its anchors: batches
    carry boxes, and `compute_loss` makes targets from them.
    """

    def __init__(self, config: DetectionConfig) -> None:
        """Makes the layers; `build_detector` gives them weights.

        Args:
            config: the whole config. Precision and seed are those of Keras; `build_detector` scopes
                them.
        """
        super().__init__(name="detector")
        # === Layers ===
        model = config.model
        self.backbone = build_mobilenet_v1(
            (*config.image_size, 3),
            alpha=model.alpha,
            strides=_backbone_strides(model),
            batch_norm_momentum=model.batch_norm_momentum,
        )
        freeze_blocks(self.backbone, model.frozen_blocks)
        self.pyramid = _pyramid(model, self.backbone)
        self.extra_layers = _extra_layers(model, self.backbone)
        self.head = _make_head(config)
        if model.freeze_batch_norm:
            # Weights of a backbone leave the other layers fresh; their statistics must be learnt.
            freeze_batch_norm(self if model.detector_weights else self.backbone)
        # === Anchors ===
        self.anchor_grid = AnchorGrid(config.image_size, model.anchor_levels)
        self.anchors = self.anchor_grid.boxes_xyxy()  # [A, 4]
        # === Metrics ===
        self.teacher: Teacher | None = None
        names = [*self.head.loss_parts, *(["teacher_loss"] if config.train.teachers else [])]
        self.part_trackers = [keras.metrics.Mean(name=name) for name in names]
        self.dropped_tracker = keras.metrics.Sum(name="dropped_boxes")
        # === Config ===
        self.config = config
        self.image_size = config.image_size

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
            maps |= self.extra_layers(maps[f"stride_{_COARSEST}"], training=training)
        if self.pyramid is not None:
            maps = self.pyramid(maps, training=training)
        features = [maps[f"stride_{stride}"] for stride in self.config.model.strides]
        return self.head(features, training=training)

    def compute_loss(
        self,
        x: Tensor = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """Sums the parts of the loss: of the anchors matched to the boxes, and of a teacher.

        Args:
            x: images; only a teacher looks at them.
            y: "boxes" [B, N, 4] (pixels of the network input), "classes" and "box_status" [B, N],
                and optionally "num_dropped" [B].
            y_pred: raw predictions.
            sample_weight: not supported.
            training: unused.
        """
        if sample_weight is not None:
            raise ValueError("Detector takes no sample_weight; use box_status to ignore objects")
        share = 0.0 if self.teacher is None else self.config.train.teacher_weight
        parts = dict.fromkeys(self.head.loss_parts, 0.0)
        if share < 1:
            of_labels = self._losses_of_labels(y, y_pred)
            parts = {name: (1 - share) * part for name, part in of_labels.items()}
        if self.teacher is not None:
            parts["teacher_loss"] = share * self.teacher.loss(x, self.head, y_pred)
        for tracker in self.part_trackers:
            # Each replica adds its part of the loss, and a tracker holds their mean. A detector
            # that is loaded has no teacher, whatever its training had.
            tracker.update_state(parts.get(tracker.name, 0.0) * num_replicas())
        if "num_dropped" in y:
            self.dropped_tracker.update_state(y["num_dropped"])
        return sum(parts.values())

    def _losses_of_labels(self, y: Any, y_pred: Any) -> dict[str, Tensor]:
        matches = match_anchors(self.anchor_grid, y["boxes"], y["box_status"], self.config.matching)
        return self.head.losses_by_part(
            y_pred,
            self.anchors,
            matches,
            gt_boxes=y["boxes"],
            gt_classes=y["classes"],
            config=self.config.head,
        )

    def compute_metrics(
        self, x: Tensor, y: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> dict[str, Tensor]:
        """The loss, its parts and the boxes that augmentation dropped, over the epoch so far."""
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Tensor]:
        """The loss, its parts and the boxes that augmentation dropped, over the epoch so far.

        The loss is the sum of its parts: Keras' own mean weighs the replicas by their images, and
        the last batch of an epoch may leave one without.
        """
        results = super().get_metrics_result()
        results["loss"] = sum(results[tracker.name] for tracker in self.part_trackers)
        return results

    def get_config(self) -> dict[str, Any]:
        """The whole config as JSON, which `from_config` reads."""
        return {"config": to_json(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Detector:
        """Makes the layers of a detector again; weights are fresh."""
        return cls(from_json(config["config"], "config of a saved detector"))


def build_detector(
    config: DetectionConfig,
    *,
    load_weights: bool = True,
    precision: Precision | None = None,
    seed: int | None = None,
) -> tuple[Detector, LoadReport | None]:
    """Builds a detector and fills its backbone, or all of it.

    Keras' global policy and all global seeds stay as they are.

    Args:
        config: the whole config.
        load_weights: whether to load `model.detector_weights` or, where there are none,
            `model.weights`; not needed before a checkpoint is loaded.
        precision: policy of the layers, by default `train.precision`.
        seed: of the fresh weights and of dropout, by default `train.seed`.

    Returns:
        The detector, built, and what was loaded.

    Raises:
        FileNotFoundError: there are no such weights, or they cannot be downloaded.
        ValueError: the weights do not fit the network, or are damaged.
    """
    precision = config.train.precision if precision is None else precision
    with layer_policy(precision), layer_seed(config.train.seed if seed is None else seed):
        detector = Detector(config)
        # Makes the variables.
        detector(keras.KerasTensor((1, *config.image_size, 3), dtype="uint8"))
    report = None
    model = config.model
    if load_weights and model.detector_weights:
        path = find_detector_weights(model.detector_weights)
        try:
            report = load_detector_weights(detector, path)
        except ValueError as error:
            if (name := path.parent.name) not in shipped_weights():
                raise
            raise ValueError(f"{error}; {name} goes with --preset {name}") from None
    elif load_weights:
        try:
            report = load_backbone_weights(
                detector.backbone, model.weights, alpha=model.alpha, narrow=model.narrow_weights
            )
        except FileNotFoundError as error:
            if model.weights != "imagenet":
                raise
            raise FileNotFoundError(f"{error}{_shipped_instead(detector)}") from None
    return detector, report


def _shipped_instead(detector: Detector) -> str:
    """Names the weights that ship and fit a detector, which may begin from them; "" for none."""
    fitting = []
    for name, run in shipped_weights().items():
        with contextlib.suppress(ValueError):
            load_detector_weights(detector, run.find_weights())
            fitting.append(f"--model.detector_weights {name}")
    return f"; or begin from a detector that ships, {' or '.join(fitting)}" if fitting else ""


def _make_head(config: DetectionConfig) -> AnchorHead:
    """Makes the head of a detector.

    Raises:
        ValueError: its loss is of tensorflow-addons, which is not there; says how to get it.
    """
    head = config.head
    class_loss = getattr(head, "class_loss", None)
    if "tfa_" in head.box_loss + getattr(class_loss, "kind", ""):
        load_addons()  # says at once what is missing
    return _HEADS[head.kind].from_detection_config(config, name="head")


def _backbone_strides(model: ModelConfig) -> tuple[int, ...]:
    """Strides of the maps that the backbone gives."""
    if model.pyramid_channels:
        return tuple(stride for stride in TAP_BLOCKS if stride >= min(model.strides))
    own = {stride for stride in model.strides if stride in TAP_BLOCKS}
    # The extra layers begin at the coarsest map.
    extra = {_COARSEST} if len(own) < len(model.strides) else set()
    return tuple(sorted(own | extra))


def _pyramid(model: ModelConfig, backbone: keras.Model) -> keras.Model | None:
    if model.pyramid_channels == 0:
        return None
    strides = _backbone_strides(model)
    return build_pyramid(
        {stride: backbone.output[f"stride_{stride}"].shape[1:] for stride in strides},
        strides=model.strides,
        channels=model.pyramid_channels,
        batch_norm_momentum=model.batch_norm_momentum,
    )


def _extra_layers(model: ModelConfig, backbone: keras.Model) -> keras.Model | None:
    strides = [stride for stride in model.strides if stride not in TAP_BLOCKS]
    if not strides:
        return None
    return build_extra_layers(
        backbone.output[f"stride_{_COARSEST}"].shape[1:],
        stride=_COARSEST,
        strides=strides,
        batch_norm_momentum=model.batch_norm_momentum,
    )
