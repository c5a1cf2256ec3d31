"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a temporary name to write to, and renames it when the `with` block ends well.

    A reader sees the old file or the new one, never a part. If the block fails, the old file stays
    and the temporary one goes. Missing folders are made.

    Args:
        path: of the file. A leading dot and a trailing `.PID.tmp` mark the temporary one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
