"""A file that the user of a command has named for its output."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mobilenetdet.files.output_folder import OutputFolder


def check_output_file(path: Path, *, overwrite: bool) -> None:
    """Refuses before the work what would fail behind it.

    Raises:
        FileExistsError: it is a folder, or there is such a file that is none of this program's and
            is not to be replaced.
    """
    if path.is_dir():
        raise FileExistsError(f"{path} is a folder; name a file in it")
    OutputFolder(path.parent, overwrite=overwrite).refuse_foreign([path.name])


@contextlib.contextmanager
def output_file(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Gives a path to write to in the `with` block; the file is there when that ends well.

    Raises:
        FileExistsError: see `check_output_file`.
    """
    check_output_file(path, overwrite=overwrite)
    with OutputFolder(path.parent, overwrite=overwrite).writing(path.name) as temporary:
        yield temporary
