"""The config of a classifier, made like that of a detector; see `config/detection.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any, ClassVar

from mobilenetdet.classification.config_sections import (
    ClassifierModelConfig,
    ClassifierTrainConfig,
    ImageDataConfig,
)
from mobilenetdet.config.validation import require, section

__all__ = [
    "ClassifierConfig",
    "ClassifierModelConfig",
    "ClassifierTrainConfig",
    "ImageDataConfig",
]


@section("")
class ClassifierConfig:
    """Everything that decides what a classifier is and how it was trained."""

    data: ImageDataConfig = field(default_factory=ImageDataConfig)
    model: ClassifierModelConfig = field(default_factory=ClassifierModelConfig)
    train: ClassifierTrainConfig = field(default_factory=ClassifierTrainConfig)

    KIND: ClassVar[str] = "classifier"
    COMMAND: ClassVar[str] = "mobilenetdet train_classifier"
    FORMAT: ClassVar[int] = 1
    OTHER_KINDS: ClassVar[Mapping[str, str]] = {"augment": "detector", "head": "detector"}

    def __post_init__(self) -> None:
        """Checks what two sections have to agree on."""
        shares, rule = self.train.record_shares, "1 for cifar10, which has no records to divide"
        require(self.has_records or shares == 1, "train.record_shares", shares, rule)

    @staticmethod
    def upgrade(tree: Mapping[str, Any], *, whole: bool = True) -> dict[str, Any]:
        """Returns the tree as it is: there is no other format yet."""
        return dict(tree)

    def for_sharing(self) -> ClassifierConfig:
        """The config for a file that is given away; see `DetectionConfig.for_sharing`."""
        return replace(
            self,
            data=replace(self.data, data_dir=""),
            model=replace(self.model, weights=Path(self.model.weights).name),
            train=self.train.for_sharing(),
        )

    @property
    def has_records(self) -> bool:
        """Whether the images are in records: CIFAR-10 has none."""
        return self.data.dataset != "cifar10"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the network input."""
        return self.data.image_size, self.data.image_size, 3
