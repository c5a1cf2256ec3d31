"""A trained detector as files for other programs: one writer a format, one runtime for each."""

from __future__ import annotations

import importlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mobilenetdet
from mobilenetdet.config.detection import DetectionConfig, SoftmaxLoss
from mobilenetdet.config.storage import to_json, with_changes
from mobilenetdet.data.letterbox_image import BORDER_GREY
from mobilenetdet.deploy.calibration_images import CalibrationImages
from mobilenetdet.deploy.export_plan import (
    WRITERS,
    ExportFormat,
    ExportPlan,
    Report,
    check_folder,
    file_names,
    no_report,
)
from mobilenetdet.evaluation.metrics_file import read_metrics
from mobilenetdet.exported_info import INFO_FILE, ExportedInfo
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.runs import is_run, open_run
from mobilenetdet.system.quiet import output_set_aside

if TYPE_CHECKING:
    from mobilenetdet.deploy.graph import FrozenGraph


def export_detector(
    model: LoadedDetector,
    output_dir: str | os.PathLike[str],
    plan: ExportPlan,
    *,
    overwrite: bool = False,
    remove_others: bool = False,
    report: Report = no_report,
) -> list[Path]:
    """Writes a detector as DIR/{part}_{precision}.SUFFIX, and what it is as DIR/detector.json.

    Args:
        model: of a run or of weights that ship.
        output_dir: DIR; files of others there stay.
        plan: formats, precisions, parts and the size of the input.
        overwrite: replaces files of others of the same names, and removes what earlier exports of
            another detector have left.
        remove_others: only that.
        report: is told each file before it is written, since int8 takes minutes.

    Returns:
        The paths of the files, detector.json last.

    Raises:
        FileExistsError: a file of another is in the way, or one that earlier exports of another
            detector have left.
        FileNotFoundError: int8 has no pictures to calibrate with; names both ways to give some.
        ValueError: a package is missing, a size does not fit the strides, or the model is an
            exported file itself.
    """
    plan.require_packages()
    config = _config_of(model, plan)
    folder = OutputFolder(output_dir, overwrite=overwrite)
    files = list(plan.files())
    info = describe(model, config, parts="", precision="")
    names = [name for file in files for name in file_names(*file)]
    others = check_folder(folder, INFO_FILE, info, names, remove=overwrite or remove_others)
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
            of_file = replace(info, parts=part, precision=precision)
            graph = graphs[precision == "int8"][part]
            written.append(write_file(folder, name, graph, of_file, images, report))
        folder.discard(others)
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
        config=json.loads(to_json(config.for_sharing())),
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
    report: Report = no_report,
) -> Path:
    """Writes one file, or the files of one folder.

    Args:
        folder: where it goes.
        name: of the format.
        graph: what is written.
        info: what goes beside it; says the name of the file and the precision.
        images: by which int8 finds its ranges.
        report: is told what is written.

    Returns:
        The path of the file or folder.
    """
    module, function = WRITERS[name].writer
    write: Any = getattr(importlib.import_module(f"mobilenetdet.deploy.{module}"), function)
    first = file_names(name, info.precision, info.parts)[0]
    pattern = f"{first}/*" if name == "saved_model" else first
    used = images if info.precision == "int8" else None
    report(f"writing {first}" + (f", ranges of {len(used)} pictures" if used else ""))
    # Quantisers and converters draw progress bars and warn of each other.
    with folder.replacing(pattern) as staging, output_set_aside(1, 2):
        write(graph, staging / first, info, used)
    return folder.path / first


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
