"""TensorFlow without its start-up messages."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


def import_tensorflow_quietly() -> None:
    """Imports TensorFlow and looks for its devices, with what its libraries print set aside.

    TF_CPP_MIN_LOG_LEVEL does not reach the lines that are printed before TensorFlow's log is
    initialised. Where Keras runs on another backend, TensorFlow only reads the input: it is
    imported, and leaves the devices alone.
    """
    # 3 hides the notes that oneDNN prints as errors; what fails raises an exception as well.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _stderr_set_aside():
        try:
            import keras
            import tensorflow as tf
        except ImportError:
            return
        if keras.backend.backend() != "tensorflow":
            return  # a context of TensorFlow's would keep the memory of the GPU
        tf.config.list_physical_devices()
        tf.constant(0)  # makes the context, which looks for a GPU


@contextlib.contextmanager
def _stderr_set_aside() -> Iterator[None]:
    """Sends file descriptor 2 to a file; an exception brings its content back."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(kept, aside.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
