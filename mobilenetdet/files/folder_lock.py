"""One writer at a time in a folder; whoever is gone loses the lock.

The lock is the file `.mobilenetdet.lock` with the name of its process in it, locked by the
operating system as well: that lock ends with the process, however it ends. Threads are told apart
by their context: one that was started in a copy of the context that holds the lock may write, too.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from mobilenetdet.files.atomic_write import MAX_PID, is_running

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = ".mobilenetdet.lock"
_POLL_SECONDS = 0.5
# Windows has neither.
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
# Names the boot of a kernel: containers on one machine have hosts of their own, and share it.
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Owner:
    """Who writes in a folder.

    Attributes:
        pid: of the process.
        host: name of its machine.
        boot: id of the boot of that machine, or "".
        since: local time, as `datetime.isoformat` has it.
    """

    pid: int
    host: str
    boot: str
    since: str

    def __str__(self) -> str:
        """Process, machine and time."""
        since = datetime.fromisoformat(self.since)
        today = since.date() == datetime.now().date()
        when = since.strftime("%H:%M" if today else "%Y-%m-%d %H:%M")
        return f"process {self.pid} on {self.host} is writing here since {when}"

    @property
    def is_elsewhere(self) -> bool:
        """Whether it runs on another machine, where nothing is known of it."""
        return self.host != socket.gethostname() and (not self.boot or self.boot != _boot())


@dataclass
class _Held:
    """A lock of this process, and how many blocks want it."""

    descriptor: int
    since: str
    count: int = 1


_held: dict[str, _Held] = {}
_guard = threading.Lock()
# The folders that the current context has locked.
_own: contextvars.ContextVar[frozenset[str]] = contextvars.ContextVar("own", default=frozenset())


@contextlib.contextmanager
def folder_lock(folder: Path, *, wait: bool = False) -> Iterator[bool]:
    """Keeps other processes from writing in a folder during the `with` block.

    Blocks may be nested. The folder is made, and removed again if it was made here
    and the block fails and leaves it empty.

    Args:
        folder: to write in.
        wait: waits for another writer, and says so, instead of refusing.

    Yields:
        Whether this is the outermost block: another process may have written before it.

    Raises:
        FileExistsError: another process or thread is writing there, which is named; or the lock is
            no regular file.
    """
    key = os.path.realpath(folder)
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_outermost = _enter(folder, key, wait)
        before = _own.get()
        _own.set(before | {key})
        try:
            yield is_outermost
        finally:
            _own.set(before)
            _leave(folder, key)
    except BaseException:
        for path in missing:
            with contextlib.suppress(OSError):  # it holds something by now, or was not made
                path.rmdir()
        raise


def _enter(folder: Path, key: str, wait: bool) -> bool:
    told = False
    while True:
        with _guard:
            if key in _own.get():
                _held[key].count += 1
                return False
            taken = _held_by_us(key) or _take(folder / LOCK_FILE)
            if isinstance(taken, int):
                _held[key] = _Held(taken, _now())
                return True
        if not wait:
            raise FileExistsError(_refusal(folder, taken))
        if not told:
            print(f"{folder}: {taken or 'another process is writing here'}; waiting for it")
            told = True
        time.sleep(_POLL_SECONDS)


def _held_by_us(key: str) -> Owner | None:
    """Returns this process where another of its threads has locked the folder."""
    held = _held.get(key)
    return Owner(os.getpid(), socket.gethostname(), _boot(), held.since) if held else None


def _leave(folder: Path, key: str) -> None:
    with _guard:
        held = _held[key]
        held.count -= 1
        if held.count:
            return
        del _held[key]
        _let_go(folder / LOCK_FILE, held.descriptor)


def _refusal(folder: Path, owner: Owner | None) -> str:
    text = f"{folder}: {owner or 'another process is writing here'}; wait for its end, or name "
    text += "another folder"
    # Without locks of the system, as on Windows, nobody knows whether the owner is gone.
    if owner is not None and (owner.is_elsewhere or fcntl is None):
        text += f" (if it is gone, remove {folder / LOCK_FILE})"
    return text


def _take(path: Path) -> int | Owner | None:
    """Locks the file; returns its descriptor, or who has locked it as far as that is known."""
    while True:
        descriptor = _open(path)
        try:
            locked = _lock(descriptor)
            owner = _read_owner(descriptor)
            if locked and not _is_at(path, descriptor):  # let go of a moment ago
                os.close(descriptor)
                continue
            if locked is False or (owner is not None and _may_live(owner, locked)):
                os.close(descriptor)
                return owner
        except BaseException:
            with contextlib.suppress(OSError):
                os.close(descriptor)
            raise
        try:
            _write_owner(descriptor)
        except OSError as error:  # such as a full disk
            _let_go(path, descriptor)
            error.filename = error.filename or str(path)
            raise
        return descriptor


def _open(path: Path) -> int:
    """Opens the file of a lock, and neither what a link leads to nor what never ends.

    Raises:
        FileExistsError: something else has its name.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINKS, 0o666)
    except OSError as error:
        if not path.is_symlink():
            raise
        raise FileExistsError(f"{path} is a link, and no lock; remove it") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileExistsError(f"{path} is no regular file, and no lock; remove it")
    return descriptor


def _let_go(path: Path, descriptor: int) -> None:
    """Removes a lock that was taken here, and closes it."""
    # Unlinked while it is locked: who waits for this very file sees that it is gone.
    steps = [lambda: os.unlink(path), lambda: os.close(descriptor)]
    for step in steps if fcntl else reversed(steps):
        with contextlib.suppress(OSError):
            step()


def _may_live(owner: Owner, locked: bool | None) -> bool:
    """Whether the owner may still write, although (or as) the system does not say so."""
    if owner.is_elsewhere:  # locks of network folders may not reach from there to here
        return True
    # Without locks of the system the process number is all there is to go by.
    return locked is None and owner.boot == _boot() and is_running(owner.pid)


def _lock(descriptor: int) -> bool | None:
    """Returns whether the file is ours; None where the file system has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _read_owner(descriptor: int) -> Owner | None:
    """Returns who the file names; None for an empty or damaged one."""
    try:
        owner = Owner(**json.loads(os.read(descriptor, 4096)))
        str(owner)  # with a time that is none it is damaged, too
    except (ValueError, TypeError, RecursionError):
        return None
    if type(owner.pid) is not int or not 0 < owner.pid < MAX_PID:
        return None
    return owner


def _write_owner(descriptor: int) -> None:
    owner = Owner(os.getpid(), socket.gethostname(), _boot(), _now())
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, json.dumps(asdict(owner)).encode())


def _now() -> str:
    return datetime.now().isoformat(timespec="seconds")


def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
