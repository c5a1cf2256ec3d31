"""Pictures from images, folders, globs and videos, one after the other."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from mobilenetdet.media.picture_names import name_pictures
from mobilenetdet.media.video import VIDEO_SUFFIXES, is_video, read_frames
from mobilenetdet.records.encoded_image import MAX_MEGAPIXELS, check_whole, decode_image

Item = TypeVar("Item")
# A path, or RGB uint8 [H, W, 3].
Photo = str | os.PathLike[str] | np.ndarray
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff")


@dataclass(frozen=True, eq=False)
class Picture:
    """An image, or one frame of a video.

    Attributes:
        name: unique among the pictures of a call, usable as a file name without suffix.
        source: the file it comes from.
        image: uint8 [H, W, 3], RGB.
    """

    name: str
    source: Path
    image: np.ndarray


def read_photo(photo: Photo) -> np.ndarray:
    """Returns a photo as RGB uint8 [H, W, 3].

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file cannot be decoded, or an array has another type or shape.
    """
    if not isinstance(photo, np.ndarray):
        if not isinstance(photo, str | os.PathLike):
            raise ValueError(
                f"a photo is {type(photo).__name__}; it must be a path or RGB uint8 [H, W, 3]"
            )
        path = Path(photo)
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist, or is a folder; give image files")
        return _decode_file(path, MAX_MEGAPIXELS)
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
        raise ValueError(
            f"an array of shape {photo.shape} and {photo.dtype} was given; a photo is RGB uint8 "
            "[H, W, 3], and several are a list"
        )
    return photo


def find_files(inputs: Sequence[str]) -> list[Path]:
    """Resolves what a user names to files.

    Args:
        inputs: images, videos, folders (their images and videos, not recursive) and globs.

    Raises:
        FileNotFoundError: an input leads to no file.
        ValueError: a named file is neither image nor video.
    """
    return list(dict.fromkeys(path for name in inputs for path in _resolve(name)))


def share_of(items: Sequence[Item], num_shards: int, shard: int) -> Sequence[Item]:
    """Returns the part of a list that one job of a job array takes.

    Args:
        items: of all jobs.
        num_shards: jobs, 1 or more. Their parts follow each other, and sizes differ by one at most.
        shard: of the job, from 0.

    Raises:
        ValueError: there is no such job.

    Example: of five items 0 and 1 are for the first of three jobs, 2 for the second.
    """
    if num_shards < 1:
        raise ValueError(f"num_shards is {num_shards}; it must be 1 or more")
    if not 0 <= shard < num_shards:
        raise ValueError(f"shard is {shard}; of {num_shards} they go from 0 to {num_shards - 1}")
    first, end = (len(items) * place // num_shards for place in (shard, shard + 1))
    return items[first:end]


def read_pictures(
    files: Sequence[Path],
    on_fault: Callable[[Path, Exception], None] | None = None,
    *,
    max_megapixels: float = MAX_MEGAPIXELS,
    names: Sequence[str] | None = None,
) -> Iterator[Picture]:
    """Reads images, and videos frame by frame as VIDEO_000000 and so on; see `name_pictures`.

    Args:
        files: images and videos.
        on_fault: called with a file that cannot be read and the reason, before the next one is
            read; by default the reason is raised.
        max_megapixels: larger images and frames are refused before they are decoded.
        names: of the files; by default those of `name_pictures`.

    Raises:
        OSError: a file cannot be opened.
        ValueError: a file cannot be decoded, or not all of a video.
    """
    for path, name in zip(files, names or name_pictures(files), strict=True):
        try:
            yield from _read_file(path, name, max_megapixels)
        except (OSError, ValueError) as error:
            if on_fault is None:
                raise
            on_fault(path, error)


def _decode_file(path: Path, max_megapixels: float) -> np.ndarray:
    encoded = path.read_bytes()
    check_whole(encoded, str(path))  # what is cut off may decode in part
    return decode_image(encoded, str(path), max_megapixels=max_megapixels)


def _read_file(path: Path, name: str, max_megapixels: float) -> Iterator[Picture]:
    if not is_video(path):
        yield Picture(name, path, _decode_file(path, max_megapixels))
        return
    for index, frame in enumerate(read_frames(path, max_megapixels)):
        yield Picture(f"{name}_{index:06d}", path, frame)


def _resolve(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        # A name that starts with a dot is a file of the system: macOS' ._road.jpg.
        found = sorted(p for p in path.iterdir() if _is_known(p) and not p.name.startswith("."))
        wanted = f"no image or video in the folder {path}"
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


def _is_known(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES + VIDEO_SUFFIXES
