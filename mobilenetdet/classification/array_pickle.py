"""Reads pickles of arrays and plain containers without running code from them.

A pickle is a program that may call anything Python can import. CIFAR-10 comes as pickles of Python
2, so the few calls that numpy's arrays need are answered by stand-ins; every other is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_PLAIN_DTYPE = re.compile(r"[|<>=]?[biuf](1|2|4|8)")
_REMEDY = "unpack the archive again, from a source that you trust"


def load_array_pickle(path: Path) -> Any:
    """Reads a pickle that holds arrays of numbers, dicts, lists, strings and numbers.

    Args:
        path: of the file. Strings of Python 2 come as bytes.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is cut off, no pickle, or names something else; names it.
    """
    try:
        content = path.read_bytes()
        _check_places(content)
        return _to_plain(_ArrayUnpickler(io.BytesIO(content), encoding="bytes").load())
    except OSError:
        raise
    except Exception as error:
        # What a damaged pickle raises depends on where it is damaged.
        raise ValueError(
            f"{path} is no whole pickle of arrays ({type(error).__name__}: {error}); {_REMEDY}"
        ) from None


def _check_places(content: bytes) -> None:
    """Refuses a pickle that keeps a value at an absurd place: Python would make a list so long.

    Raises:
        pickle.UnpicklingError: there is one.
        ValueError: it is no pickle.
    """
    for operation, place, _ in pickletools.genops(content):
        if "PUT" in operation.name and isinstance(place, int) and place > len(content):
            raise pickle.UnpicklingError(f"it keeps a value at place {place:,}")


class _Dtype:
    """Stands in for numpy.dtype."""

    def __init__(self, name: str | bytes, *flags: object) -> None:
        name = name.decode("latin1") if isinstance(name, bytes) else name
        if not _PLAIN_DTYPE.fullmatch(name):
            raise pickle.UnpicklingError(f"an array of dtype {name!r}")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple) -> None:
        order = state[1].decode() if isinstance(state[1], bytes) else state[1]
        if state[2:5] != (None, None, None) or order not in tuple("<>=|"):
            raise pickle.UnpicklingError(f"an array of dtype with state {state!r}")
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stands in for numpy.ndarray, whose own `__setstate__` trusts what it is given."""

    def __init__(self, *arguments: object) -> None:
        self.array: np.ndarray | None = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, is_fortran, content = state
        content = content.encode("latin1") if isinstance(content, str) else content
        if not isinstance(dtype, _Dtype) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("an array of something else than numbers")
        if math.prod(shape) * dtype.dtype.itemsize != len(content):
            raise pickle.UnpicklingError(f"an array of shape {shape} in {len(content)} bytes")
        flat = np.frombuffer(content, dtype.dtype)
        self.array = flat.reshape(shape, order="F" if is_fortran else "C")


def _reconstruct(kind: type, *arguments: object) -> _Array:
    if kind is not _Array:
        raise pickle.UnpicklingError(f"an array of class {kind!r}")
    return _Array()


def _encode(text: str, encoding: str) -> bytes:
    """Stands in for _codecs.encode, by which Python 3 writes bytes in the old protocols."""
    if encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("_codecs", "encode"): _encode,
    # How the old protocols write b"".
    ("__builtin__", "bytes"): lambda: b"",
}


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles what `_ADMITTED` names, and refuses all else."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """Returns the stand-in of a name."""
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which arrays do not need")
        return _ADMITTED[module, name]


def _to_plain(value: Any) -> Any:
    """Replaces the stand-ins by their arrays."""
    if isinstance(value, _Array):
        if value.array is None:
            raise pickle.UnpicklingError("an array without content")
        return value.array
    if isinstance(value, dict):
        return {key: _to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_to_plain(item) for item in value)
    if value is None or isinstance(value, bytes | str | int | float):
        return value
    raise pickle.UnpicklingError(f"it holds a {type(value).__name__}")
