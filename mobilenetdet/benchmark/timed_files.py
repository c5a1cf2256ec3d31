"""What is compared: exported files, or those that a run is exported to for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2

from mobilenetdet.benchmark.foreign_engine import FOREIGN_SUFFIXES
from mobilenetdet.config.storage import with_changes
from mobilenetdet.deploy.calibration_images import NUM_IMAGES, CalibrationImages
from mobilenetdet.deploy.export import export_detector, exported_megabytes
from mobilenetdet.deploy.export_plan import (
    WRITERS,
    ExportFormat,
    ExportPlan,
    Precision,
    Report,
    no_report,
)
from mobilenetdet.exported_info import INFO_FILE, Parts
from mobilenetdet.files.text import why_no_file
from mobilenetdet.findings import counted
from mobilenetdet.inference.exported import is_exported
from mobilenetdet.inference.exported_runtime import import_runtime
from mobilenetdet.inference.loaded_detector import LoadedDetector, load_detector
from mobilenetdet.media.address import IMAGE_SUFFIXES
from mobilenetdet.records.detection_record import decode_record
from mobilenetdet.records.shards import shard_paths
from mobilenetdet.records.tfrecord import read_records
from mobilenetdet.runs import open_run
from mobilenetdet.synthetic.render import render_frame

# "keras" is the run itself, as predict and eval run it.
EngineFormat = Literal["keras", "litert", "onnx", "openvino", "saved_model", "frozen_graph"]
ENGINE_FORMATS: tuple[EngineFormat, ...] = (
    *("keras", "litert", "onnx", "openvino"),
    *("saved_model", "frozen_graph"),
)
# What runs a file, where that is another package than what writes it.
_RUNTIMES = {"onnx": ("onnxruntime", "onnxruntime", "onnx")}
_FORMAT_OF = {writer.suffix: name for name, writer in WRITERS.items()}
_NUM_PICTURES = 8


@dataclass(frozen=True)
class EngineFile:
    """A detector to be timed.

    Attributes:
        source: exported file, run directory or name of weights that ship.
        format: one of `ENGINE_FORMATS`.
        megabytes: of its file or files, millions of bytes.
        weights: of a run; None for its best, and for exported files.
        image_size: height and width of the input, pixels; None where that is not known yet.
        foreign: whether it is a network of another program, of which only the time is measured.
    """

    source: str
    format: str
    megabytes: float
    weights: str | None = None
    image_size: tuple[int, int] | None = None
    foreign: bool = False


@dataclass(frozen=True)
class ExportChoice:
    """Which files a run is exported to.

    Attributes:
        formats: of `ENGINE_FORMATS`.
        precisions: float32, float16 or int8.
        parts: network or detector.
        image_sizes: height and width of the input, pixels; none for that of the run.
        calibration_images: folder of pictures for int8; by default the training records.
        num_calibration_images: at most so many.
    """

    formats: Sequence[EngineFormat] = ENGINE_FORMATS
    precisions: Sequence[Precision] = ("float32", "float16", "int8")
    parts: Sequence[Parts] = ("network",)
    image_sizes: Sequence[tuple[int, int]] = ()
    calibration_images: Path | None = None
    num_calibration_images: int = NUM_IMAGES

    def plans(self, precisions: Sequence[Precision]) -> tuple[list[ExportPlan], list[str]]:
        """Returns plans of what can be written and run here, and what is left out and why.

        Args:
            precisions: those of `precisions` that are possible.
        """
        left_out: list[str] = []
        formats: dict[tuple[Precision, ...], list[ExportFormat]] = defaultdict(list)
        for name in (each for each in self.formats if each != "keras"):
            usable = []
            for precision in precisions:
                if precision == "int8" and WRITERS[name].int8 is None:
                    left_out.append(f"{name} int8: TensorFlow itself has none")
                elif reason := _missing(name, precision):
                    left_out.append(f"{name} {precision}: {reason}")
                else:
                    usable.append(precision)
            if usable:
                formats[tuple(usable)].append(name)
        plans = [
            ExportPlan(
                formats=names,
                precisions=usable,
                parts=self.parts,
                calibration_images=self.calibration_images,
                num_calibration_images=self.num_calibration_images,
            )
            for usable, names in formats.items()
        ]
        return plans, left_out


def _missing(name: ExportFormat, precision: Precision) -> str:
    """Says which package is missing for a file and its extra; "" where none is."""
    try:
        ExportPlan(formats=(name,), precisions=(precision,)).require_packages()
        if name in _RUNTIMES:
            import_runtime(*_RUNTIMES[name], f"format {name}")
    except ValueError as error:
        return str(error)
    return ""


def export_files(
    model: LoadedDetector,
    choice: ExportChoice,
    folder: Path,
    *,
    weights: Path | None = None,
    overwrite: bool = False,
    report: Report = no_report,
) -> tuple[list[EngineFile], list[str]]:
    """Exports a run to FOLDER/HxW/{parts}_{precision}.SUFFIX.

    Args:
        model: of a run or of weights that ship.
        choice: what is exported.
        folder: FOLDER; files of others there stay.
        weights: those of the model, where they are not the run's best.
        overwrite: replaces files of others of the same names.
        report: is told each file before it is written.

    Returns:
        The files, and what is left out and why: a package that is not installed, int8 without
        pictures to calibrate with.

    Raises:
        FileExistsError: a file of another is in the way.
        ValueError: a size does not fit the strides.
    """
    sizes = list(choice.image_sizes) or [model.image_size]
    for height, width in sizes:  # before any file is written
        with_changes(model.config, {"data.image_height": height, "data.image_width": width})
    precisions, left_out = _calibrated(model, choice)
    plans, missing = choice.plans(precisions)
    files = []
    for size in sizes:
        of_size = [_keras_file(model, weights, size)] if "keras" in choice.formats else []
        for plan in plans:
            target = folder / f"{size[0]}x{size[1]}"
            planned = replace(plan, image_size=size)
            paths = export_detector(model, target, planned, overwrite=overwrite, report=report)
            of_size += (
                replace(file, image_size=size)
                for file in exported_files(path for path in paths if path.name != INFO_FILE)
            )
        files += sorted(of_size, key=lambda file: ENGINE_FORMATS.index(file.format))
    return files, [*left_out, *missing]


def _calibrated(model: LoadedDetector, choice: ExportChoice) -> tuple[list[Precision], list[str]]:
    """The precisions that are possible: int8 needs pictures."""
    precisions = list(dict.fromkeys(choice.precisions))
    if "int8" not in precisions:
        return precisions, []
    try:
        CalibrationImages.find(model.config, choice.calibration_images)
    except FileNotFoundError as error:
        return [each for each in precisions if each != "int8"], [str(error)]
    return precisions, []


def _keras_file(model: LoadedDetector, weights: Path | None, size: tuple[int, int]) -> EngineFile:
    path = open_run(model.source).find_weights() if weights is None else weights
    named = None if weights is None else str(weights)
    return EngineFile(model.source, "keras", path.stat().st_size / 1e6, named, size)


def exported_files(paths: Sequence[Path] | Iterator[Path]) -> Iterator[EngineFile]:
    """Yields files that are exported already.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a name is not that of an exported file.
    """
    for path in paths:
        if path.suffix == ".bin" and path.with_suffix(".xml").is_file():
            continue  # OpenVINO's weights, which the pattern of a shell has caught
        if not is_exported(path):
            known = " ".join(_FORMAT_OF)
            raise ValueError(f"{path} is no exported file; their suffixes are {known}")
        if not path.exists():
            raise FileNotFoundError(f"exported file {path} does not exist; see mobilenetdet export")
        yield EngineFile(str(path), _FORMAT_OF[path.suffix.lower()], exported_megabytes(path))


def foreign_files(paths: Sequence[Path], beside: tuple[int, int] | None = None) -> list[EngineFile]:
    """Returns networks of other programs, to be timed by turns with ours.

    Args:
        paths: OpenVINO's .xml files or .onnx files.
        beside: size of the input of the files that they are timed with, if that is known.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another suffix.
    """
    for path in paths:
        if path.suffix.lower() not in FOREIGN_SUFFIXES:
            known = " and ".join(FOREIGN_SUFFIXES)
            raise ValueError(f"{path} cannot be timed beside ours; {known} files can")
        if not path.is_file():
            raise FileNotFoundError(f"{path} {why_no_file(path)}")
    return [
        EngineFile(
            str(path),
            _FORMAT_OF[path.suffix.lower()],
            exported_megabytes(path),
            image_size=beside,
            foreign=True,
        )
        for path in paths
    ]


def open_model(
    run_dir: Path, weights: Path | None = None, records_dir: Path | None = None
) -> LoadedDetector:
    """Loads the run that is exported.

    Args:
        run_dir: run directory, or the name of weights that ship.
        weights: by default the best of the run.
        records_dir: where its records have moved.

    Raises:
        FileNotFoundError, ValueError: see `load_detector`.
    """
    moved = {} if records_dir is None else {"data.records_dir": str(records_dir)}
    return load_detector(run_dir, weights=weights, overrides=moved)


def write_pictures(
    folder: Path, records_dir: Path | None, split: str, video: Path | None
) -> tuple[list[Path], str]:
    """Finds a few pictures to time with.

    Args:
        folder: where those go that are not files already.
        records_dir: frames of a split are taken from it, if it is given.
        split: of these records.
        video: else a folder of pictures, or a video, of which none are taken.

    Returns:
        Their paths, and what they are. Where nothing is given they are rendered.

    Raises:
        FileNotFoundError: there is no such split.
    """
    if records_dir is not None:
        return _record_pictures(folder, records_dir, split)
    if video is not None and video.is_dir():
        found = sorted(each for each in video.iterdir() if each.suffix.lower() in IMAGE_SUFFIXES)
        if found := found[:_NUM_PICTURES]:
            return found, f"{counted(len(found), 'picture')} of {video}"
    paths = [folder / f"rendered_{index}.jpg" for index in range(_NUM_PICTURES)]
    for index, path in enumerate(paths):
        cv2.imwrite(str(path), render_frame(0, index).image_rgb[..., ::-1])
    return paths, f"{len(paths)} rendered frames of 1242x375, JPEG"


def _record_pictures(folder: Path, records_dir: Path, split: str) -> tuple[list[Path], str]:
    payloads = (each for path in shard_paths(records_dir, split) for each in read_records(path))
    paths = []
    for _, payload in zip(range(_NUM_PICTURES), payloads, strict=False):
        frame = decode_record(payload)
        paths.append(folder / f"{frame.frame_id}.{frame.format}")
        paths[-1].write_bytes(frame.encoded)
    return paths, f"{counted(len(paths), 'frame')} of {split} in {records_dir}"
