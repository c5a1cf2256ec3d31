"""Encoded images: format and size from the header, and decoding to RGB pixels."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

# Larger pictures are refused before they are decoded, which takes 3 bytes a pixel and more.
MAX_MEGAPIXELS = 250.0
_PNG_START, _JPEG_START = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
# What ends a whole file. Pillow reads no further than the header, so it cannot miss it.
_PNG_END, _JPEG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82", b"\xff\xd9"
# Markers of JPEG: pixels follow; the size is in it (baseline, progressive, ...).
_JPEG_SCAN, _JPEG_FRAMES = 0xDA, frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Of the eight orientations of the EXIF standard.
UPRIGHT = 1
# Place of the depth in a PNG file, behind width and height.
_PNG_DEPTH = 24
# Length, name and checksum of a chunk.
_CHUNK_FRAME = 12


class ImageHeader(NamedTuple):
    """What the header of an image says.

    Attributes:
        format: png or jpeg.
        height: pixels as stored, before any EXIF rotation.
        width: pixels as stored.
        mode: colour mode as Pillow names it: L, RGB, CMYK, ...
        orientation: 1 to 8 of the EXIF standard; `decode_image` obeys it.
    """

    format: str
    height: int
    width: int
    mode: str = "RGB"
    orientation: int = UPRIGHT


def image_header(encoded: bytes, source: str) -> ImageHeader:
    """Reads the header of a PNG or JPEG image and checks that the end of the file is there.

    Bytes after the end are fine: cameras store previews and videos there.

    Args:
        encoded: content of the image file.
        source: name of the file, for messages.

    Raises:
        ValueError: the image is of another format, damaged or cut off, or larger than
            `MAX_MEGAPIXELS`; names the file.

    Example:
        the first frame of KITTI gives `ImageHeader("png", 370, 1224)`.
    """
    if not encoded.startswith((_PNG_START, _JPEG_START)):
        state = f"starts with {encoded[:8]!r}" if encoded else "is empty"
        raise ValueError(f"{source}: neither PNG nor JPEG: the file {state}; copy the file again")
    with _open(encoded, source) as image:
        image_format = "png" if image.format == "PNG" else "jpeg"
        header = ImageHeader(
            image_format, image.height, image.width, image.mode, _orientation(image)
        )
    check_pixels(header.width, header.height, source, MAX_MEGAPIXELS)
    check_whole(encoded, source)
    return header


def check_whole(encoded: bytes, source: str) -> None:
    """Refuses PNG and JPEG files that end too early; of other formats the decoder has to tell.

    Raises:
        ValueError: the end is not there.
    """
    if encoded.startswith(_PNG_START):
        name, whole = "PNG", encoded.rfind(_PNG_END) >= 0
    elif encoded.startswith(_JPEG_START):
        # A preview in the header has an end of its own.
        name, whole = "JPEG", encoded.rfind(_JPEG_END) > _start_of_scan(encoded)
    else:
        return
    if not whole:
        raise ValueError(
            f"{source}: the {name} image is cut off after {len(encoded)} bytes (it has no end "
            "marker); copy the file again"
        )


def _start_of_scan(encoded: bytes) -> int:
    """Returns where the pixels of a JPEG file begin; its length if they do not."""
    places = (place for marker, place in _jpeg_segments(encoded) if marker == _JPEG_SCAN)
    return next(places, len(encoded))


def _jpeg_segments(encoded: bytes) -> Iterator[tuple[int, int]]:
    """Yields marker and place of the segments of a JPEG file, up to its pixels."""
    place, marker = 2, 0
    while marker != _JPEG_SCAN and place + 4 <= len(encoded) and encoded[place] == 0xFF:
        marker = encoded[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        yield marker, place
        place += 2 + int.from_bytes(encoded[place + 2 : place + 4], "big")


def _stored_size(encoded: bytes, source: str) -> tuple[int, int]:
    """Returns width and height; by hand for PNG and JPEG, since every frame comes by here."""
    if encoded.startswith(_PNG_START):
        return int.from_bytes(encoded[16:20], "big"), int.from_bytes(encoded[20:24], "big")
    if not encoded.startswith(_JPEG_START):
        with _open(encoded, source, "cannot be decoded as an image") as image:
            return image.size
    for marker, place in _jpeg_segments(encoded):
        if marker in _JPEG_FRAMES:
            height, width = encoded[place + 5 : place + 7], encoded[place + 7 : place + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
    return 0, 0  # the decoder will refuse it


def _open(encoded: bytes, source: str, fault: str = "damaged image header") -> Image.Image:
    """Opens an image with Pillow, which reads the header and decodes nothing."""
    # Not at the top: decoding PNG and JPEG files, all that a camera needs, does without. Nor all of
    # it at once, for a data set has images of one format.
    from PIL import Image

    content = io.BytesIO(encoded)
    try:
        # By their classes: `Image.open` has a limit of its own.
        if encoded.startswith(_PNG_START):
            from PIL import PngImagePlugin

            return PngImagePlugin.PngImageFile(content)
        if encoded.startswith(_JPEG_START):
            from PIL import JpegImagePlugin

            return JpegImagePlugin.JpegImageFile(content)
        return Image.open(content)
    except Image.DecompressionBombError as error:
        raise ValueError(f"{source}: {error}") from None
    except Exception as error:  # what Pillow raises depends on where a file is damaged
        reason = "" if isinstance(error, Image.UnidentifiedImageError) else f" ({error})"
        raise ValueError(
            f"{source}: {fault}{reason}; replace the file, and convert again if it comes from "
            "records"
        ) from None


def _orientation(image: Image.Image) -> int:
    from PIL import ExifTags

    # `getexif` alone would decode a whole PNG to look for it.
    try:
        exif = image.getexif() if "exif" in image.info else {}
        orientation = exif.get(ExifTags.Base.Orientation, UPRIGHT)
    except Exception:  # damaged EXIF data turn no picture
        return UPRIGHT
    return orientation if orientation in range(UPRIGHT, 9) else UPRIGHT


def check_pixels(width: int, height: int, source: str, max_megapixels: float) -> None:
    """Refuses pictures that are too large to be decoded.

    Raises:
        ValueError: it has more than so many megapixels; names the limit.
    """
    if width * height > max_megapixels * 1e6:
        raise ValueError(
            f"{source}: {width}x{height} pixels are more than {max_megapixels:g} megapixels; make "
            "the picture smaller (predict can raise the limit with --max_megapixels)"
        )


def decode_image(
    encoded: bytes,
    source: str,
    *,
    max_megapixels: float = MAX_MEGAPIXELS,
    obey_orientation: bool = True,
) -> np.ndarray:
    """Decodes an image file to uint8 [H, W, 3], RGB; the one rule by which all commands decode.

    An EXIF orientation is obeyed and alpha is left out. Pictures of more than 8 bits are scaled by
    the bits that they use: those with values up to 4095, by 12 bits.

    Args:
        encoded: the bytes of the file.
        source: what to call it in the error: a path, or the id of a frame.
        max_megapixels: larger pictures are refused before they are decoded.
        obey_orientation: False gives the pixels as they are stored.

    Raises:
        ValueError: the bytes are not an image, or one that is too large, or of real numbers.
    """
    if not encoded:
        raise _undecodable(encoded, source)
    check_pixels(*_stored_size(encoded, source), source, max_megapixels)
    if encoded.startswith(_PNG_START):
        _check_chunks(encoded, source)
    # Not at the top: conversion to records reads headers alone, and this takes long to import.
    import cv2

    flags = 0 if obey_orientation else cv2.IMREAD_IGNORE_ORIENTATION
    buffer = np.frombuffer(encoded, np.uint8)
    deep_png = encoded.startswith(_PNG_START) and encoded[_PNG_DEPTH : _PNG_DEPTH + 1] > b"\x08"
    try:
        if encoded.startswith((_PNG_START, _JPEG_START)) and not deep_png:
            image = cv2.imdecode(buffer, flags | cv2.IMREAD_COLOR_RGB)
        else:
            image = _decode_deep(buffer, source, flags)
    except cv2.error:
        image = None
    if image is None:
        raise _undecodable(encoded, source)
    return image


def _check_chunks(encoded: bytes, source: str) -> None:
    """Refuses a PNG file with a chunk longer than the rest of it: OpenCV would make room for 4 GB.

    Raises:
        ValueError: there is one; names its place.
    """
    place = len(_PNG_START)
    while place + _CHUNK_FRAME <= len(encoded):
        length = int.from_bytes(encoded[place : place + 4], "big")
        if encoded[place + 4 : place + 8] == b"IEND" and not length:
            return  # what follows is no part of the image
        if place + _CHUNK_FRAME + length > len(encoded):
            raise ValueError(
                f"{source}: the PNG image cannot be decoded: it is cut off or damaged at byte "
                f"{place:,} of {len(encoded):,}, where it announces {length:,} bytes; copy the "
                "file again"
            )
        place += _CHUNK_FRAME + length


def _decode_deep(buffer: np.ndarray, source: str, flags: int) -> np.ndarray | None:
    """Decodes a picture of any depth; as BGR, since OpenCV 5 garbles deep TIFF as RGB."""
    import cv2

    image = cv2.imdecode(buffer, flags | cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if image is None:
        image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)  # real numbers are read this way alone
        if image is None or image.dtype == np.uint8:
            return None
    elif image.dtype == np.uint8:
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    if image.dtype != np.uint16 or image.ndim != 3:
        raise ValueError(
            f"{source}: its pixels are {image.dtype} with a maximum of {image.max():g}, and what "
            "is white is not known; save it with 8 or 16 bits"
        )
    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    bits = max(8, int(image.max()).bit_length())
    return (image >> (bits - 8)).astype(np.uint8)


def _undecodable(encoded: bytes, source: str) -> ValueError:
    return ValueError(
        f"{source}: its {len(encoded)} bytes cannot be decoded as an image; "
        "replace the file, and convert again if it comes from records"
    )
