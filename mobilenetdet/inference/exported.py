"""Exported files by their suffix, opened as a detector, without TensorFlow and pydantic."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mobilenetdet.boxes.letterbox import Letterbox
from mobilenetdet.detections import Detections
from mobilenetdet.exported_info import CLASSIFIER, ExportedInfo
from mobilenetdet.exported_places import find_exported
from mobilenetdet.inference.exported_runtime import ExportedRuntime
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.inference.runtimes import MAX_STREAMS
from mobilenetdet.system.threads import map_in_threads

if TYPE_CHECKING:
    from mobilenetdet.config.detection import DetectionConfig
    from mobilenetdet.kitti.frames_seen import FramesSeen

# Suffix to the module and the class that run such files.
_RUNTIMES = {
    ".tflite": ("litert_runtime", "LiteRtRuntime"),
    ".onnx": ("onnx_runtime", "OnnxRuntime"),
    ".xml": ("openvino_runtime", "OpenVinoRuntime"),
    ".savedmodel": ("saved_model_runtime", "SavedModelRuntime"),
    ".pb": ("saved_model_runtime", "FrozenGraphRuntime"),
}
EXPORTED_SUFFIXES = tuple(_RUNTIMES)
# What may differ from the config in a file: where records are, and how detections are measured
# and shown. A network leaves open how its predictions become detections, too.
_FREE = ("data.records_dir", "data.train_split", "data.val_split", "eval.")


class ExportedDetector(LoadedDetector):
    """A detector in an exported file, which behaves as a run does.

    Its config is read when it is first asked for: only that needs pydantic.
    """

    runtime: ExportedRuntime
    path: Path

    def __init__(
        self,
        runtime: ExportedRuntime,
        source: str,
        config: DetectionConfig | None = None,
        path: Path | None = None,
    ) -> None:
        """Takes an open file.

        Args:
            runtime: has the file open.
            source: the file, or the run that it is used for.
            config: replaces that in the file.
            path: of the file; by default `source`.
        """
        object.__setattr__(self, "runtime", runtime)
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "path", Path(source) if path is None else path)
        if config is not None:
            object.__setattr__(self, "config", config)

    @cached_property
    def config(self) -> DetectionConfig:
        """The config that was exported."""
        return read_config_of(self.runtime.info, self.source)

    @cached_property
    def frames_seen(self) -> FramesSeen | None:
        """The frames that the weights were trained on; None if nobody knows."""
        from mobilenetdet.kitti.frames_seen import FramesSeen

        seen = self.runtime.info.frames_seen
        if seen is None:
            return None
        return FramesSeen(frozenset(seen["hashes"]), bool(seen["complete"]))

    @property
    def weights_hash(self) -> str:
        """Hash of the weight file that it was made of; "" if that is not known."""
        return self.runtime.info.weights

    @property
    def batch_size(self) -> int:
        """Images of a call of the graph, of which there may be several at once."""
        return 1

    @property
    def calibration(self) -> tuple[tuple[float, float], ...]:
        """Slope and offset by which the scores of each class are calibrated; empty for none."""
        if "config" in vars(self):
            return self.config.postprocess.calibration
        return self.runtime.info.postprocess.calibration

    @property
    def drawing_scores(self) -> dict[str, float]:
        """Score of each class from which on detections are worth drawing: that of the best F1."""
        if "config" in vars(self):
            return self.config.drawing_scores()
        return dict(self.runtime.info.drawing_scores)

    def run_several_at_once(self, most: int = MAX_STREAMS) -> None:
        """Runs several pictures at once from now on, each on a share of the threads."""
        self.runtime.use_streams(most)

    def detect_fitted(self, fitted: Iterable[tuple[np.ndarray, Letterbox]]) -> Iterator[Detections]:
        """Detects in what `letterbox` gave of images, in its order."""

        def detect(each: tuple[np.ndarray, Letterbox]) -> Detections:
            """Detects in one of them."""
            image, letterbox = each
            return self.detect_batch(image[None], letterbox.to_array()[None])[0]

        return map_in_threads(detect, fitted, self.runtime.num_streams, _original_bytes)


def _original_bytes(fitted: tuple[np.ndarray, Letterbox]) -> float:
    """Bytes of a picture as it was read, which whoever detects in it keeps until then."""
    _, letterbox = fitted
    return 3 * letterbox.height * letterbox.width


def is_exported(source: str | os.PathLike[str]) -> bool:
    """Returns whether a name is that of an exported file, by its suffix."""
    return Path(source).suffix.lower() in _RUNTIMES


def open_exported(path: str | os.PathLike[str]) -> ExportedRuntime:
    """Opens an exported file with the runtime of its format.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: another suffix, the runtime is not installed, or the file is damaged or has no
            metadata.
    """
    path = find_exported(path)
    if path.suffix.lower() not in _RUNTIMES:
        known = " ".join(EXPORTED_SUFFIXES)
        raise ValueError(
            f"{path} is of no format that is exported; their suffixes are {known} (weights go to "
            "--weights, a run directory to --run_dir)"
        )
    if not path.exists():
        raise FileNotFoundError(f"exported file {path} does not exist; see mobilenetdet export")
    module, name = _RUNTIMES[path.suffix.lower()]
    runtime: Any = getattr(importlib.import_module(f"mobilenetdet.inference.{module}"), name)
    return runtime(path)


def load_exported(
    source: str | os.PathLike[str],
    config: DetectionConfig | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> ExportedDetector:
    """Opens an exported file as a detector.

    Args:
        source: path of the file.
        config: to use instead of that in the file.
        overrides: settings to change, by dotted key.

    Raises:
        FileNotFoundError: see `open_exported`.
        ValueError: see there; or the config has other settings that are built into the file.
    """
    runtime = open_exported(source)
    _refuse_classifier(runtime.info, str(source))
    if overrides:
        from mobilenetdet.config.storage import with_changes

        config = read_config_of(runtime.info, str(source)) if config is None else config
        config.refuse_fixed(overrides, "overrides")
        config = with_changes(config, overrides)
    if config is not None:
        _refuse_built_in(runtime.info, config, str(source))
        if runtime.info.parts == "network":
            runtime.use(config.postprocess)
    return ExportedDetector(runtime, str(source), config)


def read_exported_config(path: str | os.PathLike[str]) -> DetectionConfig:
    """Reads the config in an exported file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: see `open_exported`.
    """
    return read_config_of(open_exported(path).info, str(path))


def read_config_of(info: ExportedInfo, source: str) -> DetectionConfig:
    """Reads the config in an exported file.

    Raises:
        ValueError: it is damaged, of a later version, or that of a classifier.
    """
    from mobilenetdet.config.storage import from_json

    _refuse_classifier(info, source)
    return from_json(json.dumps(info.config), f"the config in {source}")


def _refuse_classifier(info: ExportedInfo, source: str) -> None:
    if info.parts == CLASSIFIER:
        raise ValueError(f"{source} is a classifier: it gives logits for a picture, and no boxes")


def _refuse_built_in(info: ExportedInfo, config: DetectionConfig, source: str) -> None:
    from mobilenetdet.config.detection import changed_keys

    free = _FREE if info.parts == "detector" else (*_FREE, "postprocess.")
    exported = read_config_of(info, source).for_sharing()
    for key in changed_keys(exported, config.for_sharing()):
        if not key.startswith(free):
            remedy = "export the run again to change it"
            if key.startswith("postprocess."):
                remedy = "a file of --parts network leaves it open"
            raise ValueError(f"{key} is built into {source}; {remedy}")
