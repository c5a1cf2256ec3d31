"""What is exported: formats and what writes each, precisions, parts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mobilenetdet.deploy.calibration_images import NUM_IMAGES
from mobilenetdet.exported_info import CLASSIFIER, ExportedInfo, Parts
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.files.text import read_text
from mobilenetdet.inference.exported_runtime import import_runtime
from mobilenetdet.system.quiet import output_set_aside

ExportFormat = Literal["saved_model", "frozen_graph", "litert", "onnx", "openvino"]
Precision = Literal["float32", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")
PARTS: tuple[Parts, ...] = ("network", "detector")
# Settings of data that say where they are, and of files that training began from.
_PLACES = (
    *("records_dir", "data_dir", "train_split", "val_split"),
    *("weights", "detector_weights"),  # that it began from; its own have a hash
)
# Is told what is done next, a line each.
Report = Callable[[str], None]


def no_report(line: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Writer:
    """How a format is written.

    Attributes:
        suffix: of its files.
        writer: module of `mobilenetdet.deploy` and function.
        packages: what has to be installed: module, package and extra.
        int8: what int8 needs beside that; None where the format has none.
    """

    suffix: str
    writer: tuple[str, str]
    packages: tuple[tuple[str, str, str], ...] = ()
    int8: tuple[tuple[str, str, str], ...] | None = None


WRITERS: dict[ExportFormat, Writer] = {
    "saved_model": Writer(".savedmodel", ("saved_model_writer", "write_saved_model")),
    "frozen_graph": Writer(".pb", ("saved_model_writer", "write_frozen_graph")),
    "litert": Writer(
        ".tflite",
        ("litert_writer", "write_litert"),
        (("ai_edge_litert", "ai-edge-litert", "litert"),),
        (("litert_quantizer", "litert-quantizer", "export"),),
    ),
    "onnx": Writer(
        ".onnx",
        ("onnx_writer", "write_onnx"),
        (("onnx", "onnx", "export"), ("tf2onnx", "tf2onnx", "export")),
        (("onnxruntime", "onnxruntime", "onnx"),),
    ),
    "openvino": Writer(
        ".xml",
        ("openvino_writer", "write_openvino"),
        (("openvino", "openvino", "openvino"),),
        (("nncf", "nncf", "export"),),
    ),
}


@dataclass(frozen=True)
class ExportPlan:
    """What is exported, checked before the work begins.

    Attributes:
        formats: see `WRITERS`.
        precisions: float32, float16 (kernels alone) or int8 (the network; what follows it is in
            float32).
        parts: "network" ends at the raw predictions, "detector" at boxes, scores and classes.
        image_size: height and width of the input, pixels; by default those of the run.
        calibration_images: folder of pictures by which int8 finds its ranges; by default the
            training records of the run.
        num_calibration_images: at most so many.

    Raises:
        ValueError: an unknown format, precision or part, none of the formats has a precision, or no
            calibration image is asked for.
    """

    formats: Sequence[ExportFormat] = ("litert",)
    precisions: Sequence[Precision] = ("float32",)
    parts: Sequence[Parts] = ("detector",)
    image_size: tuple[int, int] | None = None
    calibration_images: Path | None = None
    num_calibration_images: int = NUM_IMAGES

    def __post_init__(self) -> None:
        """Checks the names."""
        for what, names, known in (
            ("format", self.formats, tuple(WRITERS)),
            ("precision", self.precisions, PRECISIONS),
            ("part", self.parts, PARTS),
        ):
            if isinstance(names, str):
                raise ValueError(f"{what}s are the text {names!r}; give a list")
            for name in names:
                if name not in known:
                    raise ValueError(f"unknown {what} {name!r}; there are {', '.join(known)}")
        if self.num_calibration_images < 1:
            count = self.num_calibration_images
            raise ValueError(f"num_calibration_images is {count}; it must be 1 or more")
        if not list(self.files()):
            without = ", ".join(self.formats)
            raise ValueError(f"{without} has no int8; litert, onnx and openvino have")

    def files(self) -> Iterator[tuple[ExportFormat, Precision, Parts]]:
        """Yields what is written; formats without int8 leave it out."""
        for part in self.parts:
            for name in self.formats:
                for precision in self.precisions:
                    if precision != "int8" or WRITERS[name].int8 is not None:
                        yield name, precision, part

    def left_out(self) -> list[str]:
        """Returns the formats that are not written in int8."""
        asked = self.formats if "int8" in self.precisions else ()
        return [name for name in asked if WRITERS[name].int8 is None]

    def require_packages(self) -> None:
        """Refuses formats whose packages are not installed.

        Raises:
            ValueError: one is missing; names it and the extra.
        """
        # Some of them import TensorFlow.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        for name, precision, _ in self.files():
            writer = WRITERS[name]
            for package in (*writer.packages, *(writer.int8 or () if precision == "int8" else ())):
                with output_set_aside(1, 2):
                    import_runtime(*package, f"format {name} in {precision}")


def file_names(name: ExportFormat, precision: Precision, part: str) -> list[str]:
    """Returns the names of the files of a format; that of a SavedModel is a folder."""
    stem = f"{part}_{precision}"
    return [stem + WRITERS[name].suffix, *([f"{stem}.bin"] if name == "openvino" else [])]


def check_folder(
    folder: OutputFolder,
    info_file: str,
    info: ExportedInfo,
    names: Collection[str],
    *,
    remove: bool = False,
) -> list[str]:
    """Checks that files may be exported to a folder, whose JSON will describe all files in it.

    Args:
        folder: may hold files of earlier exports.
        info_file: name of the JSON.
        info: its new content.
        names: of the files that are going to be written.
        remove: files that the JSON would no longer describe will be removed, and are no obstacle.

    Returns:
        The names of such files.

    Raises:
        FileExistsError: a file of others is in the way, or one that the JSON would no longer
            describe.
    """
    singles = [name for name in names if not name.endswith(WRITERS["saved_model"].suffix)]
    folder.refuse_foreign([info_file, *singles])
    others = _not_described(folder, info_file, info, names)
    if others and not remove:
        raise FileExistsError(
            f"{folder.path / others[0]} is of another detector, other weights or another input "
            "size, and one JSON describes the files of a folder; name another --output_dir, or "
            "remove all of them with --overwrite"
        )
    return others


def _not_described(
    folder: OutputFolder, info_file: str, info: ExportedInfo, names: Collection[str]
) -> list[str]:
    """Exported files of a folder that would not be as its JSON says."""
    try:
        former = json.loads(read_text(folder.path / info_file))
        weights, config = former.get("weights", ""), former["config"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []  # nothing describes them now
    if (weights, _built_in(config)) == (info.weights, _built_in(info.config)):
        return []
    stems = ("classifier_",) if info.parts == CLASSIFIER else ("detector_", "network_")
    return [
        name
        for name in folder.own_names()
        if name.startswith(stems) and name.partition("/")[0] not in names
    ]


def _built_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that an exported file depends on: not where data are, and how it was trained."""
    return {
        name: {k: v for k, v in value.items() if k not in _PLACES}
        if isinstance(value, Mapping)
        else value
        for name, value in config.items()
        if name not in ("eval", "train", "augment")
    }
