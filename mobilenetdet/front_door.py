"""The Python API: load, detect, draw, evaluate and train in a line each; see docs/python.md.

Nothing here imports TensorFlow or Keras before it is called.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from mobilenetdet.config.detection import DetectionConfig
    from mobilenetdet.deploy.engines import Engine
    from mobilenetdet.detections import Detections
    from mobilenetdet.inference.loaded_detector import LoadedDetector, Photo
    from mobilenetdet.kitti.ap_result import AveragePrecision

# `draw` leaves out what scores less, unless told otherwise.
_DRAW_SCORE = 0.5


def load(
    source: str | os.PathLike[str] | None = None,
    *,
    engine: Engine | None = None,
    weights: str | os.PathLike[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> LoadedDetector:
    """Loads a trained detector.

    No global seed and no global dtype policy is set.

    Args:
        source: a run directory, an exported file, or the name of weights that ship with the
            package; by default those, `ssd_fpn`.
        engine: "keras", the default for a run, whose detector has `export`; "litert", "openvino" or
            "onnx", for which the run is exported once; "auto", the fastest of these for which it
            has been, else Keras. An exported file has its own.
        weights: a weight file; by default the best of the run, or the last if none was measured.
        overrides: settings to change, by dotted key: `{"postprocess.mirror": True}`.

    Raises:
        FileNotFoundError: there is no such run, or it has no weights; says how to come by one.
        ValueError: the weights do not fit the config, or a setting is unknown, out of range or
            fixed by training; an exported file is damaged; or the engine is not installed, or not
            that of the file.
    """
    from mobilenetdet.files.names import to_path
    from mobilenetdet.inference.exported import is_exported

    for name, path in (("source", source), ("weights", weights)):
        if path is not None:
            to_path(path, name)
    if source is not None and is_exported(source):
        # A camera has not what the loading of runs needs.
        from mobilenetdet.deploy.engines import check_engine
        from mobilenetdet.inference.loaded_detector import load_detector

        check_engine(engine or "auto", source)
        return load_detector(source, weights=weights, overrides=overrides)
    from mobilenetdet.deploy.engine_loading import load_for_engine

    return load_for_engine(source, engine or "keras", weights=weights, overrides=overrides)


def draw(
    photo: Photo,
    found: Detections,
    *,
    min_score: float | Mapping[str, float] = _DRAW_SCORE,
    title: str = "",
) -> np.ndarray:
    """Draws detections over a photo.

    Args:
        photo: a path, or RGB uint8 [H, W, 3]; it is not changed.
        found: in pixels of this photo.
        min_score: detections below it are left out; one for all classes, or by class as
            `model.drawing_scores` has them.
        title: stands in the strip below the photo, which counts what was drawn.

    Returns:
        RGB uint8 [H + strip, W, 3].

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file cannot be decoded, or an array is not RGB uint8; or several photos are
            given, which are drawn one by one.
    """
    from mobilenetdet.detections import Detections
    from mobilenetdet.drawing.overlays import draw_detections
    from mobilenetdet.media.sources import read_photo

    if not isinstance(found, Detections):
        raise ValueError(
            f"found is {type(found).__name__}; it must be the Detections of one photo, and several "
            "photos are drawn one by one"
        )
    return draw_detections(read_photo(photo), found.above(min_score), title=title)


def evaluate(
    model: LoadedDetector,
    records_dir: str | os.PathLike[str] | None = None,
    split: str | None = None,
    *,
    progress: Callable[[int], None] | None = None,
    strict: bool = False,
) -> AveragePrecision:
    """Measures KITTI's official 2D average precision of a detector.

    Args:
        model: from `load`.
        records_dir: folder of the TFRecords; by default where the run had them.
        split: such as "val"; by default the run's validation split.
        progress: called with the number of frames that are done.
        strict: makes an error of the warning, before anything is detected.

    Warns:
        UserWarning: counts the frames that the weights were trained on, and names the figures that
            cannot reach 100 since fewer than 41 objects count.

    Raises:
        FileNotFoundError: the split is not converted; names the command.
        ValueError: the model is none of `load`, the records are not as they were written; or frames
            were trained on, and `strict`.
    """
    from mobilenetdet.inference.loaded_detector import LoadedDetector
    from mobilenetdet.system.quiet import ensure_tensorflow

    if not isinstance(model, LoadedDetector):
        raise ValueError(f"model is {model!r}; it must be a detector that load has returned")
    ensure_tensorflow()  # it reads the records, whatever runs the network
    from mobilenetdet.evaluation.evaluate import check_split, evaluate_split
    from mobilenetdet.findings import refuse_findings
    from mobilenetdet.kitti.metric_table import ceilings

    findings = check_split(model, records_dir, split).findings()
    if strict:
        refuse_findings(findings)
    for line in findings:
        warnings.warn(line, stacklevel=2)
    ap = evaluate_split(model, records_dir, split, progress=progress).ap
    for line in ceilings(ap):
        warnings.warn(line, stacklevel=2)
    return ap


@dataclass(frozen=True)
class TrainedRun:
    """What training left behind.

    Attributes:
        dir: the run directory.
        ap: KITTI's average precision of the best weights on the validation split.
    """

    dir: Path
    ap: AveragePrecision

    def load(self) -> LoadedDetector:
        """Loads the best weights."""
        return load(self.dir)


def train(
    config: str | DetectionConfig,
    *,
    run_dir: str | os.PathLike[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    verbose: int = 1,
    strict: bool = False,
) -> TrainedRun:
    """Trains a detector, or goes on with a run that was interrupted.

    Keras' global seed becomes `train.seed`. A `UserWarning` counts the frames that are measured on
    and trained on.

    Args:
        config: the name of a preset, or a whole config.
        run_dir: where everything goes; by default runs/PRESET.
        overrides: settings to change, by dotted key: `{"train.epochs": 5}`.
        verbose: 0 prints nothing, 1 a progress bar, 2 a line an epoch, and one every half minute.
        strict: makes errors of the warnings, before the first epoch.

    Raises:
        FileExistsError: the run directory has files of others in the way, or another process is
            writing there.
        FileNotFoundError: there are no records; names the command.
        ValueError: no such preset or setting, the directory holds a run with other settings that
            its weights depend on, or there is a warning, and `strict`.
    """
    from mobilenetdet.config.detection import DetectionConfig
    from mobilenetdet.config.presets import make_preset
    from mobilenetdet.config.storage import with_changes
    from mobilenetdet.files.names import to_path
    from mobilenetdet.system.quiet import ensure_tensorflow

    if isinstance(config, str):
        run_dir = run_dir or Path("runs") / config
        config = make_preset(config)
    if not isinstance(config, DetectionConfig):
        raise ValueError(f"config is {config!r}; it must be the name of a preset or a whole config")
    if run_dir is None:
        raise ValueError("train with a whole config needs run_dir, where the run goes")
    run_dir = to_path(run_dir, "run_dir")
    if overrides:
        config = with_changes(config, overrides)
    ensure_tensorflow(find_devices=not config.train.on_virtual_devices)
    from mobilenetdet.training.train import train as run_training

    silence = contextlib.redirect_stdout(io.StringIO())
    with contextlib.nullcontext() if verbose else silence:
        evaluation = run_training(config, run_dir, verbose=verbose, strict=strict)
    for line in evaluation.seen.findings():
        warnings.warn(line, stacklevel=2)
    return TrainedRun(run_dir, evaluation.ap)
