"""The config of a classifier, made like that of a detector; see `config.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mobilenetdet.classification.config_sections import (
    ClassifierModelConfig,
    ClassifierTrainConfig,
    ImageDataConfig,
)
from mobilenetdet.config.validation import STRICT

__all__ = [
    "ClassifierConfig",
    "ClassifierModelConfig",
    "ClassifierTrainConfig",
    "ImageDataConfig",
]


@dataclass(frozen=True)
class ClassifierConfig:
    """Everything that decides what a classifier is and how it came about."""

    data: ImageDataConfig = field(default_factory=ImageDataConfig)
    model: ClassifierModelConfig = field(default_factory=ClassifierModelConfig)
    train: ClassifierTrainConfig = field(default_factory=ClassifierTrainConfig)

    KIND: ClassVar[str] = "classifier"
    COMMAND: ClassVar[str] = "mobilenetdet train_classifier"

    __pydantic_config__ = STRICT

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the network input."""
        return self.data.image_size, self.data.image_size, 3
