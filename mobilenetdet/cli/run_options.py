"""Command lines of the commands that work on a run: their defaults come from its config."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from mobilenetdet.cli.config_options import CONFIG_RULES, default_config, present_options
from mobilenetdet.cli.options import CONFIG_FILE, option_values, parse, peek
from mobilenetdet.config.detection import (
    DetectionConfig,
    EvalConfig,
    PostprocessConfig,
    is_fixed_by_training,
)
from mobilenetdet.config.presets import make_preset
from mobilenetdet.config.schema import config_keys
from mobilenetdet.config.storage import read_changes
from mobilenetdet.inference.exported import read_exported_config
from mobilenetdet.runs import is_run, open_run

Options = TypeVar("Options")


@dataclass(frozen=True)
class InputSize:
    """What the network sees."""

    # Height of the network input, pixels, a multiple of 32.
    image_height: int = 384
    # Width of the network input, pixels, a multiple of 32.
    image_width: int = 1248


@dataclass(frozen=True)
class InputRecords(InputSize):
    """Where the records are, and what the network sees of them."""

    # Folder of the TFRecord shards.
    records_dir: str = "data/KITTI/tfrecord"
    # Name of the split that AP is measured on.
    val_split: str = "val"


@dataclass(frozen=True)
class InputSplits(InputRecords):
    """Where the records are, and what the network sees of them."""

    # Name of the training split.
    train_split: str = "train"


@dataclass(frozen=True)
class PredictionDisplay:
    """How detections are drawn and counted."""

    # As --score.
    drawing_score: float | None = None
    # Images a step, 1 or more; 1 takes the least memory.
    batch_size: int = 4


@dataclass(frozen=True)
class _Overrides:
    """Parts of the config of a run that may change after training; base of those of a command."""

    # File with such settings, JSON or YAML, as in config.json; options win.
    config_file: CONFIG_FILE = None

    @classmethod
    def of(cls, config: DetectionConfig) -> _Overrides:
        """Takes the parts out of a config."""
        defaults = cls()
        parts = {
            name: type(part)(**_values(getattr(config, name), like=part))
            for name, part in defaults._parts()
        }
        return cls(**parts)

    def apply(self, config: DetectionConfig) -> DetectionConfig:
        """Puts the parts into a config. Any input size will do: all layers are convolutions."""
        sections = {
            name: replace(getattr(config, name), **_values(part, like=part))
            for name, part in self._parts()
        }
        return replace(config, **sections)

    def _parts(self) -> list[tuple[str, Any]]:
        names = (item.name for item in fields(self) if item.name != "config_file")
        return [(name, getattr(self, name)) for name in names]


def _values(section: Any, *, like: Any) -> dict[str, Any]:
    """The values in a section of the fields that a part of it has."""
    return {item.name: getattr(section, item.name) for item in fields(like)}


# The names of these groups say enough; a page of help has two screens.
_UNDESCRIBED = tyro.conf.arg(help="")


@dataclass(frozen=True)
class UseOverrides(_Overrides):
    """What eval may change of the config of a run."""

    data: Annotated[InputRecords, _UNDESCRIBED] = field(default_factory=InputRecords)
    postprocess: Annotated[PostprocessConfig, _UNDESCRIBED] = field(
        default_factory=PostprocessConfig
    )
    eval: Annotated[EvalConfig, _UNDESCRIBED] = field(default_factory=EvalConfig)


@dataclass(frozen=True)
class VisualizeOverrides(UseOverrides):
    """What visualize may change of the config of a run."""

    data: Annotated[InputSplits, _UNDESCRIBED] = field(default_factory=InputSplits)


@dataclass(frozen=True)
class PredictOverrides(_Overrides):
    """What predict may change of the config of a run."""

    data: InputSize = field(default_factory=InputSize)
    postprocess: PostprocessConfig = field(default_factory=PostprocessConfig)
    eval: PredictionDisplay = field(default_factory=PredictionDisplay)


# The fields of a command's options for them: switches are spelled `--eval.x True`, as in training.
Overrides = Annotated[UseOverrides, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff]
ForVisualization = Annotated[
    VisualizeOverrides, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff
]
ForPrediction = Annotated[PredictOverrides, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff]


def run_defaults(
    kind: type[Options],
    argv: list[str] | None,
    *,
    run_needed: Callable[[Options], bool] = lambda options: True,
) -> tuple[DetectionConfig, Options]:
    """Parses a command that works on a run; the defaults come from the config of the run.

    Where `kind` has the field preset, that names another config to take them from.

    Args:
        kind: dataclass with the fields run_dir (Path) and overrides (UseOverrides or
            PredictOverrides); where it has the field model, too, that names an exported file.
        argv: arguments, by default those of the program.
        run_needed: whether these options work without a run, on the defaults of the package.

    Returns:
        The config of the run as trained, and the options.

    Raises:
        FileNotFoundError: the run directory has no config, or there is no file of --config.
        ValueError: an option or the file changes what was fixed in training.
    """
    run_dir = Path(peek(argv, "run_dir", str(kind().run_dir)))
    exists = is_run(run_dir)
    names = {item.name for item in fields(kind)}
    preset, model = (peek(argv, name, "") if name in names else "" for name in ("preset", "model"))
    if preset:
        config = make_preset(preset)
    elif model:
        config, exists = read_exported_config(model), True
    else:
        config = open_run(run_dir).read_config() if exists else DetectionConfig()
    argv = present_options(argv)
    _refuse_fixed(config, argv)
    changed = default_config(config, argv)
    overrides = type(kind().overrides).of(changed)
    _refuse_unused(changed, overrides.apply(config), argv)
    # Parsed before the missing run is complained of, so that --help works without one.
    options = parse(kind, argv, kind(run_dir=run_dir, overrides=overrides), rules=CONFIG_RULES)
    if not exists and run_needed(options):
        open_run(run_dir)
    return config, options


def _refuse_fixed(config: DetectionConfig, argv: list[str]) -> None:
    """Refuses to change what the weights depend on."""
    for key in filter(is_fixed_by_training, config_keys(DetectionConfig)):
        if any(word.partition("=")[0].replace("-", "_") == f"__{key}" for word in argv):
            raise ValueError(f"{key} is fixed by training; train another run to change it")
    for path in option_values(argv, "config"):
        config.refuse_fixed(read_changes(path), path)


def _refuse_unused(changed: DetectionConfig, used: DetectionConfig, argv: list[str]) -> None:
    """Refuses a file with settings that this command does not go by."""
    if used != changed:
        raise ValueError(
            f"the file {peek(argv, 'config', '')} changes settings that are fixed by training or "
            "not used here; --help lists those that may change"
        )
