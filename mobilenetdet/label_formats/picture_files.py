"""Pictures of a source, checked and put into a KITTI folder: linked, copied or encoded anew."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Literal, NamedTuple

import cv2

from mobilenetdet.label_formats.source_frame import PictureSource
from mobilenetdet.records.encoded_image import UPRIGHT, decode_image, image_header

_ENDINGS = {"png": ".png", "jpeg": ".jpg"}
_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8")


class ReadPicture(NamedTuple):
    """A picture as a KITTI folder or a record may hold it.

    Attributes:
        encoded: a PNG or JPEG file that no orientation turns.
        format: png or jpeg.
        size: width and height.
        note: what was done to it, or "" where these are the bytes of the original.
    """

    encoded: bytes
    format: str
    size: tuple[int, int]
    note: str = ""


class Placed(NamedTuple):
    """A picture in a KITTI folder.

    Attributes:
        path: of the file.
        size: its width and height.
        note: what was done to it, if that is to be told.
    """

    path: Path
    size: tuple[int, int]
    note: str = ""


def place_picture(
    image: PictureSource,
    name: str,
    target: Path,
    *,
    how: Literal["hardlink", "symlink", "copy"],
    exif_orientation: Literal["obey", "ignore"] | None,
) -> Placed:
    """Puts a picture where a KITTI folder has it; the original stays as it is.

    Args:
        image: the file, or where it is in a larger one.
        name: of the picture, for messages.
        target: path of the new file without its ending.
        how: the file gets there. Where the file system has no hard links, or the original is on
            another, it is copied.
        exif_orientation: what boxes of turned pictures are meant for.

    Raises:
        ValueError: see `read_picture`.
    """
    picture = read_picture(image, name, exif_orientation)
    path = target.with_name(target.name + _ENDINGS[picture.format])
    if not picture.note:
        return Placed(path, picture.size, _put(image, picture.encoded, path, how))
    path.write_bytes(picture.encoded)
    return Placed(path, picture.size, picture.note)


def read_picture(
    image: PictureSource, name: str, exif_orientation: Literal["obey", "ignore"] | None
) -> ReadPicture:
    """Reads a picture and checks that it is whole.

    PNG and JPEG files keep their bytes. Those that an EXIF orientation turns, and pictures of other
    formats, become PNG, upright and 8 bits deep.

    Args:
        image: the file, or where it is in a larger one.
        name: of the picture, for messages.
        exif_orientation: what boxes of turned pictures are meant for.

    Raises:
        ValueError: the picture is damaged or turned, or no picture; names it.
    """
    encoded, note = image.read_bytes(), "pictures of other formats were written as PNG"
    if encoded.startswith(_STARTS):
        header = image_header(encoded, name)
        if header.orientation == UPRIGHT:
            return ReadPicture(encoded, header.format, (header.width, header.height))
        if exif_orientation is None:
            raise ValueError(
                f"{name} is turned by its EXIF orientation {header.orientation}; say what the "
                "boxes are meant for: --exif_orientation obey for pictures as viewers show them, "
                "ignore for the pixels as they are stored"
            )
        note = "pictures with an EXIF orientation were written upright, as PNG"
    pixels = decode_image(encoded, name, obey_orientation=exif_orientation != "ignore")
    encoded = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()
    height, width = pixels.shape[:2]
    return ReadPicture(encoded, "png", (width, height), note)


def _put(image: PictureSource, encoded: bytes, path: Path, how: str) -> str:
    """Makes the file; returns what is to be told."""
    if not isinstance(image, Path):
        path.write_bytes(encoded)
        return ""
    if how == "symlink":
        path.symlink_to(image.resolve())
        return ""
    if how == "hardlink":
        # The file itself: a link to a symbolic link would end with what that points to.
        with contextlib.suppress(OSError):
            os.link(image.resolve(), path)
            return ""
    path.write_bytes(encoded)  # as it was checked; a full disk would name the original otherwise
    return "" if how == "copy" else "pictures were copied, since they cannot be linked from there"
