"""Encoded images: format and size from the header, and decoding to RGB pixels."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
# Markers that carry the frame size: SOF0 to SOF15 without DHT, JPG and DAC, which lie among them.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN = 0xDA
# Cameras and editors append a few bytes after the end marker; more than this is another file.
_MAX_TRAILER = 1024


class ImageHeader(NamedTuple):
    """What the header says: format ("png" or "jpeg"), height and width in pixels."""

    format: str
    height: int
    width: int


def image_header(encoded: bytes, source: str) -> ImageHeader:
    """Reads format and size of a PNG or JPEG image and checks that its end is there.

    Args:
        encoded: content of the image file.
        source: name of the file, for messages.

    Raises:
        ValueError: the image is of another format, damaged or cut off; names the file.

    Example:
        the first frame of KITTI gives `ImageHeader("png", 370, 1224)`.
    """
    if encoded.startswith(_PNG_SIGNATURE):
        header, end = _png_header(encoded, source), _PNG_END
    elif encoded.startswith(_JPEG_START):
        header, end = _jpeg_header(encoded, source), _JPEG_END
    else:
        state = f"starts with {encoded[:8]!r}" if encoded else "is empty"
        raise ValueError(f"{source}: neither PNG nor JPEG: the file {state}; copy the file again")
    if header.height <= 0 or header.width <= 0:
        raise ValueError(f"{source}: header says {header.width}x{header.height} pixels")
    if end not in encoded[-_MAX_TRAILER - len(end) :]:
        raise ValueError(
            f"{source}: the {header.format.upper()} image is cut off after {len(encoded)} bytes "
            "(it has no end marker); copy the file again"
        )
    return header


def _png_header(encoded: bytes, source: str) -> ImageHeader:
    # The first chunk has to be IHDR: length, name, width, height.
    if encoded[8:16] != b"\x00\x00\x00\rIHDR" or len(encoded) < 24:
        raise ValueError(f"{source}: damaged PNG header; copy the file again")
    width, height = (int.from_bytes(encoded[at : at + 4], "big") for at in (16, 20))
    return ImageHeader("png", height, width)


def jpeg_channels(encoded: bytes, source: str) -> int:
    """Returns the channels of a JPEG image: 1 grey, 3 colour, 4 CMYK.

    Raises:
        ValueError: it has no frame header.
    """
    return encoded[_jpeg_frame(encoded, source) + 9]


def _jpeg_header(encoded: bytes, source: str) -> ImageHeader:
    position = _jpeg_frame(encoded, source)
    # Marker, length, bits per sample, then height and width.
    height, width = (
        int.from_bytes(encoded[position + at : position + at + 2], "big") for at in (5, 7)
    )
    return ImageHeader("jpeg", height, width)


def _jpeg_frame(encoded: bytes, source: str) -> int:
    """Returns where the marker stands that carries the frame size."""
    position = len(_JPEG_START)
    while position + 9 < len(encoded) and encoded[position] == 0xFF:
        marker = encoded[position + 1]
        if marker == 0xFF:
            # Any number of fill bytes may stand before a marker.
            position += 1
            continue
        if marker in _JPEG_FRAMES:
            return position
        if marker == _JPEG_SCAN:
            break
        position += 2 + int.from_bytes(encoded[position + 2 : position + 4], "big")
    raise ValueError(f"{source}: damaged JPEG header: no frame size; copy the file again")


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
