"""Pictures and videos on servers, fetched with limits of size and time."""

from __future__ import annotations

import base64
import contextlib
import http.client
import shutil
import tempfile
import threading
import time
import urllib.error
import urllib.request
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote, urlsplit

from mobilenetdet.media.address import Address

MAX_PICTURE_BYTES, MAX_VIDEO_BYTES = 200_000_000, 8_000_000_000
# Of a connection, and of each wait for bytes, seconds.
_TIMEOUT = 10.0
_CHUNK = 1 << 18
# Between attempts, seconds.
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
# Answers of servers that are about to work again.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class DownloadedVideo:
    """A video of a server in a temporary file, which goes when nobody holds this any more.

    Attributes:
        path: of the file.
    """

    def __init__(self, suffix: str) -> None:
        """Makes room for a file of this suffix."""
        folder = tempfile.mkdtemp(prefix="mobilenetdet_")
        self.path = Path(folder) / f"video{suffix}"
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)


def content_type(address: Address) -> str:
    """Asks a server what a URL leads to: "image/jpeg".

    Raises:
        ValueError: it does not answer, or says no.
    """
    with _opened(address) as response:
        return response.headers.get_content_type()


def fetch_picture(address: Address) -> bytes:
    """Fetches the bytes of a picture.

    Raises:
        ValueError: the server does not answer, says no or breaks off, or the picture is too large.
    """
    with _opened(address) as response:
        _check_size(address, _announced(response) or 0, MAX_PICTURE_BYTES)
        content = bytearray()
        while chunk := _read(address, response):
            content += chunk
            _check_size(address, len(content), MAX_PICTURE_BYTES)
        if len(content) < (_announced(response) or 0):
            raise ValueError(
                f"{address}: the server broke off after {len(content):,} of "
                f"{_announced(response):,} bytes; try again"
            )
    return bytes(content)


def fetch_video(address: Address, *, patience_s: float, stop: threading.Event) -> DownloadedVideo:
    """Fetches a video to a temporary file; after a break it goes on where it was.

    Args:
        address: of the video.
        patience_s: seconds without a new byte after which it is given up.
        stop: ends it early.

    Raises:
        ValueError: the server does not answer or says no, gave no byte for too long, or the file
            is too large.
    """
    video = DownloadedVideo(address.as_path().suffix.lower())
    wait, last = FIRST_WAIT, time.monotonic()
    with video.path.open("wb") as file:
        while not stop.is_set():
            before = file.tell()
            try:
                if _append(address, file, stop):
                    break
            except _Unreachable:
                if not before:
                    raise
            if file.tell() > before:
                wait, last = FIRST_WAIT, time.monotonic()
            elif time.monotonic() - last > patience_s:
                raise ValueError(
                    f"{address}: after {file.tell():,} bytes the server gave none for "
                    f"{patience_s:g} s (--reconnect_s); try again"
                )
            stop.wait(wait)
            wait = min(2 * wait, LONGEST_WAIT)
    return video


class _Unreachable(ValueError):
    """The server cannot be reached, or says that it cannot answer now."""


def _append(address: Address, file: BinaryIO, stop: threading.Event) -> bool:
    """Fetches what of a file is missing; returns whether it is whole then."""
    with _opened(address, start=file.tell()) as response:
        if file.tell() and response.status != http.HTTPStatus.PARTIAL_CONTENT:
            file.seek(0)  # a server that gives files only from their beginning
            file.truncate()
        start, length = file.tell(), _announced(response)
        _check_size(address, start + (length or 0), MAX_VIDEO_BYTES)
        while not stop.is_set() and (chunk := _read(address, response)):
            file.write(chunk)
            _check_size(address, file.tell(), MAX_VIDEO_BYTES)
        return length is None or file.tell() - start >= length


@contextlib.contextmanager
def _opened(address: Address, *, start: int = 0) -> Iterator[http.client.HTTPResponse]:
    parts = urlsplit(address.text)
    headers = {"User-Agent": "mobilenetdet", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    url = quote(parts._replace(fragment="").geturl(), safe="%/:?=&+,;@!$'()*[]~#")
    try:
        response = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT
        )
    except urllib.error.HTTPError as error:
        error.close()
        kind = _Unreachable if error.code in _PASSING else ValueError
        raise kind(f"{address}: the server answers {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise _Unreachable(f"{address}: the server cannot be reached ({reason})") from None
    with response:
        yield response


def _read(address: Address, response: http.client.HTTPResponse) -> bytes:
    """Returns the next bytes; none at the end and after a break."""
    try:
        return response.read1(_CHUNK)
    except (OSError, http.client.HTTPException):
        return b""


def _announced(response: http.client.HTTPResponse) -> int | None:
    """How many bytes the server says that it sends."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


def _check_size(address: Address, size: int, limit: int) -> None:
    if size > limit:
        raise ValueError(
            f"{address}: more than {limit / 1e6:,.0f} MB are not fetched; download it, and name "
            "the file"
        )
