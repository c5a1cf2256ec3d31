"""Train MobileNetV1 as a classifier on CIFAR-10 or ImageNet."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from mobilenetdet.classification.config import ClassifierConfig
from mobilenetdet.classification.presets import CLASSIFIER_PRESETS, make_classifier_preset
from mobilenetdet.cli.config_options import parse_with_config
from mobilenetdet.cli.options import CONFIG_FILE, peek
from mobilenetdet.runs import RunDir
from mobilenetdet.system.quiet import import_tensorflow_quietly

DEFAULT_PRESET = "cifar10"


@dataclass(frozen=True)
class Options:
    """Train MobileNetV1 as a classifier, or go on with an interrupted run.

    Start from a preset and change single values: --epochs 20 --model.alpha 0.5. The run directory
    gets config.json, metrics.csv, TensorBoard logs, the best and the last weights, and eval/ with
    top-1, top-5 and the confusion matrix of all test images. The same command, given again after
    Ctrl-C, goes on after the last complete epoch.
    """

    # Preset to start from.
    preset: Annotated[str, tyro.conf.arg(metavar="NAME")] = DEFAULT_PRESET
    # File with settings to put over the preset, JSON or YAML, by section as in config.json; options
    # win.
    config_file: CONFIG_FILE = None
    # Where the run goes; by default runs/PRESET.
    run_dir: Path | None = None
    # Short for --train.learning_rate.
    lr: float | None = None
    # Short for --train.batch_size.
    batch_size: int | None = None
    # Short for --train.epochs.
    epochs: int | None = None
    # Begins with trained weights: those of --pretrain_path, else Keras' ImageNet weights. What does
    # not fit is listed; another number of classes gets a new head.
    load_pretrain: bool = False
    # Another run's directory, or a Keras weight file.
    pretrain_path: Path | None = None
    config: Annotated[ClassifierConfig, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff] = (
        field(default_factory=lambda: make_classifier_preset(DEFAULT_PRESET))
    )


def main(argv: list[str] | None = None) -> int:
    """Trains, measures the last weights on all test images and says how good they are; returns 0.

    Raises:
        FileNotFoundError: images or weights are not there.
        ValueError: an option is out of range or does not fit the others.
    """
    name = peek(argv, "preset", DEFAULT_PRESET)
    options = parse_with_config(
        Options,
        argv,
        make_classifier_preset(name),
        lambda config: Options(preset=name, config=config),
        presets=CLASSIFIER_PRESETS,
    )
    run_dir = options.run_dir or Path("runs") / name
    config = resolve(options, run_dir)
    import_tensorflow_quietly(find_devices=not config.train.on_virtual_devices)
    # Not at the top: it imports TensorFlow, and the help does without.
    from mobilenetdet.classification.train import train_classifier

    # A log file gets lines, a terminal a bar.
    train_classifier(config, run_dir, verbose=1 if sys.stdout.isatty() else 2)
    run = RunDir(run_dir)
    print(f"{run.metrics_file}, {run.evaluation_dir}/confusion.png, {run.history_plot}")
    return 0


def resolve(options: Options, run_dir: Path) -> ClassifierConfig:
    """Puts the short options into the config.

    Raises:
        FileNotFoundError: the run of --pretrain_path has no weights.
        ValueError: --pretrain_path without --load_pretrain or of the run itself, or weights named
            twice.
    """
    short = {
        "learning_rate": options.lr,
        "batch_size": options.batch_size,
        "epochs": options.epochs,
    }
    given: dict[str, Any] = {key: value for key, value in short.items() if value is not None}
    config = replace(options.config, train=replace(options.config.train, **given))
    path = options.pretrain_path
    if not options.load_pretrain:
        if path is not None:
            raise ValueError(f"--pretrain_path {path} has no effect without --load_pretrain")
        return config
    if config.model.weights != make_classifier_preset(options.preset).model.weights:
        raise ValueError(
            f"--load_pretrain beside --model.weights {config.model.weights}: name the weights "
            "once, as --load_pretrain --pretrain_path PATH or as --model.weights PATH"
        )
    weights = "imagenet"
    if path is not None:
        if path.resolve() == run_dir.resolve():
            raise ValueError(
                f"--pretrain_path {path} is the run itself; to go on with it leave out "
                "--load_pretrain, for a new run that begins with its weights name another --run_dir"
            )
        weights = str(RunDir(path).find_weights() if path.is_dir() else path)
    return replace(config, model=replace(config.model, weights=weights))
