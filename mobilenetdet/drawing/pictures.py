"""Several images as one picture, and pictures as files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from mobilenetdet.drawing.tags import draw_text, text_size
from mobilenetdet.files.atomic_write import atomic_write

_BACKGROUND, _CAPTION_INK = (14, 16, 20), (200, 206, 214)
_GAP = 6
_CAPTION_SCALE = 1.0
_CAPTION_HEIGHT = 20
_JPEG_QUALITY = 92
_ENCODINGS = {
    ".png": [cv2.IMWRITE_PNG_COMPRESSION, 4],
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY],
}


def montage(
    images: Sequence[np.ndarray],
    *,
    columns: int = 2,
    width: int = 1600,
    captions: Sequence[str] | None = None,
) -> np.ndarray:
    """Lays images out in a grid of equal cells, row by row, each fitted into its cell.

    The cells have the median aspect of the images; what an image leaves of its cell stays dark.

    Args:
        images: uint8 [H, W, 3] each, of any sizes, at least one.
        columns: cells in a row; fewer where there are fewer images.
        width: of the whole picture, pixels.
        captions: a line for each image, below it; cut where it is longer than the cell.

    Returns:
        uint8 [H, width, 3].

    Raises:
        ValueError: there is no image, not a caption for each, or no room for the columns.

    Example:
        four frames of 375x1242 in two columns of 1600 pixels give cells of 239x791.
    """
    columns = min(columns, len(images))
    cell_width = (width - _GAP * (columns + 1)) // max(columns, 1)
    if columns < 1 or cell_width < 1:
        raise ValueError(f"{len(images)} images in {columns} columns of {width} pixels: no room")
    _check_captions(captions, len(images))
    aspect = float(np.median([image.shape[0] / image.shape[1] for image in images]))
    cell_height = max(1, round(cell_width * aspect))
    pitch_x = cell_width + _GAP
    pitch_y = cell_height + _GAP + (_CAPTION_HEIGHT if captions else 0)
    rows = -(-len(images) // columns)
    canvas = np.full((rows * pitch_y + _GAP, width, 3), _BACKGROUND, np.uint8)
    for index, image in enumerate(images):
        top = _GAP + index // columns * pitch_y
        left = _GAP + index % columns * pitch_x
        _fit(image, canvas[top : top + cell_height, left : left + cell_width])
        if captions:
            text = _shorten(captions[index], cell_width)
            middle = top + cell_height + _CAPTION_HEIGHT // 2
            draw_text(canvas, text, (left + 2, middle), _CAPTION_INK, _CAPTION_SCALE)
    return canvas


def _check_captions(captions: Sequence[str] | None, num_images: int) -> None:
    if captions is not None and len(captions) != num_images:
        raise ValueError(f"{len(captions)} captions for {num_images} images; give one for each")


def write_image(path: str | os.PathLike[str], image_rgb: np.ndarray) -> None:
    """Writes a PNG or JPEG file; a reader sees the old file or the new one, never a part.

    Args:
        path: ends in .png, .jpg or .jpeg; its folder is made if it is not there.
        image_rgb: uint8 [H, W, 3].

    Raises:
        ValueError: another ending, or a side is too long for the format (JPEG: 65,535 pixels).
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _ENCODINGS:
        raise ValueError(f"{path.name}: cannot write {path.suffix!r}; use .png or .jpg")
    with atomic_write(path, durable=False) as temporary:  # pictures can be drawn again
        temporary.write_bytes(_encode(image_rgb, suffix, _ENCODINGS[suffix]))


def encode_jpeg(image_rgb: np.ndarray, *, quality: int = _JPEG_QUALITY) -> bytes:
    """Encodes uint8 [H, W, 3] as a JPEG file, to be embedded.

    Args:
        image_rgb: the picture.
        quality: 1 to 100.
    """
    return _encode(image_rgb, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def _encode(image_rgb: np.ndarray, suffix: str, encoding: Sequence[int]) -> bytes:
    image_bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    try:
        encoded = cv2.imencode(suffix, image_bgr, encoding)[1]
    except cv2.error:
        encoded = np.zeros(0, np.uint8)
    if not len(encoded):
        height, width = image_rgb.shape[:2]
        raise ValueError(f"{width}x{height} pixels are too many for a {suffix} file")
    return encoded.tobytes()


def _fit(image: np.ndarray, cell: np.ndarray) -> None:
    """Draws an image into the middle of a cell, as large as it fits."""
    scale = min(cell.shape[0] / image.shape[0], cell.shape[1] / image.shape[1])
    height = min(cell.shape[0], max(1, round(image.shape[0] * scale)))
    width = min(cell.shape[1], max(1, round(image.shape[1] * scale)))
    top, left = (cell.shape[0] - height) // 2, (cell.shape[1] - width) // 2
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(image, (width, height), interpolation=mode)
    cell[top : top + height, left : left + width] = resized


def _shorten(text: str, width: int) -> str:
    """Cuts a caption to a width in pixels, with dots where something is gone."""
    if text_size(text, _CAPTION_SCALE)[0] <= width:
        return text
    while text and text_size(text + "...", _CAPTION_SCALE)[0] > width:
        text = text[:-1]
    return text + "..."
