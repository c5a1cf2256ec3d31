"""Export a detector: SavedModel, frozen graph, LiteRT, ONNX, OpenVINO, and a page to try it on."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from mobilenetdet.cli.options import parse
from mobilenetdet.cli.progress import print_now
from mobilenetdet.config.storage import to_json, with_changes
from mobilenetdet.deploy.calibration_images import NUM_IMAGES, CalibrationImages
from mobilenetdet.deploy.export import export_detector, exported_megabytes
from mobilenetdet.deploy.export_plan import ExportFormat, ExportPlan, Precision
from mobilenetdet.exported_info import Parts
from mobilenetdet.files.folder_lock import folder_lock
from mobilenetdet.files.text import read_json
from mobilenetdet.inference.loaded_detector import LoadedDetector, load_detector
from mobilenetdet.runs import DEFAULT_WEIGHTS, open_run
from mobilenetdet.system.quiet import import_tensorflow_quietly
from mobilenetdet.web.web_page import export_web_pages
from mobilenetdet.web.web_runtime import find_web_runtime

if TYPE_CHECKING:
    from mobilenetdet.classification.config import ClassifierConfig

_WEB: Final = "web"
_SIZE = re.compile(r"(\d+)x(\d+)")


@dataclass(frozen=True)
class Options:
    """Export a detector for other programs, as OUTPUT_DIR/{parts}_{precision}.SUFFIX.

    A detector takes an RGB picture of the size of its input, uint8 [1, H, W, 3], and gives boxes,
    scores and classes; a network ends at the raw predictions. What else has to be known (classes,
    letterbox, anchors, thresholds) is in each file, and in detector.json beside them. predict and
    eval take each of the files with --model. A run of train_classifier becomes
    classifier_{precision}.SUFFIX: the same picture in, logits out. web is a page to try the
    detector on, OUTPUT_DIR/web_{precision}/index.html, which runs it in the browser.
    """

    # Run directory, or the name of weights that ship with the package.
    run_dir: Path = Path(DEFAULT_WEIGHTS)
    # Weights; by default the best of the run, or the last if none was measured.
    weights: Path | None = None
    # Formats: saved_model, frozen_graph (.pb), litert (.tflite), onnx, openvino (.xml and .bin),
    # web (a folder with a page that detects in the browser).
    format: tuple[ExportFormat | Literal["web"], ...] = ("litert",)
    # float32, float16 (kernels alone) or int8 (litert, onnx and openvino).
    precision: tuple[Precision, ...] = ("float32",)
    # detector (boxes come out) or network (raw predictions do).
    parts: tuple[Parts, ...] = ("detector",)
    # Height and width of the input, pixels, multiples of 32: 384x1248. By default those of the run.
    image_size: str | None = None
    # Folder of pictures by which int8 finds its ranges; by default the training records.
    calibration_images: Path | None = None
    # At most so many of them, 1 or more.
    num_calibration_images: int = NUM_IMAGES
    # Folder of the records, where the run's is not the place.
    records_dir: Path | None = None
    # onnxruntime-web for --format web: npm's .tgz or its folder; by default downloaded once.
    web_runtime: Path | None = None
    # Where the files go; files of others there stay.
    output_dir: Path = Path("exported")
    # Replaces files of others of the same names.
    overwrite: bool = False


def main(argv: list[str] | None = None) -> int:
    """Exports and says what is where and how large; returns 0.

    Raises:
        FileExistsError: a file of another is in the way, or another process is writing there.
        FileNotFoundError: there is no such run, or nothing to calibrate int8 with.
        ValueError: a package is missing, or a size is none that the network can have.
    """
    options = parse(Options, argv)
    _check_web(options)
    plan = ExportPlan(
        # A page is made of an ONNX file.
        formats=_files_of(options) or ("onnx",),
        precisions=options.precision,
        parts=options.parts,
        image_size=None if options.image_size is None else parse_size(options.image_size),
        calibration_images=options.calibration_images,
        num_calibration_images=options.num_calibration_images,
    )
    plan.require_packages()
    export = _export_classifier if open_run(options.run_dir).is_classifier() else _export_detector
    with folder_lock(options.output_dir):
        import_tensorflow_quietly()
        paths = export(options, plan)
    for path in paths:
        print(f"{path}: {exported_megabytes(path):.1f} MB")
    return 0


def _check_web(options: Options) -> None:
    if _WEB not in options.format:
        if options.web_runtime is not None:
            raise ValueError("--web_runtime has no effect without --format web")
        return
    if "detector" not in options.parts:
        raise ValueError("--format web shows boxes, which a network ends before; drop --parts")
    if open_run(options.run_dir).is_classifier():
        raise ValueError(f"{options.run_dir} is a classifier; --format web shows detectors")


def _files_of(options: Options) -> tuple[ExportFormat, ...]:
    """The formats that are files."""
    return tuple(name for name in options.format if name != _WEB)


def _export_detector(options: Options, plan: ExportPlan) -> list[Path]:
    if _WEB not in options.format:
        return _export_files(options, plan, _load_detector(options))
    replace(plan, formats=("onnx",)).require_packages()
    runtime = find_web_runtime(options.web_runtime, report=print_now)
    model = _load_detector(options)
    paths = _export_files(options, plan, model) if _files_of(options) else []
    pages = export_web_pages(
        model, options.output_dir, plan, runtime, overwrite=options.overwrite, report=print_now
    )
    for page in pages:
        print(f"open {page / 'index.html'} in a browser")
    return [*paths, *pages]


def _load_detector(options: Options) -> LoadedDetector:
    records = {} if options.records_dir is None else {"data.records_dir": str(options.records_dir)}
    return load_detector(options.run_dir, weights=options.weights, overrides=records)


def _export_files(options: Options, plan: ExportPlan, model: LoadedDetector) -> list[Path]:
    if plan.left_out():
        print(f"{', '.join(plan.left_out())}: left out in int8, which TensorFlow itself has not")
    return export_detector(
        model, options.output_dir, plan, overwrite=options.overwrite, report=print_now
    )


def _export_classifier(options: Options, plan: ExportPlan) -> list[Path]:
    # Not at the top: detectors do without the classifier.
    from mobilenetdet.classification.batches import sample_images
    from mobilenetdet.classification.model import load_classifier
    from mobilenetdet.deploy.classifier import TrainedClassifier, export_classifier

    if options.parts != Options().parts:
        raise ValueError(f"{options.run_dir} is a classifier, which has no --parts")
    model, config = load_classifier(
        options.run_dir, weights=options.weights, image_size=plan.image_size
    )
    size, count, images = model.input_shape[1:3], plan.num_calibration_images, None
    if "int8" in options.precision and plan.calibration_images is not None:
        images = CalibrationImages.in_folder(size, plan.calibration_images, count)
    elif "int8" in options.precision:
        moved = {} if options.records_dir is None else {"data.data_dir": str(options.records_dir)}
        images = CalibrationImages.of_arrays(
            size, sample_images(with_changes(config, moved), count)
        )
    classifier = TrainedClassifier(
        model,
        size,
        _class_names(options.run_dir, config),
        json.loads(to_json(config.for_sharing())),
        str(options.run_dir),
    )
    return export_classifier(
        classifier, options.output_dir, plan, images, overwrite=options.overwrite, report=print_now
    )


def _class_names(run_dir: Path, config: ClassifierConfig) -> tuple[str, ...]:
    """The names that the run was measured with, those of CIFAR-10, or numbers."""
    from mobilenetdet.classification.cifar10 import CLASS_NAMES
    from mobilenetdet.classification.records import numbered_classes

    path = open_run(run_dir).metrics_file
    named = read_json(path, "remove it").get("class_names") if path.is_file() else None
    if not named and config.data.dataset == "cifar10":
        named = CLASS_NAMES
    return tuple(named or numbered_classes(config.data.num_classes))


def parse_size(text: str) -> tuple[int, int]:
    """Reads height and width, pixels.

    Raises:
        ValueError: it is not written that way.

    Example: "384x1248" is (384, 1248).
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"--image_size is {text!r}; give height and width as 384x1248")
    return int(match[1]), int(match[2])
