"""What a user names, resolved to files, cameras and URLs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mobilenetdet.media.address import IMAGE_SUFFIXES, Address, parse_address
from mobilenetdet.media.video import VIDEO_SUFFIXES
from mobilenetdet.output_folder import MANIFEST_FILE


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
        ValueError: a named file is neither image nor video.
    """
    return list(dict.fromkeys(path for name in inputs for path in _resolve(name, recursive)))


def _resolve(name: str, recursive: bool) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        found = sorted(_in_folder(path, recursive))
        wanted = f"no image or video in the folder {path}"
        if not recursive:
            wanted += "; --recursive looks into the folders in it" if _has_folders(path) else ""
    elif path.is_file():
        if not _is_known(path):
            known = " ".join(IMAGE_SUFFIXES + VIDEO_SUFFIXES)
            raise ValueError(f"{path} is neither an image nor a video; known are {known}")
        return [path]
    else:
        found = sorted(Path(p) for p in glob.glob(name, recursive=True) if _is_known(Path(p)))
        wanted = f"{name} is no file, no folder and no glob that matches an image or video"
    if not found:
        raise FileNotFoundError(wanted)
    return found


def _in_folder(folder: Path, recursive: bool) -> Iterator[Path]:
    """Yields images and videos. Names that start with a dot are the system's: macOS' ._road.jpg."""
    for place, folders, names in os.walk(folder):
        here = Path(place)
        yield from (
            here / name for name in names if not name.startswith(".") and _is_known(here / name)
        )
        folders[:] = [
            each
            for each in folders
            if recursive and not each.startswith(".") and not _is_written(here / each)
        ]


def _is_written(folder: Path) -> bool:
    """Whether this is an output folder of this program."""
    return (folder / MANIFEST_FILE).exists()


def _has_folders(folder: Path) -> bool:
    return any(each.is_dir() for each in folder.iterdir())


def _is_known(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES + VIDEO_SUFFIXES and path.is_file()
