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
from mobilenetdet.config.validation import section

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
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the network input."""
        return self.data.image_size, self.data.image_size, 3
