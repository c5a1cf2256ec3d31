"""Command lines from typed dataclasses: presets, run directories and overrides."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from mobilenetdet.cli.mappings import mappings
from mobilenetdet.config.detection import (
    DataConfig,
    DetectionConfig,
    EvalConfig,
    PostprocessConfig,
)
from mobilenetdet.config.presets import make_preset
from mobilenetdet.runs import is_run, open_run

Options = TypeVar("Options")
# What training starts from where no preset is named, and where that run goes.
DEFAULT_PRESET = "ssd_fpn"
DEFAULT_RUN = Path("runs") / DEFAULT_PRESET


@dataclass(frozen=True)
class UseOverrides:
    """The parts of a run's config that may change after training."""

    data: DataConfig = field(default_factory=DataConfig)
    postprocess: PostprocessConfig = field(default_factory=PostprocessConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)

    @classmethod
    def of(cls, config: DetectionConfig) -> UseOverrides:
        """Takes the parts out of a config."""
        return cls(config.data, config.postprocess, config.eval)

    def apply(self, config: DetectionConfig) -> DetectionConfig:
        """Puts the parts into a config. Any input size will do: all layers are convolutions.

        Raises:
            ValueError: the classes differ from those that were trained.
        """
        trained, asked = config.data.classes, self.data.classes
        if trained != asked:
            raise ValueError(f"data.classes is {asked!r}, but the run was trained on {trained!r}")
        return replace(config, data=self.data, postprocess=self.postprocess, eval=self.eval)


# The field of a command's options for them: switches are spelled `--eval.x True`, as in training.
Overrides = Annotated[UseOverrides, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff]


def parse(kind: type[Options], argv: list[str] | None, default: Options | None = None) -> Options:
    """Parses a command line; a mistake ends the program with the nearest option named.

    Args:
        kind: dataclass whose fields are the options, its docstring and comments the help.
        argv: arguments, by default those of the program.
        default: values of the options that are not given.
    """
    options: dict[str, Any] = {} if default is None else {"default": default}
    with mappings():
        return tyro.cli(
            kind,
            args=argv,
            use_underscores=True,
            config=(tyro.conf.SuppressFixed,),
            **options,
        )


def peek(argv: list[str] | None, name: str, default: str) -> str:
    """Reads one option before the others are parsed, because their defaults depend on it."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(f"--{name}", default=default)
    known, _ = parser.parse_known_args(sys.argv[1:] if argv is None else argv)
    return getattr(known, name)


def preset_help(presets: Mapping[str, Callable[[], Any]]) -> str:
    """Describes presets by the first lines of their docstrings."""
    lines = [f"{name}: {preset.__doc__.splitlines()[0]}" for name, preset in presets.items()]
    return "Named config to start from. " + " ".join(lines)


def run_defaults(
    kind: type[Options],
    argv: list[str] | None,
    *,
    run_needed: Callable[[Options], bool] = lambda options: True,
) -> tuple[DetectionConfig, Options]:
    """Parses a command that works on a run; the defaults come from the config of the run.

    Where `kind` has the field preset, that names another config to take them from.

    Args:
        kind: dataclass with the fields run_dir (Path) and overrides (UseOverrides).
        argv: arguments, by default those of the program.
        run_needed: whether these options work without a run, on the defaults of the package.

    Returns:
        The config of the run as trained, and the options.

    Raises:
        FileNotFoundError: the run directory has no config.
    """
    run_dir = Path(peek(argv, "run_dir", str(kind().run_dir)))
    exists = is_run(run_dir)
    preset = peek(argv, "preset", "")
    if preset:
        config = make_preset(preset)
    else:
        config = open_run(run_dir).read_config() if exists else DetectionConfig()
    # Parsed before the missing run is complained of, so that --help works without one.
    options = parse(kind, argv, kind(run_dir=run_dir, overrides=UseOverrides.of(config)))
    if not exists and run_needed(options):
        open_run(run_dir)
    return config, options
