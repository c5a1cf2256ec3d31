"""Options by the names that other detection programs give them, and ours."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Collection, Iterator, Sequence
from typing import Any

_CONFIDENCE = ("--score", "--postprocess.score_threshold")
_OVERLAP = ("--postprocess.suppression.max_iou",)
# The setting that soft suppression has instead; it is no IoU.
_DECAY = "postprocess.suppression.sigma"
_SIZE = ("--image_size", "--data.image_height and --data.image_width")
_OUTPUT = ("--output_dir", "--run_dir")
_DATA = ("--data.records_dir", "--records_dir", "--dataset_root", "--kitti_root")
# Fields of options whose own fields are options without a prefix.
_FLAT = ("config", "overrides")
# What --skip_missing was where images and label files are looked for apart.
_SKIPS = "--unlabelled skip (no label) and --skip_missing_images (no image)"
# Options that a command has beside those that are named.
_BESIDE = {_SKIPS: ("dataset_root",)}
# Name elsewhere, with underscores, to ours, the likeliest first.
_OURS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("conf", "conf_thres", "conf_threshold", "confidence"), _CONFIDENCE),
    **dict.fromkeys(("score_thr", "score_threshold", "thresh", "threshold"), _CONFIDENCE),
    **dict.fromkeys(("iou", "iou_thres", "nms", "nms_threshold"), _OVERLAP),
    **dict.fromkeys(("img", "imgsz", "img_size", "image_size", "input_size"), _SIZE),
    **dict.fromkeys(("epochs", "num_epochs", "max_epochs"), ("--train.epochs", "--epochs")),
    **dict.fromkeys(("batch", "batch_size", "bs"), ("--train.batch_size", "--eval.batch_size")),
    **dict.fromkeys(("lr", "lr0", "learning_rate"), ("--train.learning_rate", "--lr")),
    **dict.fromkeys(("optimizer", "optim"), ("--train.optimizer",)),
    "seed": ("--train.seed",),
    "alpha": ("--model.alpha",),
    "classes": ("--data.classes",),
    **dict.fromkeys(("cfg", "conf_file", "yaml"), ("--config", "--preset")),
    "weights": ("--model.detector_weights (a whole detector) or --model.weights (the backbone)",),
    "pretrained": ("--model.detector_weights", "--weights"),
    **dict.fromkeys(("model", "checkpoint", "ckpt"), ("--run_dir or --weights", "--preset")),
    "resume": ("the same command again, which resumes by itself",),
    **dict.fromkeys(("project", "out", "output", "save_dir", "work_dir"), _OUTPUT),
    "name": ("--run_dir",),
    **dict.fromkeys(("data", "dataset", "data_dir", "data_root"), _DATA),
    # Each is the name of some commands.
    "kitti_root": ("--dataset_root",),
    "dataset_root": ("--kitti_root",),
    **dict.fromkeys(("source", "input", "image", "images"), ("the files, without any option",)),
    **dict.fromkeys(("workers", "num_workers"), ("--num_workers",)),
    # Of earlier versions of this program.
    "missing_labels_are_empty": ("--unlabelled negative",),
    "skip_missing": (_SKIPS, "--skip_missing_images"),
    "copy": ("--image_files copy",),
    "symlink": ("--image_files symlink",),
    **dict.fromkeys(("device", "gpu", "gpus"), ("CUDA_VISIBLE_DEVICES in the environment",)),
}


def refuse_foreign_options(argv: Sequence[str] | None, options: Any) -> None:
    """Names our option for one that other programs have; any other unknown one is left alone.

    Args:
        argv: arguments, by default those of the program.
        options: dataclass of the options that the command has, or its defaults.

    Raises:
        ValueError: an option is known by another name here.
    """
    known = set(_option_names(options))
    for word in sys.argv[1:] if argv is None else argv:
        name = word.partition("=")[0].replace("-", "_").removeprefix("__")
        if not word.startswith("--") or name in known or name not in _OURS:
            continue
        if _OURS[name] == _OVERLAP and _DECAY in known:
            raise ValueError(
                f"there is no option --{name}: suppression is soft here, which has no IoU limit; "
                "one goes with --postprocess.suppression.kind greedy "
                "--postprocess.suppression.max_iou 0.5"
            )
        ours = [each for each in _OURS[name] if _is_there(each, known)]
        if ours:
            raise ValueError(f"there is no option --{name}; here it is {ours[0]}")


def _option_names(options: Any, prefix: str = "") -> Iterator[str]:
    for item in dataclasses.fields(options):
        value = getattr(options, item.name, None)
        if dataclasses.is_dataclass(value):
            yield from _option_names(value, "" if item.name in _FLAT else f"{prefix}{item.name}.")
        else:
            yield "config" if item.name == "config_file" else prefix + item.name


def _is_there(ours: str, known: Collection[str]) -> bool:
    """Whether a command has an option; what is no option is always there."""
    names = [word.removeprefix("--") for word in ours.split() if word.startswith("--")]
    return all(name in known for name in (*names, *_BESIDE.get(ours, ())))
