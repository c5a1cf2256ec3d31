"""Keras weight files: the old `.h5` and Keras 3's `.weights.h5`, read by layer name."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

# Arrays of each layer, in the order of its variables.
StoredLayers = dict[str, list[np.ndarray]]
# Groups of Keras 3 files that hold no weights: optimizer slots, states of random generators.
_NO_WEIGHTS = ("optimizer", "seed_generator")
# Where a whole model of Keras 3 has them.
_IN_ARCHIVE = "model.weights.h5"
_TORCH = "a file of PyTorch, whose layers are others"
_OTHER_FORMATS = {
    ".pb": "a graph of TensorFlow",
    ".ckpt": "a checkpoint of TensorFlow",
    **dict.fromkeys((".pth", ".pt", ".safetensors"), _TORCH),
    ".onnx": "an exported model (ONNX)",
    ".tflite": "an exported model (LiteRT)",
    ".npz": "what resuming a run needs",
}


def read_weight_file(path: str | Path) -> StoredLayers:
    """Reads all layers of a file that have variables.

    Layers of the same name (in different parts of a model) go by their whole path in the file,
    save the first.

    Args:
        path: a file of Keras 2 (weights or a whole model, `.h5`) or of Keras 3 (`.weights.h5`, or
            a whole model, `.keras`).

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a Keras weight file, or a damaged one.
    """
    path = Path(path)
    if path.is_dir():
        raise FileNotFoundError(f"{path} is a folder; give the weight file in it")
    if not path.is_file():
        raise FileNotFoundError(f"weight file {path} does not exist")
    refuse_other_formats(path)
    path.open("rb").close()  # what the system refuses is no damage
    try:
        with _open(path) as file:
            root = file["model_weights"] if "model_weights" in file else file
            layers = _read_old(root) if "layer_names" in root.attrs else _read_keras_3(file)
    except (OSError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        raise _not_a_weight_file(path, str(error)) from None
    if not layers:
        raise _not_a_weight_file(path, "it holds no layer with variables")
    return layers


class _MemoryFile(io.BytesIO):
    """A file in memory that has the name which Keras asks for."""

    def __str__(self) -> str:
        return "memory.weights.h5"


def weights_to_bytes(model: keras.Model) -> bytes:
    """Returns what a weight file of a model holds.

    HDF5 writes to memory, not to the disk: where that is full, it goes on trying while it closes
    its objects, and ends the program with a segmentation fault.
    """
    file = _MemoryFile()
    model.save_weights(file)
    return file.getvalue()


def refuse_other_formats(path: Path) -> None:
    """Refuses weight files of other programs by their names, and says what to do.

    Raises:
        ValueError: it is one of another format.
    """
    suffix = path.suffix.lower()
    if path.name.endswith((".index", ".meta")) or ".data-0" in path.name:
        suffix = ".ckpt"
    if suffix in _OTHER_FORMATS:
        raise ValueError(
            f"{path} is {_OTHER_FORMATS[suffix]}; here weights are Keras files: "
            "model.save_weights('NAME.weights.h5') writes one, and so does training"
        )


def _open(path: Path) -> h5py.File:
    """Opens a weight file, or that in the archive of a whole model (.keras)."""
    if not zipfile.is_zipfile(path):
        return h5py.File(path)
    with zipfile.ZipFile(path) as archive:
        return h5py.File(io.BytesIO(archive.read(_IN_ARCHIVE)))


def _not_a_weight_file(path: Path, why: str) -> ValueError:
    return ValueError(
        f"{path} is not a Keras .h5 weight file ({why}); if it was downloaded or copied, do that "
        "again"
    )


def _read_old(root: h5py.Group) -> StoredLayers:
    return {
        _text(name): [np.asarray(root[_text(name)][_text(w)]) for w in weights]
        for name in root.attrs["layer_names"]
        if len(weights := root[_text(name)].attrs["weight_names"]) > 0
    }


def _read_keras_3(file: h5py.File) -> StoredLayers:
    # Paths hold class names and numbers ("layers/conv2d_3/vars/0"); names are attributes.
    groups: list[h5py.Group] = []
    file.visititems(lambda _, item: groups.append(item) if _holds_weights(item) else None)
    layers: StoredLayers = {}
    for group in groups:
        where = group.parent.name.strip("/")
        name = _text(group.attrs.get("name", where))
        arrays = [np.asarray(group[str(index)]) for index in range(len(group))]
        layers[where if name in layers else name] = arrays
    return layers


def _holds_weights(item: h5py.Group | h5py.Dataset) -> bool:
    parts = item.name.strip("/").split("/")
    if parts[-1] != "vars" or not isinstance(item, h5py.Group) or len(item) == 0:
        return False
    return parts[0] != _NO_WEIGHTS[0] and parts[-2] != _NO_WEIGHTS[1]


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
