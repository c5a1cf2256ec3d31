"""TensorFlow and LiteRT without their start-up messages."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from mobilenetdet.system.cores import num_cores
from mobilenetdet.system.garbage_collection import gc_paused

# Of the input pipeline and of libraries, beside those of the cores.
_MORE_THREADS = 8
# The first is the default.
_BACKENDS = ("tensorflow", "jax")
# Two threads that set standard error aside would bring it back in the wrong order.
_output_lock = threading.RLock()


def import_tensorflow_quietly(*, find_devices: bool = True) -> None:
    """Imports TensorFlow and looks for its devices, with what its libraries print set aside.

    TF_CPP_MIN_LOG_LEVEL does not reach the lines that are printed before TensorFlow's log is
    initialised. Where Keras runs on another backend, TensorFlow only reads the input: it is
    imported, and leaves the devices alone.

    Args:
        find_devices: False leaves time to make virtual ones.
    """
    os.getcwd()  # where it is gone, imports fail in their middle, after many messages
    _choose_backend()
    _start_some_threads()
    with importing_quietly(), gc_paused():
        try:
            import keras
            import tensorflow as tf
        except ImportError:
            return
        # On another backend a context of TensorFlow's would keep the memory of the GPU.
        if find_devices and keras.backend.backend() == "tensorflow":
            tf.config.list_physical_devices()
            tf.constant(0)  # makes the context, which looks for a GPU
    _settle_keras()


@contextlib.contextmanager
def importing_quietly() -> Iterator[None]:
    """Sets aside what TensorFlow prints where something in the `with` block imports it."""
    # 3 hides the notes that oneDNN prints as errors; what fails raises an exception as well.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with output_set_aside(2):
        yield


def ensure_tensorflow(*, find_devices: bool = True) -> None:
    """Imports TensorFlow quietly, unless the caller has imported it already."""
    if "tensorflow" not in sys.modules:
        import_tensorflow_quietly(find_devices=find_devices)


def _start_some_threads() -> None:
    """Starts as many threads as TensorFlow is going to need at least, and ends them.

    Raises:
        RuntimeError: the system starts no more. TensorFlow would abort the program without a word.
    """
    leave = threading.Event()
    threads = [threading.Thread(target=leave.wait) for _ in range(2 * num_cores() + _MORE_THREADS)]
    try:
        for thread in threads:
            thread.start()
    finally:
        leave.set()


def _choose_backend() -> None:
    """Keeps a keras.json that was made for other programs from choosing the backend.

    Raises:
        ValueError: KERAS_BACKEND in the environment names one that this program cannot use.
    """
    if chosen := os.environ.get("KERAS_BACKEND"):
        if chosen not in _BACKENDS:
            raise ValueError(
                f"KERAS_BACKEND is {chosen}; this program runs on {' or '.join(_BACKENDS)}"
            )
        return
    # Without HOME and without a user of that number there is no home; Keras does the same then.
    folder = Path(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras"))
    path = folder / "keras.json"
    try:
        backend = json.loads(path.read_text(encoding="utf-8"))["backend"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if backend not in _BACKENDS:
        print(f"{path} names the backend {backend}; going on with {_BACKENDS[0]}", file=sys.stderr)
        os.environ["KERAS_BACKEND"] = _BACKENDS[0]


def _settle_keras() -> None:
    """Sets what a keras.json may have set otherwise, and says so."""
    import keras

    config = keras.config
    for name, ours in (("image_data_format", "channels_last"), ("floatx", "float32")):
        if (found := getattr(config, name)()) != ours:
            print(f"keras.json has {name} {found}; going on with {ours}", file=sys.stderr)
            getattr(config, f"set_{name}")(ours)


def _anonymous_file() -> BinaryIO:
    """Opens a file without name, in memory where the system can: /tmp may be full or missing."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("stderr"), "w+b", buffering=0)
    return tempfile.TemporaryFile()


@contextlib.contextmanager
def without_info_lines() -> Iterator[None]:
    """Drops lines that begin with "INFO:" of what libraries print on stderr in the `with` block.

    All other lines are printed when it ends, and an exception brings back all of them.
    """
    with output_set_aside(2, is_told=lambda line: not line.startswith(b"INFO:")):
        yield


@contextlib.contextmanager
def output_set_aside(
    *descriptors: int, is_told: Callable[[bytes], bool] = lambda line: False
) -> Iterator[None]:
    """Keeps what libraries print in the `with` block; an error brings it back, on stderr.

    Ctrl-C does not: it is no error of theirs.

    Args:
        descriptors: of the files that they print to: 1 is stdout, 2 is stderr; those that are
            closed are left alone.
        is_told: which of the lines are printed when the block ends well.
    """
    with _output_lock:
        _flush()
        kept = {number: os.dup(number) for number in descriptors if _is_open(number)}
        with _anonymous_file() as aside:
            told = is_told
            for number in kept:
                os.dup2(aside.fileno(), number)
            try:
                yield
            except Exception:
                told = bool  # every line
                raise
            finally:
                _flush()
                for number, former in kept.items():
                    os.dup2(former, number)
                    os.close(former)
                aside.seek(0)
                lines = b"".join(line for line in aside.read().splitlines(True) if told(line))
                if lines and _is_open(2):
                    os.write(2, lines)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
