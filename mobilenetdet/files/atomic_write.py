"""Files and folders that are whole or not there."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

# .NAME.HOST.PID.TOKEN.tmp; HOST is a checksum, since names of machines may be long.
_TEMPORARY = re.compile(r"\..*\.(?P<host>[0-9a-f]{8})\.(?P<pid>\d+)\.[0-9a-f]{8}\.tmp", re.DOTALL)
_TEMPORARY_IN_TEXT = re.compile(
    r"(?<![^/\s'\"])\.(?P<name>[^/\n'\"]+)\.[0-9a-f]{8}\.\d+\.[0-9a-f]{8}\.tmp"
)
# File systems allow 255 bytes; what is added takes some 40.
_MAX_NAME = 100
# What a disk, or the system, says that takes no more.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Numbers of processes are below.
MAX_PID = 2**31
# Folders that this process has looked through: a folder of thousands of files is read once.
_cleaned: set[str] = set()


@contextlib.contextmanager
def atomic_write(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Gives a temporary name to write to, and renames it when the `with` block ends well.

    A reader sees the old file or the new one, never a part. If the block fails, the old file stays
    and the temporary one goes. Missing folders are made. What processes that were killed have left
    in the folder is removed.

    Args:
        path: of the file.
        durable: whether the file survives a power cut from then on. It costs some milliseconds, so
            thousands of files that can be made again had better do without.

    Raises:
        OSError: from the block or the system; names `path` where it would name no file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    temporary = temporary_path(path)
    try:
        yield temporary
        if durable:
            sync(temporary)
        os.replace(temporary, path)
        if durable:
            sync(path.parent)
    except OSError as error:
        if error.errno and error.filename in (None, str(temporary), temporary):
            error.filename = str(path)  # a full disk names no file, and the user knows this one
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Gives a temporary folder to fill, and renames it when the `with` block ends well.

    Until then nothing is there; if the block fails, the temporary folder goes. What processes that
    were killed have left beside it is removed.

    Args:
        path: of the folder, which is absent or empty.

    Raises:
        FileExistsError: it holds something, or is a file.
        OSError: from the block or the system; names files as they would be in the folder.
    """
    path = Path(os.path.abspath(path))
    refuse_filled(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    temporary = temporary_path(path)
    temporary.mkdir()
    try:
        yield temporary
        refuse_filled(path)
        if path.is_dir():  # not every system renames to what is there
            path.rmdir()
        os.rename(temporary, path)
        sync(path.parent)
    except OSError as error:
        if error.errno in _FULL and not error.filename:  # it names no file
            error.filename = str(path)
        elif error.errno and isinstance(error.filename, str | os.PathLike):
            error.filename = os.fspath(error.filename).replace(str(temporary), str(path))
        raise
    finally:
        if temporary.exists():
            remove_temporary(temporary)


def refuse_filled(folder: Path) -> None:
    """Refuses what is no new or empty folder.

    Raises:
        FileExistsError: it holds something, is a file or a link, or cannot be replaced.
    """
    if folder.is_symlink():
        raise FileExistsError(f"{folder} is a link; name a new folder")
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; name a new folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; name a new folder")
    if folder.is_dir() and (os.path.ismount(folder) or folder.resolve() == Path.cwd()):
        # Another folder takes its place, and who works in the old one would be nowhere.
        raise FileExistsError(
            f"{folder} is where a file system begins, or the working directory; name a new folder "
            "in it"
        )


def temporary_path(path: Path) -> Path:
    """Returns a name that no other writer uses, and that `remove_leftovers` knows.

    Args:
        path: what the temporary file or folder is going to be; it lies beside it.
    """
    owner = f"{_host()}.{os.getpid()}.{secrets.token_hex(4)}"
    return path.with_name(f".{path.name[:_MAX_NAME]}.{owner}.tmp")


def final_names(text: str) -> str:
    """Returns a message with temporary names replaced by those of the files that they become.

    Example: of "runs/.last.h5.0123abcd.4711.89abcdef.tmp is full" it is "runs/last.h5 is full".
    """
    return _TEMPORARY_IN_TEXT.sub(r"\g<name>", text)


def remove_leftovers(folder: Path) -> None:
    """Removes what processes of this machine that are gone have left half written in a folder.

    A folder is looked through once in the life of a process.
    """
    key = os.path.realpath(folder)
    if key in _cleaned:
        return
    _cleaned.add(key)
    for path in folder.iterdir():
        match = _TEMPORARY.fullmatch(path.name)
        if match and match["host"] == _host() and not is_running(int(match["pid"])):
            remove_temporary(path)


def remove_temporary(path: Path) -> None:
    """Removes a file or folder that `temporary_path` has named; any other is left alone."""
    if not _TEMPORARY.fullmatch(path.name):
        raise ValueError(f"{path} is no temporary file or folder of this program")
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Waits until a file, or the list of files in a folder, has reached the disk."""
    if os.name != "posix" and path.is_dir():  # Windows cannot open folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def is_running(pid: int) -> bool:
    """Returns whether a process of this machine is running; where that cannot be told, True."""
    if os.name != "posix":  # signal 0 would end the process there
        return True
    if not 0 < pid < MAX_PID:  # written by something else
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Whether a process has ended and nobody has asked for its exit code, as in some containers."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    # PID (NAME) STATE ...; a name may hold anything.
    return stat.rpartition(")")[2].split()[0] in ("Z", "X")
