"""The one detection config that train, eval, visualize and predict share.

A tree of frozen sections. Every field has a type, a unit where it has one, and a range that is
checked when the section is made. Presets (`presets.py`) are functions that return a tree; files and
the command line change single leaves; the resolved tree is written into the run directory as
`config.json` and read back from there by every later command (`storage.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from mobilenetdet.config.anchor_shapes import SQUEEZEDET_ANCHORS
from mobilenetdet.config.classes import EvalTask
from mobilenetdet.config.data import AugmentConfig, DataConfig
from mobilenetdet.config.evaluation import EvalConfig
from mobilenetdet.config.heads import (
    AddonsFocalLoss,
    FocalLoss,
    Head,
    QualityFocalLoss,
    SoftmaxLoss,
    SqueezeDetHeadConfig,
    SsdHeadConfig,
)
from mobilenetdet.config.model import (
    GreedyNms,
    LevelConfig,
    ModelConfig,
    PostprocessConfig,
    SoftNms,
)
from mobilenetdet.config.training import MatchingConfig, Precision, TrainConfig
from mobilenetdet.config.type_names import by_class
from mobilenetdet.config.upgrade import upgrade_detection
from mobilenetdet.config.validation import require, section

__all__ = [
    "SQUEEZEDET_ANCHORS",
    "AddonsFocalLoss",
    "AugmentConfig",
    "DataConfig",
    "DetectionConfig",
    "EvalConfig",
    "FocalLoss",
    "GreedyNms",
    "LevelConfig",
    "MatchingConfig",
    "ModelConfig",
    "PostprocessConfig",
    "Precision",
    "QualityFocalLoss",
    "SoftNms",
    "SoftmaxLoss",
    "SqueezeDetHeadConfig",
    "SsdHeadConfig",
    "TrainConfig",
    "changed_keys",
    "is_fixed_by_training",
]


# What may change after training, beside the sections postprocess and eval: any input size will do,
# since all layers are convolutions.
_FREE_DATA = ("records_dir", "train_split", "val_split", "image_height", "image_width")


def is_fixed_by_training(key: str) -> bool:
    """Returns whether a setting, by its dotted key, is one that trained weights depend on."""
    name, _, leaf = key.partition(".")
    return name not in ("postprocess", "eval") and not (name == "data" and leaf in _FREE_DATA)


@section("")
class DetectionConfig:
    """Everything that decides what a detector is and how it was trained."""

    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    head: Head = field(default_factory=SqueezeDetHeadConfig)
    matching: MatchingConfig = field(default_factory=MatchingConfig)
    postprocess: PostprocessConfig = field(default_factory=PostprocessConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)

    KIND: ClassVar[str] = "detection"
    COMMAND: ClassVar[str] = "mobilenetdet train"
    # 1 had the settings of the heads in the sections model and loss.
    FORMAT: ClassVar[int] = 2
    # Settings that only another kind of config has, and which.
    OTHER_KINDS: ClassVar[Mapping[str, str]] = {"data.dataset": "classifier"}

    @staticmethod
    def upgrade(tree: Mapping[str, Any], *, whole: bool = True) -> dict[str, Any]:
        """Makes today's layout of an earlier one; see `upgrade_detection`."""
        return upgrade_detection(tree, whole=whole)

    def __post_init__(self) -> None:
        """Checks what two sections have to agree on."""
        calibration = self.postprocess.calibration
        fits = len(calibration) in (0, self.num_classes)
        rule = f"empty, or one pair for each of {self.data.classes}"
        require(fits, "postprocess.calibration", calibration, rule)
        by_class("eval.best_f1_scores", self.data.classes, self.eval.best_f1_scores)
        try:
            self.eval_task()
        except ValueError as error:  # the data section is sound by itself
            raise ValueError(f"eval.{error}") from None
        several = len(self.model.levels) > 1
        rule = "a single level for the head squeezedet; several go with --head.kind ssd"
        one_map = isinstance(self.head, SqueezeDetHeadConfig)
        require(not (several and one_map), "model.levels", self.model.strides, rule)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the network input, pixels."""
        return self.data.image_height, self.data.image_width

    @property
    def has_records(self) -> bool:
        """Whether the images are in records: always, of a detector."""
        return True

    def for_training(self) -> DetectionConfig:
        """The config whose `image_size` is that of the training images: `train.image_scale` of it.

        Example: 512x1664 times 0.75 is 384x1248; of the result `train.image_scale` is 1.
        """
        if self.train.image_scale == 1:
            return self
        height, width = (
            max(32, 32 * round(s * self.train.image_scale / 32)) for s in self.image_size
        )
        return replace(
            self,
            data=replace(self.data, image_height=height, image_width=width),
            train=replace(self.train, image_scale=1.0),
        )

    def for_sharing(self) -> DetectionConfig:
        """The config for a file that is given away: it says nothing of the machine.

        A folder of records that is not the default becomes "", weights that training began from
        keep their name alone, and who computed on what devices is left out.
        """
        records_dir, model = self.data.records_dir, self.model
        kept = records_dir if records_dir == DataConfig().records_dir else ""
        return replace(
            self,
            data=replace(self.data, records_dir=kept),
            model=replace(
                model,
                weights=Path(model.weights).name,
                detector_weights=Path(model.detector_weights).name,
            ),
            train=self.train.for_sharing(),
        )

    def without_scores(self) -> DetectionConfig:
        """The config without what was measured of the scores of some weights."""
        return replace(
            self,
            postprocess=replace(self.postprocess, calibration=()),
            eval=replace(self.eval, best_f1_scores={}),
        )

    def refuse_other_training(self, changed: DetectionConfig, source: str) -> None:
        """Refuses settings that differ from what this config was trained with.

        Args:
            changed: to use the weights with.
            source: of the changes, for the message.

        Raises:
            ValueError: a setting that training has fixed differs; names it.
        """
        for key in filter(is_fixed_by_training, changed_keys(self, changed)):
            raise _fixed(source, key)

    def refuse_fixed(self, changes: Mapping[str, Any], source: str) -> None:
        """Refuses changes of what training has fixed, whatever rule they would break as well.

        Args:
            changes: dotted key to value, or section name to a mapping, to use the weights with.
            source: of the changes, for the message.

        Raises:
            ValueError: a setting that training has fixed would be another; names it.
        """
        given = dict(_by_key(changes))
        for key, value in _leaves(self).items():
            another = key in given and _plain(given[key]) != _plain(value)
            if another and is_fixed_by_training(key):
                raise _fixed(source, key)

    def eval_task(self) -> EvalTask:
        """Returns what AP and all that explains it go by: the classes and how each is scored."""
        return EvalTask.of(
            self.data.classes,
            class_map=self.data.class_map,
            neighbours=self.data.neighbours,
            min_overlaps=self.eval.min_overlaps,
            difficulties=self.eval.difficulties,
        )

    def drawing_scores(self) -> dict[str, float]:
        """Returns, by class, the score from which on detections are drawn and counted.

        It is `eval.drawing_score`, or by default that of the best F1 where it was measured, else
        0.5.
        """
        score, best = self.eval.drawing_score, self.eval.best_f1_scores
        if score is not None:
            return dict.fromkeys(self.data.classes, score)
        best = by_class("eval.best_f1_scores", self.data.classes, best)
        return {name: best.get(name, 0.5) for name in self.data.classes}

    @property
    def num_classes(self) -> int:
        """Number of classes to detect."""
        return len(self.data.classes)


def changed_keys(former: DetectionConfig, later: DetectionConfig) -> list[str]:
    """Returns the dotted keys of the settings in which two configs differ."""
    old, new = _leaves(former), _leaves(later)
    return [key for key in {**old, **new} if old.get(key) != new.get(key)]


def _leaves(section: Any, prefix: str = "") -> dict[str, Any]:
    """Settings by dotted key."""
    leaves: dict[str, Any] = {}
    for item in fields(section):
        value, key = getattr(section, item.name), prefix + item.name
        leaves |= _leaves(value, f"{key}.") if is_dataclass(value) else {key: value}
    return leaves


def _fixed(source: str, key: str) -> ValueError:
    return ValueError(f"{source}: {key} is fixed by training; train another run to change it")


def _by_key(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields what is in nested mappings by dotted key, the mappings as well."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield f"{prefix}{name}", value
            yield from _by_key(value, f"{prefix}{name}.")


def _plain(value: Any) -> Any:
    """Makes a value such as JSON and YAML have it: lists and mappings."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
