"""What a user names, resolved to files, cameras and URLs."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mobilenetdet.files.output_folder import MANIFEST_FILE
from mobilenetdet.media.address import IMAGE_SUFFIXES, Address, parse_address
from mobilenetdet.media.video import VIDEO_SUFFIXES

# Pictures and videos of kinds that are not read. iPhones take the first.
_UNREAD_IMAGES = (".heic", ".heif", ".avif", ".gif", ".jp2", ".jxl", ".dng", ".cr2", ".nef", ".arw")
_UNREAD_VIDEOS = (".3gp", ".wmv", ".flv", ".ts", ".mts")


def find_media(inputs: Sequence[str], *, recursive: bool = False) -> list[Path | Address]:
    """Resolves what a user names to files, cameras, streams and URLs.

    Args:
        inputs: as for `find_files`; or numbers of cameras, or URLs.
        recursive: see `find_files`.

    Raises:
        FileNotFoundError: an input leads to no file.
        ValueError: a named file is neither image nor video; or see `parse_address`.
    """
    found: list[Path | Address] = []
    for name in inputs:
        address = parse_address(name)
        found += [address] if address else _resolve(name, recursive)
    return list(dict.fromkeys(found))


def find_files(inputs: Sequence[str], *, recursive: bool = False) -> list[Path]:
    """Resolves what a user names to files.

    Args:
        inputs: images, videos, folders (their images and videos) and globs.
        recursive: takes the folders in folders, too, but not those that this program has written:
            its overlays are no input of the next run.

    Raises:
        FileNotFoundError: an input leads to no file.
        PermissionError: a folder may not be read.
        ValueError: a named file is neither image nor video.
    """
    return list(dict.fromkeys(path for name in inputs for path in _resolve(name, recursive)))


def describe_unread(inputs: Sequence[str], *, recursive: bool = False) -> list[str]:
    """Counts pictures and videos in folders that are left out, since their kind is not read.

    Args:
        inputs: as for `find_files`.
        recursive: see `find_files`.

    Returns:
        A line for each folder with such files: "trip: left out are 1 .gif, 2 .heic (not read;
        convert them to JPEG or MP4)".
    """
    folders = dict.fromkeys(path for path in map(Path, inputs) if path.is_dir())
    kinds = {folder: _unread_kinds(folder, recursive) for folder in folders}
    return [f"{folder}: left out are {each}" for folder, each in kinds.items() if each]


def _unread_kinds(folder: Path, recursive: bool) -> str:
    """Counts files of kinds that are not read, and says what helps; "" if there are none."""
    kinds = Counter(path.suffix.lower() for path in _in_folder(folder, recursive, _is_unread))
    named = ", ".join(f"{count:,} {suffix}" for suffix, count in sorted(kinds.items()))
    return f"{named} (not read; convert them to JPEG or MP4)" if kinds else ""


def _resolve(name: str, recursive: bool) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        found = sorted(_in_folder(path, recursive, _is_known))
        wanted = f"no image or video in the folder {path}"
        if kinds := _unread_kinds(path, recursive):
            wanted += f" but {kinds}"
        if not recursive:
            wanted += "; --recursive looks into the folders in it" if _has_folders(path) else ""
    elif path.is_file():
        if not _is_known(path):
            known = " ".join(IMAGE_SUFFIXES + VIDEO_SUFFIXES)
            hint = "; convert it to JPEG or MP4" if _is_unread(path) else ""
            what = "is not read" if hint else "is neither an image nor a video"
            raise ValueError(f"{path} {what}; known are {known}{hint}")
        return [path]
    else:
        found = sorted(path for path in _matching(name) if _is_known(path))
        wanted = f"{name} is no file, no folder and no glob that matches an image or video"
    if not found:
        raise FileNotFoundError(wanted)
    return found


def _matching(pattern: str) -> Iterator[Path]:
    """Yields what a pattern matches, but no hidden names; ** follows no links: they may loop."""
    parts = Path(pattern).parts
    if "**" not in parts:
        yield from map(Path, glob.glob(pattern))
        return
    first = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    for top in glob.glob(str(Path(*parts[:first]))) if first else ["."]:
        # At the end ** stands for files, too.
        rest = [*parts[first:], "*"] if parts[-1] == "**" else parts[first:]
        for path in Path(top).glob(str(Path(*rest))):
            below = path.relative_to(top).parts
            if not any(part.startswith(".") for part in below):
                yield path


def _in_folder(folder: Path, recursive: bool, is_wanted: Callable[[Path], bool]) -> Iterator[Path]:
    """Yields files of a kind. Names that start with a dot are the system's: macOS' ._road.jpg."""
    for place, folders, names in os.walk(folder, onerror=_raise):
        here = Path(place)
        yield from (
            here / name for name in names if not name.startswith(".") and is_wanted(here / name)
        )
        folders[:] = [
            each
            for each in folders
            if recursive and not each.startswith(".") and not _is_written(here / each)
        ]


def _raise(error: OSError) -> None:
    """Ends the walk at a folder that cannot be read: what is in it would be missing in silence."""
    raise error


def _is_written(folder: Path) -> bool:
    """Whether this is an output folder of this program."""
    return (folder / MANIFEST_FILE).exists()


def _has_folders(folder: Path) -> bool:
    return any(each.is_dir() for each in folder.iterdir())


def _is_known(path: Path) -> bool:
    """Whether a file is read, by its suffix; a link to nowhere is, and is named then."""
    is_there = path.is_file() or (path.is_symlink() and not path.exists())
    return path.suffix.lower() in IMAGE_SUFFIXES + VIDEO_SUFFIXES and is_there


def _is_unread(path: Path) -> bool:
    return path.suffix.lower() in _UNREAD_IMAGES + _UNREAD_VIDEOS and path.is_file()
