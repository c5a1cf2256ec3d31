"""Loading weights into a backbone, and saying what was and was not loaded."""

from __future__ import annotations

import urllib.error
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import keras
import numpy as np

_ORIGIN = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/"
_PUBLISHED_ALPHAS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}


@dataclass(frozen=True)
class LoadReport:
    """What a weight file and a model had in common.

    Attributes:
        source: the file.
        loaded: layers of the model that were filled.
        missing: layers of the model that the file does not have; they keep their values.
        mismatched: layers whose shapes differ, with both shapes; they keep their values.
        unused: layers of the file that the model does not have.
    """

    source: str
    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line if all went well, else one line more for each kind of difference."""
        lines = [f"{self.source}: {len(self.loaded)} layers loaded"]
        lines += [
            f"  {name}: {', '.join(layers)}"
            for name in ("missing", "mismatched", "unused")
            if (layers := getattr(self, name))
        ]
        return "\n".join(lines)


def load_backbone_weights(
    backbone: keras.Model, weights: str, *, alpha: float
) -> LoadReport | None:
    """Fills a backbone.

    Args:
        backbone: from `build_mobilenet_v1`.
        weights: "imagenet", the path of a Keras `.h5` weight file, or "none".
        alpha: width multiplier of the backbone; it chooses the ImageNet file.

    Returns:
        What was loaded, or None for "none".

    Raises:
        ValueError: no ImageNet file for this alpha; no layer or a layer of another shape in the
            file.
        FileNotFoundError: the file does not exist or cannot be downloaded.
    """
    if weights == "none":
        return None
    path = download_imagenet_weights(alpha) if weights == "imagenet" else Path(weights)
    return load_h5_layers(backbone, path)


def download_imagenet_weights(alpha: float) -> Path:
    """Fetches Keras' ImageNet weights of MobileNetV1 (224x224, no top), once; see ~/.keras."""
    if alpha not in _PUBLISHED_ALPHAS:
        known = ", ".join(str(a) for a in _PUBLISHED_ALPHAS)
        raise ValueError(f"no ImageNet weights for alpha {alpha}; choose from {known} or 'none'")
    name = f"mobilenet_{_PUBLISHED_ALPHAS[alpha]}_224_tf_no_top.h5"
    try:
        return Path(keras.utils.get_file(name, _ORIGIN + name, cache_subdir="models"))
    except (OSError, urllib.error.URLError, Exception) as error:  # noqa: BLE001
        raise FileNotFoundError(
            f"cannot download {_ORIGIN}{name} ({error}); download it elsewhere and give its path "
            "as --model.weights, or train from scratch with --model.weights none"
        ) from None


def load_h5_layers(model: keras.Model, path: str | Path) -> LoadReport:
    """Copies the layers of a Keras `.h5` weight file into the layers of the same name.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a Keras weight file, no layer in common, or shapes that differ.
    """
    stored = _read_h5_layers(Path(path))
    report = LoadReport(str(path))
    for layer in model.layers:
        if not layer.weights:
            continue
        arrays = stored.pop(layer.name, None)
        shapes = [tuple(w.shape) for w in layer.weights]
        if arrays is None:
            report.missing.append(layer.name)
        elif (found := [a.shape for a in arrays]) != shapes:
            report.mismatched.append(f"{layer.name} (file {found}, model {shapes})")
        else:
            layer.set_weights(arrays)
            report.loaded.append(layer.name)
    report.unused.extend(stored)
    if report.mismatched or not report.loaded:
        raise ValueError(f"{report}\nthe file does not fit the model; is alpha the same?")
    return report


def _read_h5_layers(path: Path) -> dict[str, list[np.ndarray]]:
    if not path.is_file():
        raise FileNotFoundError(f"weight file {path} does not exist")
    try:
        with h5py.File(path) as file:
            root = file["model_weights"] if "model_weights" in file else file
            return {
                _text(name): [np.asarray(root[_text(name)][_text(w)]) for w in weights]
                for name in root.attrs["layer_names"]
                if len(weights := root[_text(name)].attrs["weight_names"]) > 0
            }
    except (OSError, KeyError) as error:
        raise ValueError(f"{path} is not a Keras .h5 weight file ({error})") from None


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
