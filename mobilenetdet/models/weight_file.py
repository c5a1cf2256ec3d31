"""Keras weight files: the old `.h5` and Keras 3's `.weights.h5`, read by layer name."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from mobilenetdet.files.text import why_no_file

# Reading takes seconds less without it.
if TYPE_CHECKING:
    import keras

# Arrays of each layer, in the order of its variables.
StoredLayers = dict[str, list[np.ndarray]]
# Group of what the optimizer knows beside the weights; only resuming needs it.
OPTIMIZER = "optimizer"
# Groups of Keras 3 files that hold no weights: optimizer slots, states of random generators.
_NO_WEIGHTS = (OPTIMIZER, "seed_generator")
# Arrays may take this many times the size of their file, and this much anyway.
_MAX_GROWTH, _MIN_BYTES = 20, 2**26
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
    if not path.is_file():
        raise FileNotFoundError(f"weight file {path} {why_no_file(path)}")
    refuse_other_formats(path)
    path.open("rb").close()  # what the system refuses is no damage
    try:
        with _open(path) as file:
            _refuse_unsafe(file, path.stat().st_size)
            root = file["model_weights"] if "model_weights" in file else file
            layers = _read_old(root) if "layer_names" in root.attrs else _read_keras_3(file)
    except Exception as error:  # what HDF5 raises depends on where a file is damaged
        raise _not_a_weight_file(path, str(error)) from None
    if not layers:
        raise _not_a_weight_file(path, "it holds no layer with variables")
    return layers


def check_weight_file(path: Path) -> None:
    """Refuses what Keras should not open: it reads a file before it knows whether it fits.

    Raises:
        ValueError: it is of another format, damaged, or names other files, or its arrays would
            take far more memory than the file.
    """
    refuse_other_formats(path)
    path.open("rb").close()  # what the system refuses is no damage
    try:
        with _open(path) as file:
            _refuse_unsafe(file, path.stat().st_size)
    except Exception as error:
        raise _not_a_weight_file(path, str(error)) from None


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


def rewrite_weights(source: Path, change: Callable[[str, np.ndarray], np.ndarray]) -> bytes:
    """Returns a Keras weight file with other arrays, and without the state of the optimizer.

    Args:
        source: a weight file of Keras 3, which was checked.
        change: from the place of an array in the file and its values to what is written there.
    """
    file = io.BytesIO()  # not the disk, see `weights_to_bytes`
    with h5py.File(source) as old, h5py.File(file, "w") as new:
        new.attrs.update(old.attrs)

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            """Copies one group or array with its attributes."""
            if name.split("/")[0] == OPTIMIZER:
                return
            if isinstance(item, h5py.Group):
                copied = new.require_group(name)
            else:
                copied = new.create_dataset(name, data=change(name, item[()]))
            copied.attrs.update(item.attrs)

        old.visititems(copy)
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
        refuse_inflated(archive, path)
        return h5py.File(io.BytesIO(archive.read(_IN_ARCHIVE)))


def refuse_inflated(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuses an archive that unpacks to far more than its size; arrays do not compress so.

    Raises:
        ValueError: it does.
    """
    _check_size(sum(each.file_size for each in archive.infolist()), path.stat().st_size)


def _check_size(num_bytes: int, file_size: int) -> None:
    if num_bytes > _MIN_BYTES + _MAX_GROWTH * file_size:
        raise ValueError(
            f"{file_size:,} bytes of a file would be {num_bytes:,} in memory; no weights are so"
        )


def _refuse_unsafe(file: h5py.File, file_size: int) -> None:
    """Refuses links and arrays that lie in other files, and arrays that are far too large.

    Raises:
        ValueError: there is one.
    """
    num_bytes = 0

    def check(name: str, item: h5py.Group | h5py.Dataset | h5py.Datatype) -> None:
        """Looks at one item and the links in it."""
        nonlocal num_bytes
        if isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise ValueError(f"the values of {name} are in another file")
            num_bytes += item.nbytes
        elif isinstance(item, h5py.Group):
            for key in item:
                if not isinstance(item.get(key, getlink=True), h5py.HardLink):
                    raise ValueError(f"{name.rstrip('/')}/{key} is a link; weights need none")

    check("", file)
    file.visititems(check)
    _check_size(num_bytes, file_size)


def _not_a_weight_file(path: Path, why: str) -> ValueError:
    return ValueError(
        f"{path} is not a Keras .h5 weight file ({why or 'damaged'}); if it was downloaded or "
        "copied, do that "
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


def first_non_finite(arrays: Iterable[tuple[str, np.ndarray]]) -> str | None:
    """Returns the name of the first array that holds NaN or infinity, or None.

    Example: of `[("a", [1.0]), ("b", [nan])]` it is "b".
    """
    return next((name for name, array in arrays if not np.isfinite(array).all()), None)


def non_finite_text(source: str, name: str) -> str:
    """Says that a file holds weights of no use."""
    return (
        f"{source}: {name} holds NaN or infinity, so these weights are of no use; their training "
        "has diverged, or the file is damaged: take other weights"
    )
