"""The heads by the kind that the config names."""

from __future__ import annotations

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.models.addons_losses import load_addons
from mobilenetdet.models.anchor_head import AnchorHead
from mobilenetdet.models.squeezedet_head import SqueezeDetHead
from mobilenetdet.models.ssd_head import SsdHead

HEADS: dict[str, type[AnchorHead]] = {"squeezedet": SqueezeDetHead, "ssd": SsdHead}


def make_head(config: DetectionConfig) -> AnchorHead:
    """Makes the head of a detector.

    Raises:
        ValueError: its loss is of tensorflow-addons, which is not there; says how to get it.
    """
    head = config.head
    class_loss = getattr(head, "class_loss", None)
    if "tfa_" in head.box_loss + getattr(class_loss, "kind", ""):
        load_addons()  # says at once what is missing
    return HEADS[head.kind].from_detection_config(config, name="head")
