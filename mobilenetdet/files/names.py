"""Names that become names of files: which are safe, and how no two are the same."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from mobilenetdet.system.terminal_text import is_control

# File systems allow 255 bytes; what is written adds an ending, and may be written twice.
MAX_BYTES = 200
# Between the name of a split and .json, in the manifest of an unfinished conversion.
UNFINISHED = ".partial"


def check_file_name(name: str, source: str, what: str = "name") -> str:
    """Returns a name out of data if files may be named after it: one component of a path.

    Args:
        name: such as the id of a frame, out of a list, a record or an archive.
        source: where it stands, for the message.
        what: to call it, for the message.

    Raises:
        ValueError: it is empty or too long, begins with a dot, or holds a separator of folders or
            a control character.

    Example: "000021" is safe, "../000021" is not.
    """
    fault = _fault(name)
    if fault:
        raise ValueError(
            f"{source}: {_shortened(name)!r} is no {what}: it {fault}, and files are named after "
            "it; names hold neither / nor \\ and begin with no dot"
        )
    return name


def check_split_name(split: str, source: str) -> str:
    """Returns the name of a split if lists and records may be named after it.

    Args:
        split: such as train, out of an option, a config or a manifest.
        source: the folder of the lists or records, for the message.

    Raises:
        ValueError: it is not safe, see `check_file_name`, or ends as unfinished manifests do.
    """
    check_file_name(split, source, "name of a split")
    if split.lower().endswith(UNFINISHED):
        raise ValueError(
            f"{source}: {split!r} is no name of a split: the records of an unfinished conversion "
            f"are marked with {UNFINISHED}; rename it"
        )
    return split


def refuse_repeated_paths(paths: Sequence[Path], what: str, remedy: str) -> None:
    """Refuses a file or folder that is named twice, in one spelling or in two.

    Args:
        paths: such as those of an option.
        what: to call them, such as "run".
        remedy: what to do instead.

    Raises:
        ValueError: one is; names it.
    """
    places = [path.resolve() for path in paths]
    for number, (path, place) in enumerate(zip(paths, places, strict=True)):
        if place in places[:number]:
            raise ValueError(f"the {what} {path} is named twice; {remedy}")


def to_path(path: str | os.PathLike[str], what: str) -> Path:
    """Returns an argument as a path.

    Args:
        path: text or a path.
        what: the name of the argument, for the message.

    Raises:
        ValueError: it is neither.
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"{what} is {_shortened(repr(path))}; it must be one path, such as 'a/b'")
    return Path(path)


def utf8_text(path: str | os.PathLike[str]) -> str:
    r"""Returns a path as text that any file can hold: bytes that are no UTF-8 are spelled.

    Example: a name of the bytes "a", 0xff is the five characters `a\xff`.
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def refuse_other_than_utf8(path: Path) -> None:
    """Refuses a path that not all libraries can write to.

    Raises:
        ValueError: it holds bytes that are no UTF-8; spells them.
    """
    if (text := utf8_text(path)) != str(path):
        raise ValueError(f"{text}: this name is no UTF-8 text; name another")


def unique_name(name: str, taken: Collection[str], *, first: int = 1) -> str:
    """Returns the name, or with the first counter that makes it another than all that are taken.

    Args:
        name: is tried as it is first.
        taken: names that are in use, in lower case: some file systems do not tell case apart.
        first: counter to begin with; 1 stands for the name as it is.

    Example: "road" beside {"road", "road_2"} is "road_3".
    """
    result, count = name if first <= 1 else f"{name}_{first}", max(1, first)
    while result.lower() in taken:
        count += 1
        result = f"{name}_{count}"
    return result


def _fault(name: str) -> str:
    if not name or not name.strip():
        return "is empty"
    if name.startswith("."):
        return "begins with a dot"
    if any(mark in name for mark in "/\\"):
        return "holds a separator of folders"
    if any(map(is_control, name)):
        return "holds a control character"
    if len(name.encode(errors="surrogateescape")) > MAX_BYTES:
        return f"is longer than {MAX_BYTES} bytes"
    return ""


def _shortened(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:57]}..."
