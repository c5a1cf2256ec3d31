"""Text files of users, read so that a message can name file and line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def read_text(path: str | os.PathLike[str]) -> str:
    """Reads a UTF-8 file, with or without a byte order mark.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no UTF-8 text; names file, line and byte.
    """
    content = Path(path).read_bytes()
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise ValueError(
            f"{path}:{line}: byte 0x{byte:02x} is no UTF-8 text; save the file as UTF-8"
        ) from None


def read_json(path: str | os.PathLike[str], remedy: str) -> Any:
    """Reads a JSON file.

    Args:
        path: of the file.
        remedy: what helps where it is damaged, for the message.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no JSON; names file and place, and the remedy.
    """
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged ({error}); {remedy}") from None
