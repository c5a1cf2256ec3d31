"""Filling a model by layer name, with a report of what did not fit."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
from keras import ops

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.storage import read_config
from mobilenetdet.findings import counted
from mobilenetdet.models.anchor_head import PREDICTION_LAYER
from mobilenetdet.models.layers import innermost_layers
from mobilenetdet.models.mobilenet_v1 import STEM_CHANNELS
from mobilenetdet.models.weight_file import (
    StoredLayers,
    first_non_finite,
    non_finite_text,
    read_weight_file,
)
from mobilenetdet.runs import CONFIG_FILE
from mobilenetdet.system.terminal_text import printable

# The first layer of MobileNetV1.
_FIRST_LAYER = "conv1"
# Layers that a message names; what is the matter with dozens is the same with most.
_MAX_NAMED = 3


@dataclass(frozen=True)
class LoadReport:
    """Result of loading a weight file into a model, by layer.

    Attributes:
        source: the file.
        loaded: layers of the model that were filled.
        missing: layers of the model that the file does not have; they keep their values.
        mismatched: layers whose shapes differ, with both shapes; they keep their values.
        unused: layers of the file that the model does not have.
        note: what was done to the layers of the file before; "" for nothing.
    """

    source: str
    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    note: str = ""

    def __str__(self) -> str:
        """One line if all went well, else one line more for each kind of difference."""
        return self.describe(max_named=_MAX_NAMED)

    def describe(self, *, max_named: int | None) -> str:
        """Says what was loaded and what was not.

        Args:
            max_named: layers that are named of each kind of difference, the others are counted;
                None names all.
        """
        loaded = f"{self.source}: {counted(len(self.loaded), 'layer')} loaded"
        lines = [f"{loaded}, {self.note}" if self.note else loaded]
        for name in ("missing", "mismatched", "unused"):
            if layers := getattr(self, name):
                named = layers[:max_named]
                rest = len(layers) - len(named)
                more = f" and {rest:,} more" if rest else ""
                lines.append(f"  {name}: {', '.join(named)}{more}")
        return printable("\n".join(lines))


def load_detector_weights(detector: keras.Model, path: str | Path) -> LoadReport:
    """Fills a whole detector: backbone, pyramid and head.

    Args:
        detector: from `build_detector`.
        path: weights that a run left. Predictions of other classes or anchors stay fresh; which
            these are says the config.json beside the weights, or else their shapes.

    Returns:
        What was loaded, with the predictions that stay fresh under `missing` or `mismatched`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a Keras weight file, or a layer other than a prediction is not in it or has
            another shape there.
    """
    names = [layer.name for layer in innermost_layers(detector)]
    predictions = {name for name in names if name.endswith(PREDICTION_LAYER)}
    fresh = {name for name in predictions if _means_something_else(name, detector, Path(path))}
    return load_h5_layers(
        detector, path, may_differ=predictions, may_lack=predictions, keep_fresh=fresh
    )


def _means_something_else(prediction: str, detector: keras.Model, path: Path) -> bool:
    """Whether a prediction layer of a file is about other classes or anchors than a detector's."""
    try:
        trained: DetectionConfig = read_config(path.with_name(CONFIG_FILE))
    except (FileNotFoundError, ValueError):  # not from a run; shapes have to do
        return False
    config = detector.config
    if trained.model.levels != config.model.levels:
        return True
    same_classes = trained.data.classes == config.data.classes
    return not same_classes and not prediction.startswith("box_")


def load_h5_layers(
    model: keras.Model,
    path: str | Path,
    *,
    may_differ: Collection[str] = (),
    may_lack: Collection[str] | None = None,
    keep_fresh: Collection[str] = (),
) -> LoadReport:
    """Copies the layers of a Keras weight file into the layers of the same name.

    Args:
        model: whose layers are filled, those inside other layers included.
        path: of the file.
        may_differ: layers that keep their values if the file has them with other shapes.
        may_lack: layers that keep their values if the file does not have them; None: all.
        keep_fresh: layers that keep their values whatever the file has; the report says `missing`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a Keras weight file, no layer in common, missing layers, shapes that
            differ, or NaN or infinity in a layer. The model is as it was.
    """
    stored = read_weight_file(path)
    stored = {name: arrays for name, arrays in stored.items() if name not in keep_fresh}
    return fill_layers(model, stored, str(path), may_differ=may_differ, may_lack=may_lack)


