"""Text and JSON files: read so that a message can name file and line, written whole."""

from __future__ import annotations

import codecs
import json
import os
import stat
from pathlib import Path
from typing import Any

from mobilenetdet.files.atomic_write import atomic_write

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: str | os.PathLike[str], what: str = "text file") -> str:
    """Reads a UTF-8 file; the byte order mark that Windows puts before it is left out.

    Args:
        path: of the file.
        what: it should be, for the message: "KITTI label file".

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is in another encoding, or no text; names file, line and byte.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # a device would never end
        raise ValueError(f"{path} is no regular file; is this a {what}?")
    with open(path, "rb", buffering=0) as file:  # thousands of labels are read by this
        content = file.readall()
    if content.startswith(_UTF16) or _alternates_with_zeros(content):
        raise ValueError(f"{path}: the text is in UTF-16; save it as UTF-8")
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise ValueError(
            f"{path}:{line}: byte 0x{byte:02x} is no UTF-8 text; is this a {what}? If so, save it "
            "as UTF-8"
        ) from None
    return text.replace("\r\n", "\n") if "\r" in text else text


def why_no_file(path: str | os.PathLike[str]) -> str:
    """Says why a path is none of a file that can be read, as the end of a sentence.

    Example: of a path where nothing is, "does not exist".
    """
    if not os.path.exists(path):
        return "does not exist"
    if os.path.isdir(path):
        return "is a folder; name the file in it"
    return "is no regular file but a pipe or a device"


def read_json(path: str | os.PathLike[str], remedy: str) -> Any:
    """Reads a JSON file.

    Args:
        path: of the file.
        remedy: what helps where it is damaged, for the message.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no JSON; names file and place, and the remedy.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # numbers of 5,000 digits; 1,000 brackets
        raise ValueError(f"{path} is damaged ({error}); {remedy}") from None


def write_json(path: Path, values: Any, *, indent: int | None = 2, durable: bool = True) -> None:
    """Writes a JSON file; a reader sees the old one or the new one, never a part.

    Args:
        path: of the file.
        values: what JSON can hold.
        indent: spaces a level; None puts all on one line.
        durable: see `atomic_write`.
    """
    text = json.dumps(values, indent=indent)
    with atomic_write(path, durable=durable) as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")


def _alternates_with_zeros(content: bytes) -> bool:
    """Whether every other byte is 0, as in UTF-16 without a mark."""
    start = content[:40]
    if 0 not in start or len(start) < 2:
        return False
    return any(not any(start[zeros::2]) and all(start[1 - zeros :: 2]) for zeros in (0, 1))
