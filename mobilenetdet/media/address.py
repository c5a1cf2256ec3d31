"""Pictures and videos that are no files here: cameras, streams and files on servers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from mobilenetdet.media.video import VIDEO_SUFFIXES

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff")
# What is sent while it happens, and what a server has as files.
_LIVE_SCHEMES, _FILE_SCHEMES = ("rtsp", "rtsps", "rtmp"), ("http", "https")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
# What may be a password in a text that is no URL, or not yet known to be one.
_PASSWORD = re.compile(r"(?<=://)([^/?#@:]*):.*(?=@)")
# Numbers of cameras are C's.
_MAX_CAMERA = 2**31 - 1
Kind = Literal["picture", "video", "live"]


def _now() -> str:
    return datetime.now().strftime("%Y%m%d_%H%M%S")


@dataclass(frozen=True)
class Address:
    """A camera, a stream, or a picture or video on a server.

    Attributes:
        text: the number of the camera, or the URL, its password with it.
        kind: "picture" and "video" are files, which are read whole; of "live" the newest frames
            are taken.
        since: local time at which it was named; outputs of a live source are named after it, so
            that the next run replaces none of them.
    """

    text: str
    kind: Kind
    since: str = field(default_factory=_now, compare=False)

    @property
    def is_camera(self) -> bool:
        """Whether it is a camera of this machine."""
        return self.text.isdigit()

    @property
    def is_live(self) -> bool:
        """Whether its frames are gone if nobody takes them."""
        return self.kind == "live"

    def __str__(self) -> str:
        """As it was named, without the password."""
        if self.is_camera:
            return f"camera {self.text}"
        parts = urlsplit(self.text)
        if parts.password is None:
            return self.text
        host = parts.netloc.rpartition("@")[2]
        return parts._replace(netloc=f"{parts.username}:***@{host}").geturl()

    def as_path(self) -> Path:
        """Returns a path by which its outputs are named; nothing lies there.

        Example: of "http://host/a/road.jpg?size=2" it is host/a/road.jpg.
        """
        if self.is_camera:
            return Path(f"camera{self.text}_{self.since}.mp4")
        parts = urlsplit(self.text)
        host, path = parts.hostname or "server", Path(unquote(parts.path).strip("/") or "index")
        if self.is_live:
            stem = "_".join([host, *path.with_suffix("").parts, self.since])
            return Path(f"{stem}.mp4")
        known = IMAGE_SUFFIXES if self.kind == "picture" else VIDEO_SUFFIXES
        if path.suffix.lower() not in known:
            path = path.with_name(path.name + (".jpg" if self.kind == "picture" else ".mp4"))
        # Relative parts would lead out of the folder that stands for the host.
        return Path(host, *(part for part in path.parts if part not in ("..", "/")))


def parse_address(name: str) -> Address | None:
    """Returns what a user has named if it is a camera or a URL; None for files.

    What a URL without a known suffix leads to is asked of its server.

    Args:
        name: the number of a camera, a URL, or anything else.

    Raises:
        ValueError: a URL of an unknown scheme, or a server that does not answer.
    """
    if name.isdecimal() and name.isascii():
        if not Path(name).exists() and int(name) > _MAX_CAMERA:
            raise ValueError(f"{name} is no number of a camera; the first one is 0")
        return None if Path(name).exists() else Address(name, "live")
    if not _SCHEME.match(name):
        return None
    parts = _split(name)
    scheme = parts.scheme.lower()
    if scheme in _LIVE_SCHEMES:
        return Address(name, "live")
    if scheme not in _FILE_SCHEMES:
        known = ", ".join(_FILE_SCHEMES + _LIVE_SCHEMES)
        shown = _without_password(name)
        raise ValueError(f"{shown}: URLs of the scheme {scheme} are not read; known are {known}")
    return Address(name, _kind_of(name, parts))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        if _PASSWORD.search(url) is None:
            raise ValueError(f"{url} is no URL ({error})") from None
        # The reason would hold a part of a password that a mark such as # has cut in two.
        raise ValueError(
            f"{_without_password(url)} is no URL; in passwords # is written %23, / %2F and @ %40"
        ) from None
    if not parts.hostname:
        raise ValueError(f"{_without_password(url)} is no URL: it names no server")
    return parts


def _without_password(text: str) -> str:
    return _PASSWORD.sub(r"\1:***", text)


def _kind_of(url: str, parts: SplitResult) -> Kind:
    suffix = Path(parts.path).suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "picture"
    if suffix in VIDEO_SUFFIXES:
        return "video"
    # Not at the top: it knows addresses.
    from mobilenetdet.media.download import kind_on_server

    return kind_on_server(Address(url, "live"))