def fill_layers(
    model: keras.Model,
    stored: StoredLayers,
    source: str,
    *,
    may_differ: Collection[str],
    may_lack: Collection[str] | None,
) -> LoadReport:
    """Copies layers that were read.

    Args:
        model: whose layers are filled.
        stored: the layers of a file.
        source: what to call it.
        may_differ: see `load_h5_layers`.
        may_lack: see there.

    Raises:
        ValueError: see there.
    """
    report, differing = compare_layers(model, stored, source)
    lacking = set() if may_lack is None else set(report.missing) - set(may_lack)
    if not report.loaded or lacking or not differing <= set(may_differ):
        hint = (
            "give one that holds the missing layers, too" if lacking else _width_hint(model, stored)
        )
        raise ValueError(f"{report}\nthe file does not fit the model; {hint}")
    arrays = ((name, array) for name in report.loaded for array in stored[name])
    if bad := first_non_finite(arrays):
        raise ValueError(non_finite_text(source, f"layer {bad}"))
    for layer in innermost_layers(model):
        if layer.name in report.loaded:
            layer.set_weights(stored[layer.name])
    return report


def stored_alpha(stored: StoredLayers) -> float | None:
    """Returns the width multiplier of a MobileNetV1, by its first layer; None if there is none."""
    kernels = [array for array in stored.get(_FIRST_LAYER, []) if array.ndim == 4]
    return kernels[0].shape[-1] / STEM_CHANNELS if kernels else None


def _width_hint(model: keras.Model, stored: StoredLayers) -> str:
    alpha = stored_alpha(stored)
    first = [layer for layer in innermost_layers(model) if layer.name == _FIRST_LAYER]
    own = stored_alpha({layer.name: layer.get_weights() for layer in first})
    if alpha is None:
        return "is alpha the same?"
    if alpha == own:
        return f"alpha is the same, {alpha:g}: are the classes, the levels and the head?"
    return f"the file has alpha {alpha:g} (--model.alpha): is alpha the same?"


def compare_h5_layers(model: keras.Model, path: str | Path) -> LoadReport:
    """Reports what `load_h5_layers` would load, without loading it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a Keras weight file.
    """
    return compare_layers(model, read_weight_file(path), str(path))[0]


def named_weights(model: keras.Model) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the path and the values of each weight that is a number with a fraction."""
    for variable in model.weights:
        if "float" in str(variable.dtype):
            yield variable.path, ops.convert_to_numpy(variable)


def refuse_non_finite(model: keras.Model, source: str) -> None:
    """Refuses weights that were loaded and are of no use.

    Raises:
        ValueError: one holds NaN or infinity; names the source and the first such weight.
    """
    if bad := first_non_finite(named_weights(model)):
        raise ValueError(non_finite_text(source, bad))


def compare_layers(
    model: keras.Model, stored: StoredLayers, source: str
) -> tuple[LoadReport, set[str]]:
    """Compares the layers of a file with those of a model.

    Returns:
        The report, and the names of the mismatched layers.
    """
    report, differing = LoadReport(source), set()
    own = {layer.name: layer for layer in innermost_layers(model)}
    for name, layer in own.items():
        if name not in stored:
            report.missing.append(name)
            continue
        shapes = [tuple(w.shape) for w in layer.weights]
        found = [array.shape for array in stored[name]]
        if found == shapes:
            report.loaded.append(name)
        else:
            differing.add(name)
            report.mismatched.append(f"{name} (file {found}, model {shapes})")
    report.unused.extend(name for name in stored if name not in own)
    return report, differing
