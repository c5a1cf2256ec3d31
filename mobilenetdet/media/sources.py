"""Pictures from images, videos, cameras and servers, one after the other."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mobilenetdet.media.address import Address
from mobilenetdet.media.download import DownloadedVideo, fetch_picture, fetch_video
from mobilenetdet.media.live import RECONNECT_S, LiveSource
from mobilenetdet.media.picture_names import name_pictures
from mobilenetdet.media.video import VideoFrame, is_video, read_frames
from mobilenetdet.records.encoded_image import MAX_MEGAPIXELS, check_whole, decode_image

# A path, or RGB uint8 [H, W, 3].
Photo = str | os.PathLike[str] | np.ndarray
Media = Path | Address


class FrameOf(NamedTuple):
    """What video a picture is a frame of.

    Attributes:
        video: name of the video, unique among those of a call.
        frame: the frame, as it was read.
        file: the video where it is a file, also of a server; None of a live source.
    """

    video: str
    frame: VideoFrame
    file: Path | DownloadedVideo | None


@dataclass(frozen=True, eq=False)
class Picture:
    """An image, or one frame of a video.

    Attributes:
        name: unique among the pictures of a call, usable as a file name without suffix.
        source: the file, camera or URL that it comes from.
        image: uint8 [H, W, 3], RGB.
        frame_of: its video, if it is a frame of one.
    """

    name: str
    source: Media
    image: np.ndarray
    frame_of: FrameOf | None = None


class ReadOptions(NamedTuple):
    """How pictures are read.

    Attributes:
        max_megapixels: larger images and frames are refused before they are decoded.
        reconnect_s: seconds without a frame, or a byte, after which a server is given up.
        stop: ends the reading, from any thread.
        on_live: called with a camera or stream before it is read.
    """

    max_megapixels: float = MAX_MEGAPIXELS
    reconnect_s: float = RECONNECT_S
    stop: threading.Event | None = None
    on_live: Callable[[LiveSource], None] = lambda source: None


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


def read_pictures(
    sources: Sequence[Media],
    on_fault: Callable[[Media, Exception], None] | None = None,
    *,
    options: ReadOptions | None = None,
    names: Sequence[str] | None = None,
) -> Iterator[Picture]:
    """Reads images, and videos frame by frame as VIDEO_000000 and so on; see `name_pictures`.

    Args:
        sources: images, videos, cameras, streams.
        on_fault: called with a source that cannot be read and the reason, before the next one is
            read; by default the reason is raised.
        options: limits.
        names: of the sources; by default those of `name_pictures`.

    Raises:
        OSError: a file cannot be opened.
        ValueError: a source cannot be read or decoded, or not all of a video.
    """
    options = ReadOptions() if options is None else options
    stop = options.stop or threading.Event()
    for source, name in zip(sources, names or name_pictures(sources), strict=True):
        try:
            for picture in _read(source, name, options, stop):
                yield picture
                del picture
                if stop.is_set():
                    return
        except (OSError, ValueError) as error:
            if on_fault is None:
                raise
            on_fault(source, error)
        if stop.is_set():
            return


def _read(
    source: Media, name: str, options: ReadOptions, stop: threading.Event
) -> Iterator[Picture]:
    if isinstance(source, Path):
        if is_video(source):
            yield from _read_video(source, name, source, options)
        else:
            yield Picture(name, source, _decode_file(source, options.max_megapixels))
    elif source.kind == "picture":
        content = fetch_picture(source, stop)
        if not stop.is_set():
            yield Picture(name, source, _decode(content, str(source), options.max_megapixels))
    elif source.kind == "video":
        video = fetch_video(source, patience_s=options.reconnect_s, stop=stop)
        if not stop.is_set():
            yield from _read_video(source, name, video, options)
    else:
        live = LiveSource(
            source,
            reconnect_s=options.reconnect_s,
            max_megapixels=options.max_megapixels,
            stop=stop,
        )
        options.on_live(live)
        for frame in live:
            yield _frame(source, name, frame, None)
            del frame


def _read_video(
    source: Media, name: str, file: Path | DownloadedVideo, options: ReadOptions
) -> Iterator[Picture]:
    path = file if isinstance(file, Path) else file.path
    for frame in read_frames(path, options.max_megapixels, source=str(source)):
        yield _frame(source, name, frame, file)
        del frame


def _frame(
    source: Media, name: str, frame: VideoFrame, file: Path | DownloadedVideo | None
) -> Picture:
    own_name = f"{name}_{frame.index:06d}"
    return Picture(own_name, source, frame.image, FrameOf(name, frame, file))


def _decode_file(path: Path, max_megapixels: float) -> np.ndarray:
    return _decode(path.read_bytes(), str(path), max_megapixels)


def _decode(encoded: bytes, source: str, max_megapixels: float) -> np.ndarray:
    check_whole(encoded, source)  # what is cut off may decode in part
    return decode_image(encoded, source, max_megapixels=max_megapixels)
