"""Object detection on KITTI with MobileNetV1.

    import mobilenetdet as md

    model = md.load()
    found = model.detect("photo.jpg")
    picture = md.draw("photo.jpg", found)

docs/python.md is the page for it. What is named below is imported when it is first used, so that
importing the package takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mobilenetdet.config.classes import EvalTask
    from mobilenetdet.config.detection import DetectionConfig
    from mobilenetdet.config.presets import make_preset
    from mobilenetdet.detections import Detections
    from mobilenetdet.front_door import TrainedRun, draw, evaluate, load, train
    from mobilenetdet.inference.loaded_detector import LoadedDetector
    from mobilenetdet.kitti.ap_result import AveragePrecision
    from mobilenetdet.kitti.results import kitti_ap

__version__ = "0.1.0"
__all__ = [
    "AveragePrecision",
    "DetectionConfig",
    "Detections",
    "EvalTask",
    "LoadedDetector",
    "TrainedRun",
    "__version__",
    "draw",
    "evaluate",
    "kitti_ap",
    "load",
    "make_preset",
    "train",
]

_MODULES = {
    "AveragePrecision": "mobilenetdet.kitti.ap_result",
    "DetectionConfig": "mobilenetdet.config.detection",
    "Detections": "mobilenetdet.detections",
    "EvalTask": "mobilenetdet.config.classes",
    "LoadedDetector": "mobilenetdet.inference.loaded_detector",
    "TrainedRun": "mobilenetdet.front_door",
    "draw": "mobilenetdet.front_door",
    "evaluate": "mobilenetdet.front_door",
    "kitti_ap": "mobilenetdet.kitti.results",
    "load": "mobilenetdet.front_door",
    "make_preset": "mobilenetdet.config.presets",
    "train": "mobilenetdet.front_door",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Lists the public names, whether or not they are imported yet."""
    return sorted({*globals(), *__all__})
