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
from typing import IO, BinaryIO
from urllib.parse import quote, unquote, urlsplit

from mobilenetdet.media.address import Address, Kind
from mobilenetdet.system.terminal_text import one_line

MAX_PICTURE_BYTES, MAX_VIDEO_BYTES = 200_000_000, 8_000_000_000
MAX_PICTURE_SECONDS = 120.0
# Of a connection, and of each wait for bytes, seconds.
_TIMEOUT = 10.0
_CHUNK = 1 << 18
# Between attempts, seconds.
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
# What servers call files with an end; the second say nothing of what is in them.
_VIDEO_TYPES = frozenset(
    {"video/mp4", "video/quicktime", "video/webm", "video/x-matroska", "video/x-m4v"}
    | {"video/x-msvideo", "video/avi", "video/mpeg"}
)
_UNKNOWN_TYPES = frozenset(
    {"application/octet-stream", "binary/octet-stream", "application/x-binary"}
)
# How pictures (PNG, JPEG, TIFF, BMP) begin, and lists of the pieces of a stream.
_PICTURE_STARTS = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM")
_PLAYLIST = b"#EXTM3U"
# Of what a server says of itself, characters.
_MAX_SAID = 200
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


def kind_on_server(address: Address) -> Kind:
    """Asks a server what a URL without a known suffix leads to.

    What has an end is a picture or a video: read as a stream it would begin again and again.

    Raises:
        ValueError: it does not answer, or says no; or it sends text.
    """
    with _opened(address) as response:
        kind = response.headers.get_content_type()
        has_end = _announced(response) is not None
        if kind.startswith("image/"):
            return "picture"
        if kind in _VIDEO_TYPES:
            return "video" if has_end else "live"
        if has_end and kind in _UNKNOWN_TYPES:
            start = _read(response, 16) or b""
            if start.startswith(_PLAYLIST):
                return "live"
            return "picture" if start.startswith(_PICTURE_STARTS) else "video"
        if has_end and not kind.endswith("mpegurl"):
            _refuse_text(address, response)
    return "live"


def fetch_picture(address: Address, stop: threading.Event | None = None) -> bytes:
    """Fetches the bytes of a picture.

    Args:
        address: of the picture.
        stop: ends it early, with what came until then.

    Raises:
        ValueError: the server does not answer, says no, breaks off, sends text or takes too long,
            or the picture is too large.
    """
    end = time.monotonic() + MAX_PICTURE_SECONDS
    with _opened(address) as response:
        _refuse_text(address, response)
        _check_size(address, _announced(response) or 0, MAX_PICTURE_BYTES)
        content = bytearray()
        chunk: bytes | None = b""
        while not (stop and stop.is_set()) and (chunk := _read(response)):
            content += chunk
            _check_size(address, len(content), MAX_PICTURE_BYTES)
            if time.monotonic() > end:
                raise ValueError(
                    f"{address}: the server sent {len(content):,} bytes in "
                    f"{MAX_PICTURE_SECONDS:g} s, and no end; download it, and name the file"
                )
        length = _announced(response)
        is_cut_off = chunk is None or len(content) < (length or 0)
        if is_cut_off and not (stop and stop.is_set()):
            of = "" if length is None else f"of {length:,} "
            raise ValueError(
                f"{address}: the server broke off after {len(content):,} {of}bytes; try again"
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
        _refuse_text(address, response)
        _check_size(address, start + (length or 0), MAX_VIDEO_BYTES)
        chunk: bytes | None = None
        while not stop.is_set() and (chunk := _read(response)):
            file.write(chunk)
            _check_size(address, file.tell(), MAX_VIDEO_BYTES)
        return chunk is not None and (length is None or file.tell() - start >= length)


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
        opener = urllib.request.build_opener(_Redirects)
        response = opener.open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        kind = _Unreachable if error.code in _PASSING else ValueError
        raise kind(f"{address}: the server answers {error.code} {_said(error.reason)}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(error, http.client.BadStatusLine):
            reason = "it does not answer as web servers do"
        raise _Unreachable(f"{address}: the server cannot be reached ({_said(reason)})") from None
    with response:
        yield response


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to servers of the web alone, and takes a password to none but its own."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Returns the next request."""
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if after.scheme not in ("http", "https"):
            raise urllib.error.HTTPError(newurl, code, "and leads to no web server", headers, fp)
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        is_downgrade = before.scheme == "https" and after.scheme == "http"
        if request is not None and (before.netloc != after.netloc or is_downgrade):
            request.remove_header("Authorization")
        return request


def _said(words: object) -> str:
    """What a server or a library says, fit for a line."""
    said = one_line(" ".join(str(words).split()))
    return said if len(said) <= _MAX_SAID else f"{said[:_MAX_SAID]}..."


def _refuse_text(address: Address, response: http.client.HTTPResponse) -> None:
    """Refuses pages and the like, which servers send instead of what one has to log in for."""
    kind = response.headers.get_content_type()
    if kind.startswith("text/") or kind in ("application/json", "application/xml"):
        if "Content-Type" in response.headers:
            raise ValueError(
                f"{address}: the server sends {_said(kind)}, no picture or video; open it in a "
                "browser, and name what is behind it"
            )


def _read(response: http.client.HTTPResponse, most: int = _CHUNK) -> bytes | None:
    """Returns the next bytes: b"" at the end, None after a break that is known to be one."""
    try:
        return response.read1(most)
    except (OSError, http.client.HTTPException):
        return None


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
