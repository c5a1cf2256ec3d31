"""Folders that commands write to and that may hold files of others, which stay as they are."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from mobilenetdet.files.atomic_write import (
    atomic_write,
    remove_leftovers,
    remove_temporary,
    sync,
    temporary_path,
)
from mobilenetdet.files.folder_lock import folder_lock
from mobilenetdet.files.names import check_file_name

# One line of JSON a file: name, size, CRC-32. A line is there before its file is, so that a kill
# makes no own file a foreign one; until then an earlier line of that name holds.
MANIFEST_FILE = ".mobilenetdet"


class _Content(NamedTuple):
    """What a file held when it was written."""

    size: int
    checksum: int


def refuse_link(folder: str | os.PathLike[str]) -> None:
    """Refuses a link in the place of a folder of a run: a run may come from a stranger.

    Raises:
        FileExistsError: it is one.
    """
    if os.path.islink(folder):
        raise FileExistsError(
            f"{folder} is a link to another folder, in which nothing is written; remove it, or "
            "name another place"
        )


class OutputFolder:
    """A folder whose own files are known by a manifest in it.

    A file counts as own while it is as it was written, now or before. Only own files are replaced
    and removed; another file of the same name is refused, and any other file is left alone. One
    process writes at a time, see `locked`.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Describes a folder, which need not be there yet.

        Args:
            path: of the folder.
            overwrite: replaces files of others that have the same name; it removes none.

        Raises:
            FileExistsError: something else has the name of the list of own files.
        """
        self.path, self._overwrite = Path(path), overwrite
        self._contents = self._read_manifest()

    @contextlib.contextmanager
    def locked(self, *, wait: bool = False) -> Iterator[OutputFolder]:
        """Keeps other processes from writing in the folder; `writing` and `replacing` do, too.

        Args:
            wait: waits for another writer instead of refusing.

        Raises:
            FileExistsError: another process is writing there; names it.
        """
        with folder_lock(self.path, wait=wait) as is_outermost:
            if is_outermost:  # another may have written since
                self._contents = self._read_manifest()
            yield self

    @classmethod
    def of_run(cls, path: str | os.PathLike[str]) -> OutputFolder:
        """Describes a folder in a run that is for nothing else, so that files in it are replaced.

        Raises:
            FileExistsError: it is a link.
        """
        refuse_link(path)
        return cls(path, overwrite=True)

    def refuse_foreign(self, names: Iterable[str]) -> None:
        """Checks that files may be written; call it before long work.

        Args:
            names: paths inside the folder.

        Raises:
            FileExistsError: one is there and not an own one, or in a folder that is a link to
                another; names it and the remedy.
            ValueError: a name leads out of the folder, or to a hidden file.
        """
        for name in names:
            self._check(name)
            path = self.path / name
            if link := self._link_to(name):
                refuse_link(link)
            if path.exists() and not path.is_file() and not path.is_dir():
                raise FileExistsError(
                    f"{path} is no regular file but a pipe or a device, which is not replaced; "
                    "name another place"
                )
            if os.path.lexists(path) and not self._overwrite and not self.is_own(name):
                raise FileExistsError(
                    f"{path} is there, and not as this program has written it; move it away, name "
                    "another place, or replace it with --overwrite"
                )

    def is_own(self, name: str) -> bool:
        """Returns whether a file was written through this class, and has not changed since."""
        path, written = self.path / name, self._contents.get(name)
        if not written or self._link_to(name) or not path.is_file():
            return False
        return _content_of(path) in written

    def own_names(self) -> list[str]:
        """Returns the names of the files that are as they were written."""
        return sorted(filter(self.is_own, self._contents))

    @contextlib.contextmanager
    def writing(self, name: str, *, durable: bool = True) -> Iterator[Path]:
        """Gives the path of a file to write; it takes its place when the `with` block ends well.

        Args:
            name: of the file, a path inside the folder.
            durable: see `atomic_write`.

        Yields:
            Where to write: a file of this name in a temporary folder.

        Raises:
            FileExistsError: see `refuse_foreign`.
            ValueError: see `refuse_foreign`; names come out of data, which may be hostile.
        """
        with self.locked():
            self.refuse_foreign([name])
            target = self.path / name
            with self._staging() as staging:
                staged = staging / name
                staged.parent.mkdir(parents=True, exist_ok=True)
                try:
                    yield staged
                except OSError as error:
                    if error.errno and not error.filename:  # a full disk names no file
                        error.filename = str(staged)
                    raise
                self._record({name: staged}, durable=durable)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(staged, target)
            if durable:
                sync(target.parent)

    @contextlib.contextmanager
    def replacing(self, pattern: str) -> Iterator[Path]:
        """Gives an empty folder to fill; its files take their places when the `with` block ends.

        Until then the old files stay. Afterwards own files that match the pattern and were not
        written again are gone.

        Args:
            pattern: of the files that one call writes, such as "*.jpg".

        Raises:
            FileExistsError: see `refuse_foreign`; no file has changed.
        """
        with self.locked(), self._staging() as staging:
            yield staging
            self._move_in(staging, pattern)

    def discard(self, names: Iterable[str]) -> None:
        """Removes own files that are no longer true; files of others stay."""
        with self.locked():
            for name in filter(self.is_own, names):
                (self.path / name).unlink()

    def disown(self, names: Iterable[str]) -> None:
        """Leaves own files to the user: from now on they are replaced only if asked to."""
        with self.locked():
            for name in names:
                self._contents.pop(name, None)
            self._rewrite_manifest(())
            if not self._contents:
                (self.path / MANIFEST_FILE).unlink()

    @contextlib.contextmanager
    def _staging(self) -> Iterator[Path]:
        """Makes a temporary folder; errors of the system name the files that go from it here."""
        remove_leftovers(self.path)
        staging = temporary_path(self.path / "new")
        staging.mkdir()
        try:
            yield staging
        except OSError as error:
            named = Path(os.fsdecode(error.filename or staging))
            if error.errno and named.is_relative_to(staging):  # a full disk names no file
                error.filename = str(self.path / named.relative_to(staging))
            raise
        finally:
            remove_temporary(staging)

    def _move_in(self, staging: Path, pattern: str) -> None:
        files = sorted(path for path in staging.rglob("*") if path.is_file())
        new = {path.relative_to(staging).as_posix(): path for path in files}
        self.refuse_foreign(new)
        self._record(new)
        for name, path in new.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, self.path / name)
        for name in filter(self.is_own, set(fnmatch.filter(self._contents, pattern)) - set(new)):
            (self.path / name).unlink()
        self._rewrite_manifest(new)
        sync(self.path)

    def _link_to(self, name: str) -> Path | None:
        """Returns the folder on the way to a file that is a link, if there is one."""
        *parents, _ = PurePosixPath(name).parents
        return next((self.path / each for each in parents if (self.path / each).is_symlink()), None)

    def _check(self, name: str) -> None:
        for part in name.split("/"):
            check_file_name(part, f"{self.path}, file {name!r}")

    def _record(self, files: Mapping[str, Path], *, durable: bool = True) -> None:
        """Lists files by their name in the folder, before they go there."""
        # Lines are added, so that a folder of thousands of files is not listed again for each.
        lines = []
        for name, path in files.items():
            content = _content_of(path)
            self._contents.setdefault(name, []).append(content)
            lines.append(json.dumps([name, *content]) + "\n")
        try:
            with (self.path / MANIFEST_FILE).open("ab+") as file:
                if file.tell() and not _ends_a_line(file):  # a full disk has cut it off
                    lines.insert(0, "\n")
                file.write("".join(lines).encode())
        except OSError as error:
            error.filename = str(self.path / MANIFEST_FILE)  # a full disk names no file
            raise
        if durable:
            sync(self.path / MANIFEST_FILE)

    def _rewrite_manifest(self, settled: Iterable[str]) -> None:
        """Leaves out files that are gone, and what files that are settled held before."""
        self._contents = {
            name: contents for name, contents in self._contents.items() if self._is_there(name)
        }
        for name in settled:
            self._contents[name] = self._contents[name][-1:]
        lines = [
            json.dumps([n, *content]) for n, all_ in self._contents.items() for content in all_
        ]
        with atomic_write(self.path / MANIFEST_FILE) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def _is_there(self, name: str) -> bool:
        return (self.path / name).is_file()

    def _read_manifest(self) -> dict[str, list[_Content]]:
        contents: dict[str, list[_Content]] = {}
        path = self.path / MANIFEST_FILE
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise FileExistsError(f"{path} is no regular file, and lists no files; remove it")
        lines = (
            path.read_text(encoding="utf-8", errors="replace").splitlines()
            if path.is_file()
            else []
        )
        for line in lines:
            # A line that was cut off by a power cut names no file: that one counts as another's.
            # Neither does one with a path out of the folder, whose file would be removed.
            with contextlib.suppress(ValueError, TypeError, AttributeError, RecursionError):
                name, size, checksum = json.loads(line)
                self._check(name)
                contents.setdefault(name, []).append(_Content(size, checksum))
        return contents


def _ends_a_line(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read() == b"\n"


def _content_of(path: Path) -> _Content:
    content = path.read_bytes()
    return _Content(len(content), zlib.crc32(content))
