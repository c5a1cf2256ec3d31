"""Files that were made to do harm."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np

_BOMB_BYTES = 400_000_000


class Trap:
    """Whoever unpickles it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def npz_with_objects(path: Path, trap: Trap) -> None:
    np.savez(path, progress=np.array([trap], object))


def npz_with_shape(path: Path, trap: Trap) -> None:
    """The header of an array promises far more than there is."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (35184372088832,), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model_0000.npy", start + bytes(64))


def bomb(path: Path, name: str) -> None:
    """Some hundred kilobytes that unpack to some hundred megabytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open(name, "w") as member:
            for _ in range(_BOMB_BYTES // 2**20):
                member.write(bytes(2**20))


def _variables(file: h5py.File) -> h5py.Group:
    return file.create_group("layers/dense/vars")


def linked_h5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        _variables(file)["0"] = h5py.ExternalLink("/etc/passwd", "/")


def external_h5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        where = [("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
        _variables(file).create_dataset("0", (16,), "u1", external=where)


def virtual_h5(path: Path) -> None:
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "data", shape=(4,))
    with h5py.File(path, "w") as file:
        _variables(file).create_virtual_dataset("0", layout)


def filled_h5(path: Path) -> None:
    """An array that takes no place in the file, since nothing was written to it."""
    with h5py.File(path, "w") as file:
        _variables(file).create_dataset("0", (2**45,), "f4", chunks=(1024,), fillvalue=1.0)


def keras_with_lambda(path: Path, sprung: Path) -> Path:
    """A whole model with a layer whose code makes a file, beside a dense layer."""
    code = {"class_name": "__lambda__", "config": {"code": "evil", "defaults": [str(sprung)]}}
    layers = [{"class_name": "Lambda", "config": {"name": "evil", "function": code}}]
    config = json.dumps({"class_name": "Sequential", "config": {"layers": layers}})
    buffer = io.BytesIO() if path.suffix == ".keras" else path
    with h5py.File(buffer, "w") as file:
        file.attrs["model_config"] = config
        group = _variables(file)
        group.attrs["name"] = "dense"
        group["0"] = np.ones((2, 3), np.float32)
    if path.suffix == ".keras":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", config)
            archive.writestr("model.weights.h5", buffer.getvalue())
            archive.writestr("../../escaped.txt", "escaped")
    return path


def archive_with_links(path: Path) -> Path:
    """A tar file with names that lead out of it, links and devices."""
    with tarfile.open(path, "w") as archive:
        for name in ("n01/a.JPEG", "../../n02/evil.JPEG"):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
        for name, kind in (("n01/link", tarfile.SYMTYPE), ("n01/device", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    return path
