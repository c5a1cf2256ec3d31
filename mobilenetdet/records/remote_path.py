"""Records in a bucket: paths such as gs://bucket/records, read by TensorFlow's file systems.

TensorFlow's wheels reach gs:// and file://; tensorflow-io adds s3:// and others where it was
imported before.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from mobilenetdet.system.quiet import ensure_tensorflow

# One letter is a drive of Windows.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(path: str | os.PathLike[str]) -> bool:
    """Whether a path names a file system: gs://bucket/records does, data/KITTI does not."""
    return _URL.match(os.fspath(path)) is not None


def records_path(path: str | os.PathLike[str]) -> RecordsPath:
    """Returns a local or a remote path; both have what readers of records need."""
    return RemotePath(os.fspath(path)) if is_url(path) else Path(path)


class RemotePath(os.PathLike[str]):
    """The part of `pathlib.Path` that readers of records need, on `tf.io.gfile`.

    Every method raises `OSError` with the URL where the file system is not there, asks for a
    permission or does not answer.
    """

    def __init__(self, url: str) -> None:
        """Takes the URL as it is; a slash at its end makes no difference."""
        self.url = url.rstrip("/")

    def __fspath__(self) -> str:
        """The URL."""
        return self.url

    __str__ = __fspath__

    def __truediv__(self, name: str) -> RemotePath:
        """The path of a file in this folder."""
        return RemotePath(f"{self.url}/{name}")

    @property
    def name(self) -> str:
        """The last part."""
        return self.url.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The last part without its suffix."""
        return self.name.rpartition(".")[0] or self.name

    def is_file(self) -> bool:
        """Whether there is such a file."""
        gfile = _gfile()
        with _as_os_errors(self.url):
            return gfile.exists(self.url) and not gfile.isdir(self.url)

    def num_bytes(self) -> int:
        """The size of the file."""
        with _as_os_errors(self.url):
            return _gfile().stat(self.url).length

    def file_size(self) -> int | None:
        """The size of the file, None where there is none; asks once."""
        gfile = _gfile()
        with contextlib.suppress(FileNotFoundError), _as_os_errors(self.url):
            found = gfile.stat(self.url)
            return None if found.is_directory else found.length
        return None

    def read_bytes(self) -> bytes:
        """The content of the file."""
        with _as_os_errors(self.url), _gfile().GFile(self.url, "rb") as file:
            return file.read()

    @contextlib.contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Opens the file for reading; it is closed with the `with` block."""
        with _as_os_errors(self.url), _gfile().GFile(self.url, "rb") as file:
            yield cast(BinaryIO, file)


# Of a folder of records, or of a file in it.
RecordsPath = Path | RemotePath


def open_binary(
    path: str | os.PathLike[str], *, buffering: int = -1
) -> contextlib.AbstractContextManager[BinaryIO]:
    """Opens a local or remote file for reading.

    Args:
        path: of the file.
        buffering: as for `open`; TensorFlow's file systems have their own.

    Raises:
        OSError: it is not there, or cannot be read.
    """
    if is_url(path):
        return RemotePath(os.fspath(path)).open()
    return open(path, "rb", buffering=buffering)  # noqa: SIM115 the caller closes


def num_bytes(path: str | os.PathLike[str]) -> int:
    """Returns the size of a local or remote file.

    Raises:
        OSError: it is not there, or cannot be read.
    """
    return RemotePath(os.fspath(path)).num_bytes() if is_url(path) else os.stat(path).st_size


def file_size(path: RecordsPath) -> int | None:
    """Returns the size of a local or remote file, None where there is none.

    Raises:
        OSError: it cannot be looked at.
    """
    if isinstance(path, RemotePath):
        return path.file_size()
    return path.stat().st_size if path.is_file() else None


def _gfile() -> Any:
    # Not at the top: local records are read and converted without TensorFlow.
    ensure_tensorflow(find_devices=False)
    import tensorflow as tf

    return tf.io.gfile


@contextlib.contextmanager
def _as_os_errors(url: str) -> Iterator[None]:
    """Turns TensorFlow's errors into those of `open`, with what can be done."""
    ensure_tensorflow(find_devices=False)
    import tensorflow as tf

    scheme = url.partition("://")[0]
    try:
        yield
    except tf.errors.NotFoundError:
        raise FileNotFoundError(f"{url} does not exist") from None
    except tf.errors.UnimplementedError:
        raise OSError(
            f"{url}: this TensorFlow has no file system for {scheme}://; copy the folder to a "
            "local disk and name that, or train from Python after `import tensorflow_io`"
        ) from None
    except tf.errors.OpError as error:
        reason = error.message.splitlines()[0]
        raise OSError(
            f"{url} cannot be read ({reason}); check the network and that this machine may read "
            "the bucket"
        ) from None
