"""Decoding images only to find out whether they can be decoded."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import JpegImagePlugin, PngImagePlugin

from mobilenetdet.findings import count_named
from mobilenetdet.records.encoded_image import decode_image, image_header
from mobilenetdet.system.cores import num_cores

_MAX_LISTED = 20


def refuse_damaged_images(
    paths: Sequence[str | os.PathLike[str]], name: str, num_workers: int | None = None
) -> None:
    """Decodes every image, which conversion does not.

    Args:
        paths: of the images.
        name: what to call them in the message, such as the split.
        num_workers: threads; None takes one per core.

    Raises:
        ValueError: some are damaged; counts them, and names the first 20 with what is wrong.
    """

    def check(path: str | os.PathLike[str]) -> str:
        return find_damage(Path(path).read_bytes(), str(path))

    with ThreadPoolExecutor(num_workers or num_cores()) as executor:
        results = zip(paths, executor.map(check, paths), strict=True)
        damaged = [(str(path), damage) for path, damage in results if damage]
    if damaged:
        names = [os.path.basename(path) for path, _ in damaged]
        lines = [f"  {path}: {damage}" for path, damage in damaged[:_MAX_LISTED]]
        first = count_named(names, len(paths), f"images of {name} are damaged")
        raise ValueError("\n".join([first, *lines, "replace them, or take them out of the list"]))


def find_damage(encoded: bytes, source: str) -> str:
    """Decodes a whole image and returns what is wrong with it, or "".

    `decode_image` returns what could be read of some damaged files; here checksums count, too. A
    JPEG has none, so that what is changed inside of it may not be found.

    Args:
        encoded: content of the image file.
        source: name of the file.
    """
    try:
        kind = image_header(encoded, source).format
        decode_image(encoded, source)
        if kind == "png":
            PngImagePlugin.PngImageFile(io.BytesIO(encoded)).verify()
        image = PngImagePlugin.PngImageFile if kind == "png" else JpegImagePlugin.JpegImageFile
        image(io.BytesIO(encoded)).load()
    except (OSError, SyntaxError, ValueError) as error:
        return str(error).removeprefix(f"{source}: ")
    return ""
