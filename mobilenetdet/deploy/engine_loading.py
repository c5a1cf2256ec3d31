"""Loading a run for the engine that is asked for; the file for it is exported once."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenetdet.deploy.engines import (
    Engine,
    check_engine,
    find_for_engines,
    installed_engines,
    keras_has_gpu,
    open_for_run,
    require_engine,
)
from mobilenetdet.deploy.export import export_detector
from mobilenetdet.deploy.export_plan import ExportPlan
from mobilenetdet.deploy.exportable import ExportableDetector
from mobilenetdet.files.output_folder import OutputFolder, refuse_link
from mobilenetdet.files.text import why_no_file
from mobilenetdet.inference.exported import ExportedDetector, is_exported
from mobilenetdet.inference.loaded_detector import LoadedDetector, config_to_use, load_detector
from mobilenetdet.runs import RunDir, hash_weights, open_run
from mobilenetdet.system.quiet import ensure_tensorflow

if TYPE_CHECKING:
    from mobilenetdet.config.detection import DetectionConfig


def load_for_engine(
    source: str | os.PathLike[str] | None = None,
    engine: Engine = "auto",
    *,
    weights: str | os.PathLike[str] | None = None,
    config: DetectionConfig | None = None,
    overrides: Mapping[str, Any] | None = None,
    tell: Callable[[str], None] = lambda line: None,
    start: Callable[[], None] = ensure_tensorflow,
) -> LoadedDetector:
    """Loads a trained detector for an engine.

    Detections are the same to rounding, whichever runs it.

    Args:
        source: the name of weights that ship, a run directory, or an exported file, whose engine is
            its own; by default the weights `ssd_fpn`.
        engine: "keras"; or "litert", "openvino" or "onnx", for which the network is exported once,
            in float32, to `RunDir.export_dir` unless a file of these weights and this input size is
            there; or "auto", the fastest of these that is installed and has such a file, else
            Keras. "auto" exports nothing, and takes Keras where that has a GPU.
        weights: a weight file; by default the best of the run, or the last if none was measured.
        config: to use instead of that of the run.
        overrides: settings to change, by dotted key.
        tell: called with a line before an export, which takes a while.
        start: called before Keras is needed; by default it imports TensorFlow quietly.

    Raises:
        FileExistsError, FileNotFoundError: see `load_detector` and `export_detector`.
        ValueError: see there; or the engine is unknown, not installed or not that of the file.
    """
    check_engine(engine, source)
    if source is not None and is_exported(source):
        return load_detector(source, weights=weights, config=config, overrides=overrides)
    run = open_run(source)
    if engine not in ("auto", "keras"):
        require_engine(engine)
        config = config_to_use(run, config, overrides)
        path = _weight_file(run, weights)
        if found := find_for_engines(run, hash_weights(path), config, [engine]):
            return found
        plan = ExportPlan(formats=[engine], parts=["network"])
        plan.require_packages()
        try:
            return _exported_once(run, path, config, plan, tell=tell, start=start)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            raise ValueError(
                f"{run.export_dir}: the exported network cannot be kept there ({error.strerror}); "
                "use the engine keras, or export to another folder and name the file (--model)"
            ) from None
    if engine == "auto" and not keras_has_gpu():
        wanted = config_to_use(run, config, overrides)
        hashed = hash_weights(_weight_file(run, weights))
        if found := find_for_engines(run, hashed, wanted, installed_engines()):
            return found
    start()
    loaded = load_detector(source, weights=weights, config=config, overrides=overrides)
    return ExportableDetector.of(loaded)


def _weight_file(run: RunDir, weights: str | os.PathLike[str] | None) -> Path:
    path = run.find_weights() if weights is None else Path(weights)
    if not path.is_file():
        raise FileNotFoundError(f"weight file {path} {why_no_file(path)}")
    return path


def _exported_once(
    run: RunDir,
    weights: Path,
    config: DetectionConfig,
    plan: ExportPlan,
    *,
    tell: Callable[[str], None],
    start: Callable[[], None],
) -> ExportedDetector:
    """Writes the file of a run for an engine, and opens it."""
    height, width = config.image_size
    folder, (engine,) = run.export_dir / f"{height}x{width}", plan.formats
    for place in (run.export_dir, folder):
        refuse_link(place)
    with OutputFolder(folder).locked(wait=True):
        # Another process may have written it in the meantime.
        if found := find_for_engines(run, hash_weights(weights), config, [engine]):
            return found
        tell(f"{folder}: exporting the network of {run.name} for {engine}, once")
        start()
        # What decides how predictions become detections is not that of this one call.
        own = run.read_config()
        data = replace(own.data, image_height=height, image_width=width)
        model = load_detector(
            run.shipped_name or run.path, weights=weights, config=replace(own, data=data)
        )
        path = export_detector(model, folder, plan, remove_others=True)[0]
    return open_for_run(path, run, config)
