"""Folders that commands write to and that may hold files of others, which stay as they are."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mobilenetdet.atomic_write import (
    atomic_write,
    remove_leftovers,
    remove_temporary,
    sync,
    temporary_path,
)
from mobilenetdet.file_names import check_file_name
from mobilenetdet.folder_lock import folder_lock

# One line of JSON a file that was written: name, size, CRC-32.
MANIFEST_FILE = ".mobilenetdet"


class _Content(NamedTuple):
    """What a file held when it was written."""

    size: int
    checksum: int


class OutputFolder:
    """A folder whose own files are known by a manifest in it.

    A file counts as own while it is as it was written. Only own files are replaced and removed;
    another file of the same name is refused, and any other file is left alone. One process writes
    at a time, see `locked`.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Describes a folder, which need not be there yet.

        Args:
            path: of the folder.
            overwrite: replaces files of others that have the same name; it removes none.
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

        Unless it is a link: where that leads, files may be of others.
        """
        return cls(path, overwrite=not os.path.islink(path))

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
                raise FileExistsError(
                    f"{link} is a link to another folder, in which nothing is written; remove it, "
                    "or name another folder with --output_dir"
                )
            if os.path.lexists(path) and not self._overwrite and not self.is_own(name):
                raise FileExistsError(
                    f"{path} is there, and not as this program has written it; move it away, name "
                    "another folder with --output_dir, or replace it with --overwrite"
                )

    def is_own(self, name: str) -> bool:
        """Returns whether a file was written through this class, and has not changed since."""
        path, written = self.path / name, self._contents.get(name)
        if written is None or self._link_to(name) or not path.is_file():
            return False
        return written == _content_of(path)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Gives the path of a file to write in the `with` block, and takes it for own afterwards.

        Raises:
            FileExistsError: see `refuse_foreign`.
            ValueError: see `refuse_foreign`; names come out of data, which may be hostile.
        """
        with self.locked():
            self.refuse_foreign([name])
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            yield path
            self._record([name])

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
        with self.locked():
            remove_leftovers(self.path)
            staging = temporary_path(self.path / "new")
            staging.mkdir()
            try:
                yield staging
                self._move_in(staging, pattern)
            finally:
                remove_temporary(staging)

    def discard(self, names: Iterable[str]) -> None:
        """Removes own files that are no longer true; files of others stay."""
        with self.locked():
            for name in filter(self.is_own, names):
                (self.path / name).unlink()

    def _move_in(self, staging: Path, pattern: str) -> None:
        files = sorted(path for path in staging.rglob("*") if path.is_file())
        names = [path.relative_to(staging).as_posix() for path in files]
        self.refuse_foreign(names)
        stale = set(fnmatch.filter(self._contents, pattern)) - set(names)
        for path, name in zip(files, names, strict=True):
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, self.path / name)
        self._record(names)
        for name in filter(self.is_own, stale):
            (self.path / name).unlink()
        self._rewrite_manifest()
        sync(self.path)

    def _link_to(self, name: str) -> Path | None:
        """Returns the folder on the way to a file that is a link, if there is one."""
        *parents, _ = PurePosixPath(name).parents
        return next((self.path / each for each in parents if (self.path / each).is_symlink()), None)

    def _check(self, name: str) -> None:
        for part in name.split("/"):
            check_file_name(part, f"{self.path}, file {name!r}")

    def _record(self, names: Iterable[str]) -> None:
        # Lines are added, so that a folder of thousands of files is not listed again for each.
        with (self.path / MANIFEST_FILE).open("a", encoding="utf-8") as file:
            for name in names:
                self._contents[name] = _content_of(self.path / name)
                file.write(json.dumps([name, *self._contents[name]]) + "\n")

    def _rewrite_manifest(self) -> None:
        self._contents = {
            name: content
            for name, content in self._contents.items()
            if (self.path / name).is_file()
        }
        lines = [json.dumps([name, *content]) for name, content in self._contents.items()]
        with atomic_write(self.path / MANIFEST_FILE) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def _read_manifest(self) -> dict[str, _Content]:
        contents = {}
        path = self.path / MANIFEST_FILE
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
                contents[name] = _Content(size, checksum)
        return contents


def _content_of(path: Path) -> _Content:
    content = path.read_bytes()
    return _Content(len(content), zlib.crc32(content))
