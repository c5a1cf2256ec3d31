"""A trained detector as files for other programs: one writer a format, one runtime for each."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import mobilenetdet
from mobilenetdet.config.detection import DetectionConfig, SoftmaxLoss
from mobilenetdet.config.storage import to_json, with_changes
from mobilenetdet.data.letterbox_image import BORDER_GREY
from mobilenetdet.deploy.calibration_images import NUM_IMAGES, CalibrationImages
from mobilenetdet.evaluation.metrics_file import read_metrics
from mobilenetdet.exported_info import INFO_FILE, ExportedInfo, Parts
from mobilenetdet.inference.exported_runtime import import_runtime
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.output_folder import OutputFolder
from mobilenetdet.runs import is_run, open_run

if TYPE_CHECKING:
    from mobilenetdet.deploy.graph import FrozenGraph

ExportFormat = Literal["saved_model", "frozen_graph", "litert", "onnx", "openvino"]
Precision = Literal["float32", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")
PARTS: tuple[Parts, ...] = ("network", "detector")


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
        for name, precision, _ in self.files():
            writer = WRITERS[name]
            for package in (*writer.packages, *(writer.int8 or () if precision == "int8" else ())):
                import_runtime(*package, f"format {name} in {precision}")


def export_detector(
    model: LoadedDetector,
    output_dir: str | os.PathLike[str],
    plan: ExportPlan,
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Writes a detector as DIR/{part}_{precision}.SUFFIX, and what it is as DIR/detector.json.

    Args:
        model: of a run or of weights that ship.
        output_dir: DIR; files of others there stay.
        plan: formats, precisions, parts and the size of the input.
        overwrite: replaces files of others of the same names.

    Returns:
        The paths of the files, detector.json last.

    Raises:
        FileExistsError: a file of another is in the way.
        FileNotFoundError: int8 has no pictures to calibrate with; names both ways to give some.
        ValueError: a package is missing, a size does not fit the strides, or the model is an
            exported file itself.
    """
    plan.require_packages()
    config = _config_of(model, plan)
    folder = OutputFolder(output_dir, overwrite=overwrite)
    files = list(plan.files())
    singles = [name for file in files if file[0] != "saved_model" for name in file_names(*file)]
    folder.refuse_foreign([INFO_FILE, *singles])
    images = None
    if any(precision == "int8" for _, precision, _ in files):
        images = CalibrationImages.find(
            config, plan.calibration_images, plan.num_calibration_images
        )
    from mobilenetdet.deploy.graph import freeze_detector

    keras_model, graphs = model.runtime.detector, {}
    for for_int8 in sorted({precision == "int8" for _, precision, _ in files}):
        graphs[for_int8] = freeze_detector(keras_model, config, plan.parts, for_int8=for_int8)
    written = []
    with folder.locked():
        for name, precision, part in files:
            info = describe(model, config, parts=part, precision=precision)
            graph = graphs[precision == "int8"][part]
            written.append(write_file(folder, name, graph, info, images))
        info = describe(model, config, parts="", precision="")
        with folder.writing(INFO_FILE) as path:
            path.write_text(info.to_json(indent=1) + "\n", encoding="utf-8")
    return [*written, folder.path / INFO_FILE]


def exported_megabytes(path: Path) -> float:
    """Returns the size of an exported file, with all that belongs to it, in millions of bytes.

    A SavedModel is a folder, and OpenVINO keeps the weights in a second file.
    """
    files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
    weights = path.with_suffix(".bin")
    if path.suffix == ".xml" and weights.is_file():
        files.append(weights)
    return sum(each.stat().st_size for each in files) / 1e6


def describe(
    model: LoadedDetector, config: DetectionConfig, *, parts: str, precision: str
) -> ExportedInfo:
    """Returns what an exported file has to carry beside its graph."""
    seen = model.frames_seen
    return ExportedInfo(
        parts=parts,
        precision=precision,
        image_size=config.image_size,
        classes=config.data.classes,
        letterbox_grey=BORDER_GREY,
        scores_from=_scores_from(config),
        anchor_levels=config.model.anchor_levels,
        drawing_scores=config.drawing_scores(),
        config=json.loads(to_json(config)),
        frames_seen=seen and {"complete": seen.complete, "hashes": sorted(seen.hashes)},
        ap=_measured_ap(model, config),
        source=Path(model.source).name,
        version=mobilenetdet.__version__,
        weights=model.weights_hash,
    )


def write_file(
    folder: OutputFolder,
    name: ExportFormat,
    graph: FrozenGraph,
    info: ExportedInfo,
    images: CalibrationImages | None,
) -> Path:
    """Writes one file, or the files of one folder.

    Args:
        folder: where it goes.
        name: of the format.
        graph: what is written.
        info: what goes beside it; says the name of the file and the precision.
        images: by which int8 finds its ranges.

    Returns:
        The path of the file or folder.
    """
    module, function = WRITERS[name].writer
    write: Any = getattr(importlib.import_module(f"mobilenetdet.deploy.{module}"), function)
    first = file_names(name, info.precision, info.parts)[0]
    pattern = f"{first}/*" if name == "saved_model" else first
    with folder.replacing(pattern) as staging:
        write(graph, staging / first, info, images if info.precision == "int8" else None)
    return folder.path / first


def file_names(name: ExportFormat, precision: Precision, part: str) -> list[str]:
    """Returns the names of the files of a format; that of a SavedModel is a folder."""
    stem = f"{part}_{precision}"
    return [stem + WRITERS[name].suffix, *([f"{stem}.bin"] if name == "openvino" else [])]


def _config_of(model: LoadedDetector, plan: ExportPlan) -> DetectionConfig:
    if not hasattr(model.runtime, "detector"):
        raise ValueError(f"{model.source} is an exported file; export the run that it comes from")
    if plan.image_size is None:
        return model.config
    height, width = plan.image_size
    if (width, height) == model.config.image_size != (height, width):
        raise ValueError(
            f"image_size {height}x{width} means {height} pixels high and {width} wide; did you "
            f"mean {width}x{height}, as the run has it?"
        )
    changes = {"data.image_height": height, "data.image_width": width}
    return with_changes(model.config, changes, "image_size")


def _scores_from(config: DetectionConfig) -> str:
    if config.head.kind == "squeezedet":
        return "softmax_times_confidence"
    softmax = isinstance(config.head.class_loss, SoftmaxLoss)
    return "softmax_after_background" if softmax else "sigmoid"


def _measured_ap(model: LoadedDetector, config: DetectionConfig) -> dict[str, Any] | None:
    """What `mobilenetdet eval` found of these weights with these settings, if it was asked."""
    if not model.source or not is_run(model.source) or not model.weights_hash:
        return None
    run = open_run(model.source)
    if not run.metrics_file.is_file():
        return None
    metrics = read_metrics(run)
    return None if metrics.other_than(config, model.weights_hash) else metrics.values
