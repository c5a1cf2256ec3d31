"""The engines that a run may go through, and which exported files of it each of them can take.

Keras runs a run as it is. The others run a file that was exported of it, faster on a CPU. Such a
file is taken for the run only if it says that it is of the same weights, in float32.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.inference.exported import (
    ExportedDetector,
    is_exported,
    open_exported,
    read_config_of,
)
from mobilenetdet.inference.exported_runtime import import_runtime

if TYPE_CHECKING:
    import os

    from mobilenetdet.config.detection import DetectionConfig
    from mobilenetdet.exported_info import ExportedInfo
    from mobilenetdet.inference.loaded_detector import LoadedDetector
    from mobilenetdet.runs import RunDir

Engine = Literal["auto", "keras", "litert", "openvino", "onnx"]


class ExportedEngine(NamedTuple):
    """An engine for exported files.

    Attributes:
        suffix: of its files.
        module: to import.
        package: that has it.
        extra: of mobilenetdet that has the package.
    """

    suffix: str
    module: str
    package: str
    extra: str


# The fastest on a CPU first. OpenVINO computes as fast as LiteRT, but takes longer to start and
# suffers more from other programs on the same cores.
ENGINES: dict[str, ExportedEngine] = {
    "litert": ExportedEngine(".tflite", "ai_edge_litert", "ai-edge-litert", "litert"),
    "openvino": ExportedEngine(".xml", "openvino", "openvino", "openvino"),
    "onnx": ExportedEngine(".onnx", "onnxruntime", "onnxruntime", "onnx"),
}
# What decides the raw predictions, beside the weights.
_OF_NETWORK = ("data.image_height", "data.image_width", "data.classes", "model.", "head.")
# Where the system shows that it has a GPU.
_GPU_DEVICES = ("nvidia[0-9]*", "kfd", "dxg")


def check_engine(engine: str, source: str | os.PathLike[str] | None = None) -> None:
    """Refuses an engine that is none, or not that of an exported file.

    Args:
        engine: one of `Engine`.
        source: what is to be loaded.

    Raises:
        ValueError: names those that there are.
    """
    if engine not in get_args(Engine):
        raise ValueError(f"unknown engine {engine!r}; there are {', '.join(get_args(Engine))}")
    if source is None or not is_exported(source) or engine == "auto":
        return
    if engine == "keras" or not str(source).lower().endswith(ENGINES[engine].suffix):
        raise ValueError(f"{source} is no file for the engine {engine}; leave the engine out")


def installed_engines() -> list[str]:
    """Returns the engines for exported files that are installed, the fastest first."""
    return [name for name, each in ENGINES.items() if importlib.util.find_spec(each.module)]


def require_engine(engine: str) -> None:
    """Refuses an engine for exported files that is not installed.

    Raises:
        ValueError: names the package and the extra.
    """
    _, *package = ENGINES[engine]
    import_runtime(*package, f"the engine {engine}")  # type: ignore[call-arg]


def find_for_engines(
    run: RunDir, weights_hash: str, config: DetectionConfig, engines: Iterable[str]
) -> ExportedDetector | None:
    """Finds an exported file that gives what Keras gives for a run, to rounding.

    Files are looked for beside weights that ship, in `run.export_dir` and in the folders there, by
    the names that `mobilenetdet export` gives to float32.

    Args:
        run: the run.
        weights_hash: of the weights to use, see `runs.hash_weights`.
        config: to use.
        engines: of `ENGINES`, those to be preferred first; they are installed.

    Returns:
        The open file; None if none is of these weights, classes and input size. Files that are
        damaged, or of others, are left alone.
    """
    for engine in engines:
        for path in _float32_files(run, ENGINES[engine].suffix):
            try:
                if not _is_whole(path):
                    continue
                found = open_for_run(path, run, config)
                fits = _fits(found.runtime.info, weights_hash, config)
            except (ValueError, OSError):
                continue
            if fits:
                return found
    return None


def open_for_run(path: Path, run: RunDir, config: DetectionConfig) -> ExportedDetector:
    """Opens an exported file in the place of the run that it comes from.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: see `open_exported`.
    """
    runtime = open_exported(path)
    if runtime.info.parts == "network":
        runtime.use(config.postprocess)
    return ExportedDetector(runtime, run.shipped_name or str(run.path), config, path)


def keras_has_gpu() -> bool:
    """Returns whether Keras computes on a GPU, which no engine here does.

    TensorFlow is asked, and imported, only where the system has one.
    """
    if not any(path for name in _GPU_DEVICES for path in Path("/dev").glob(name)):
        return False
    # Not at the top: it takes seconds.
    from mobilenetdet.system.quiet import import_tensorflow_quietly

    import_tensorflow_quietly()
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def describe_engine(model: LoadedDetector, engine: Engine) -> str:
    """Says what runs a detector, and how it would run faster if that was left to "auto".

    Example: "Keras 3.15.1 on tensorflow (faster: --engine litert, which exports the run once)".
    """
    if isinstance(model, ExportedDetector):
        is_own = str(model.path) == model.source
        return model.engine if is_own else f"{model.engine} ({model.path})"
    if engine != "auto" or keras_has_gpu():
        return model.engine
    best = next(iter(installed_engines()), None)
    first = "" if best else f"pip install {next(iter(ENGINES.values())).package}, then "
    best = best or next(iter(ENGINES))
    return f"{model.engine} (faster: {first}--engine {best}, which exports the run once)"


def _float32_files(run: RunDir, suffix: str) -> Iterator[Path]:
    name = f"*_float32{suffix}"
    for folder in (*([run.path] if run.shipped_name else []), run.export_dir):
        yield from sorted(folder.glob(name))
    yield from sorted(run.export_dir.glob(f"*/{name}"))


def _is_whole(path: Path) -> bool:
    """Whether a file, and what belongs to it, is as `mobilenetdet export` has written it.

    A runtime computes with damaged weights, too, and OpenVINO's lie in a file of their own.
    """
    folder, weights = OutputFolder(path.parent), path.with_suffix(".bin")
    names = [path.name, *([weights.name] if path.suffix == ".xml" else [])]
    return all(map(folder.is_own, names))


def _fits(info: ExportedInfo, weights_hash: str, config: DetectionConfig) -> bool:
    """Whether a file is of these weights, and what is built into it is as in the config."""
    from mobilenetdet.config.detection import changed_keys

    if not weights_hash or (info.weights, info.precision) != (weights_hash, "float32"):
        return False
    built_in = _OF_NETWORK if info.parts == "network" else (*_OF_NETWORK, "postprocess.")
    # Files of earlier versions hold paths that later ones leave out.
    exported = read_config_of(info, "").for_sharing()
    return not any(key.startswith(built_in) for key in changed_keys(exported, config.for_sharing()))
