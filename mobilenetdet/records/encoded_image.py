"""Encoded images: format and size from the header, and decoding to RGB pixels."""

from __future__ import annotations

import io
from typing import NamedTuple

import cv2
import numpy as np
from PIL import ExifTags, Image

_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8")
# What ends a whole file. Pillow reads no further than the header, so it cannot miss it.
_ENDS = {"png": b"\x00\x00\x00\x00IEND\xaeB`\x82", "jpeg": b"\xff\xd9"}
# Cameras and editors append a few bytes after the end marker; more than this is another file.
_MAX_TRAILER = 1024
# Orientations 5 to 8 of the EXIF standard turn by a quarter.
_FIRST_SIDEWAYS = 5


class ImageHeader(NamedTuple):
    """What the header of an image says.

    Attributes:
        format: png or jpeg.
        height: pixels as stored, before any EXIF rotation.
        width: pixels as stored.
        mode: colour mode as Pillow names it: L, RGB, CMYK, ...
        sideways: whether decoders that obey its EXIF orientation swap the sides.
    """

    format: str
    height: int
    width: int
    mode: str = "RGB"
    sideways: bool = False


def image_header(encoded: bytes, source: str) -> ImageHeader:
    """Reads the header of a PNG or JPEG image and checks that the end of the file is there.

    Args:
        encoded: content of the image file.
        source: name of the file, for messages.

    Raises:
        ValueError: the image is of another format, damaged or cut off; names the file.

    Example:
        the first frame of KITTI gives `ImageHeader("png", 370, 1224)`.
    """
    with _open(encoded, source) as image:
        # Pillow calls a JPEG MPO if a camera has stored a preview behind the picture.
        image_format = "png" if image.format == "PNG" else "jpeg"
        # `getexif` alone would decode a whole PNG to look for it.
        exif = image.getexif() if "exif" in image.info else {}
        sideways = exif.get(ExifTags.Base.Orientation, 1) >= _FIRST_SIDEWAYS
        header = ImageHeader(image_format, image.height, image.width, image.mode, sideways)
    end = _ENDS[image_format]
    if end not in encoded[-_MAX_TRAILER - len(end) :]:
        raise ValueError(
            f"{source}: the {image_format.upper()} image is cut off after {len(encoded)} bytes "
            "(it has no end marker); copy the file again"
        )
    return header


def _open(encoded: bytes, source: str) -> Image.Image:
    """Opens an image with Pillow, which reads the header and decodes nothing."""
    if not encoded.startswith(_STARTS):
        state = f"starts with {encoded[:8]!r}" if encoded else "is empty"
        raise ValueError(f"{source}: neither PNG nor JPEG: the file {state}; copy the file again")
    try:
        return Image.open(io.BytesIO(encoded), formats=("PNG", "JPEG"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "" if isinstance(error, Image.UnidentifiedImageError) else f" ({error})"
        raise ValueError(f"{source}: damaged image header{reason}; copy the file again") from None


def find_damage(encoded: bytes, source: str) -> str:
    """Decodes a whole image and returns what is wrong with it, or "".

    `decode_image` returns what could be read of some damaged files; here checksums count, too. A
    JPEG has none, so that what is changed inside of it may not be found.

    Args:
        encoded: content of the image file.
        source: name of the file.
    """
    try:
        image_header(encoded, source)
        with _open(encoded, source) as image:
            image.verify()  # the checksums of a PNG, and nothing of a JPEG
        with _open(encoded, source) as image:
            image.load()
        decode_image(encoded, source)
    except (OSError, SyntaxError, ValueError) as error:
        return str(error).removeprefix(f"{source}: ")
    return ""


def decode_image(encoded: bytes, source: str) -> np.ndarray:
    """Decodes a JPEG or PNG file to uint8 [H, W, 3], RGB.

    Args:
        encoded: the bytes of the file.
        source: what to call it in the error: a path, or the id of a frame.

    Raises:
        ValueError: the bytes are not a whole image.
    """
    buffer = np.frombuffer(encoded, np.uint8)
    image = cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB) if len(buffer) else None
    if image is None:
        raise ValueError(
            f"{source}: its {len(buffer)} bytes cannot be decoded as an image; "
            "replace the file, and convert again if it comes from records"
        )
    return image
