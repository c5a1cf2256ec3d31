"""Videos that are written: H.264 with sound by PyAV where it is installed, else by OpenCV."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np

from mobilenetdet.media.container import keep_whole_fragments
from mobilenetdet.media.download import DownloadedVideo

if TYPE_CHECKING:
    import av

# PyAV's package and the extra that installs it.
_PYAV, EXTRA = "av", "video"
# Times in a written video are whole numbers of this: exact for all usual rates.
_TICKS = 90_000
# Quality of x264, 0 (lossless) to 51, and how hard it tries: detecting needs the cores, too.
_QUALITY, _PRESET = "21", "veryfast"
# Written second by second, each of which can be played when the next cannot be written, and made an
# MP4 file as others at the end; FFmpeg has it since this version.
_FRAGMENTS = {"movflags": "hybrid_fragmented", "frag_duration": "1000000"}
_WITH_FRAGMENTS = (61, 7, 100)
# Sound that an MP4 file may hold, which is copied as it is.
_COPIED = frozenset({"aac", "mp3", "ac3", "eac3", "opus", "alac", "flac"})


class VideoWriter(Protocol):
    """A video that is being written.

    Attributes:
        note: what of the original it cannot have, or "".
    """

    note: str

    def add(self, image: np.ndarray, time_s: float) -> None:
        """Adds a frame, uint8 [H, W, 3] RGB, that is shown from a time on."""
        ...

    def close(self) -> None:
        """Ends the file; it can be played then."""
        ...

    def give_up(self) -> bool:
        """Ends it after a write that failed; returns whether what is there can be played."""
        ...


def open_video(path: Path, rate: float, sound: Path | DownloadedVideo | None = None) -> VideoWriter:
    """Begins a video; its size is that of the first frame.

    Args:
        path: of the file, an MP4 file whatever its suffix with PyAV; OpenCV goes by the suffix.
        rate: frames a second.
        sound: a video whose sound is copied, which only PyAV does.
    """
    return _PyAvVideo(path, rate, sound) if has_pyav() else _OpenCvVideo(path, rate)


def has_pyav() -> bool:
    """Returns whether PyAV is installed."""
    return importlib.util.find_spec(_PYAV) is not None


def keeps_parts() -> bool:
    """Returns whether of a video that breaks off what was written until then can be played."""
    if not has_pyav():
        return False
    import av  # not at the top: it takes long, and may be absent

    return av.library_versions["libavformat"] >= _WITH_FRAGMENTS


def describe_writer() -> str:
    """Says what writes videos, and how that would be better.

    Example: "H.264 by PyAV 18.1.0".
    """
    if has_pyav():
        return f"H.264 by PyAV {importlib.metadata.version(_PYAV)}"
    return (
        f"MPEG-4 by OpenCV {cv2.__version__}, without sound, and browsers do not play it; "
        f"pip install 'mobilenetdet[{EXTRA}]' for H.264 with sound"
    )


class _OpenCvVideo:
    """MPEG-4 Part 2, which OpenCV's wheels can write; at a constant rate."""

    def __init__(self, path: Path, rate: float) -> None:
        self.note = ""
        self._path, self._rate = path, rate
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def add(self, image: np.ndarray, time_s: float) -> None:
        """Adds a frame; frames follow each other at the rate of the video."""
        if self._writer is None:
            height, width = image.shape[:2]
            code, self._size = cv2.VideoWriter.fourcc(*"mp4v"), (width, height)
            self._writer = cv2.VideoWriter(
                os.path.abspath(self._path), code, self._rate, self._size
            )
            if not self._writer.isOpened():
                raise ValueError(f"{self._path}: OpenCV cannot write a video of {width}x{height}")
        self._writer.write(cv2.cvtColor(_resized(image, self._size), cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Ends the file."""
        if self._writer is not None:
            self._writer.release()

    def give_up(self) -> bool:
        """Ends the file, of which OpenCV writes the index last."""
        self.close()
        return False


class _PyAvVideo:
    """H.264 in an MP4 file, each frame at its time, with the sound of the original."""

    def __init__(self, path: Path, rate: float, sound: Path | DownloadedVideo | None) -> None:
        import av

        self.note = ""
        # FFmpeg would take what stands before a colon for a protocol: paths are absolute here.
        self._rate = Fraction(rate).limit_denominator(1001)
        self._path = path
        options = _FRAGMENTS if keeps_parts() else {}
        self._file = av.open(os.path.abspath(path), "w", format="mp4", options=options)
        self._held = sound  # a temporary file lives as long as somebody holds it
        self._sound = _Sound(sound if isinstance(sound, Path) or sound is None else sound.path)
        self._stream: av.VideoStream | None = None
        self._copied: Any = None
        self._last = -1
        self._size = (0, 0)

    def add(self, image: np.ndarray, time_s: float) -> None:
        """Adds a frame, and the sound until then."""
        import av

        stream = self._stream or self._begin(image)
        frame = av.VideoFrame.from_ndarray(_resized(_even(image), self._size), format="rgb24")
        # Times that do not grow, as damaged files have them, would be refused.
        frame.pts = self._last = max(self._last + 1, round(time_s * _TICKS))
        frame.time_base = Fraction(1, _TICKS)
        self._file.mux(stream.encode(frame))
        self._copy_sound(time_s)

    def close(self) -> None:
        """Ends the file."""
        try:
            if self._stream is not None:
                self._file.mux(self._stream.encode(None))
                self._copy_sound(self._last / _TICKS + float(1 / self._rate))
        finally:
            self._file.close()
            self._sound.close()

    def give_up(self) -> bool:
        """Ends the file behind the last fragment that is whole."""
        with contextlib.suppress(OSError):  # FFmpeg tries to write the end
            self._file.close()
        self._sound.close()
        return keep_whole_fragments(self._path)

    def _begin(self, image: np.ndarray) -> av.VideoStream:
        height, width = _even(image).shape[:2]
        options = {"crf": _QUALITY, "preset": _PRESET}
        stream = self._file.add_stream("libx264", rate=self._rate, options=options)
        stream.width, stream.height = self._size = width, height
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, _TICKS)
        original = self._sound.stream
        # The name of the format: decoders have others, such as mp3float.
        kind = "" if original is None else original.codec_context.codec.canonical_name
        if original is not None and kind in _COPIED:
            self._copied = self._file.add_stream_from_template(original)
        elif original is not None:
            self.note = f"its sound is {kind}, which MP4 cannot hold"
        self._stream = stream
        return stream

    def _copy_sound(self, until_s: float) -> None:
        if self._copied is None:
            return
        for packet in self._sound.packets(until_s):
            packet.stream = self._copied
            self._file.mux(packet)


class _Sound:
    """The sound of a video, packet by packet."""

    def __init__(self, path: Path | None) -> None:
        import av

        self.stream: av.AudioStream | None = None
        self._file: Any = None
        self._packets: Iterator[Any] = iter(())
        self._waiting: Any = None
        self._start = 0.0
        if path is None:
            return
        try:
            self._file = av.open(os.path.abspath(path))
        except (av.FFmpegError, OSError, ValueError):
            return  # what OpenCV reads and FFmpeg does not has no sound
        if self._file.streams.audio and self._file.streams.video:
            self.stream, video = self._file.streams.audio[0], self._file.streams.video[0]
            self._start = float((video.start_time or 0) * video.time_base)
            self._packets = self._file.demux(self.stream)

    def packets(self, until_s: float) -> Iterator[Any]:
        """Yields what is heard until a time of the picture, each packet once."""
        while (packet := self._waiting or self._next()) is not None:
            time_s = float(packet.pts * packet.time_base) - self._start
            if time_s > until_s:
                self._waiting = packet
                return
            self._waiting = None
            packet.pts = packet.dts = packet.pts - round(self._start / packet.time_base)
            yield packet

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()

    def _next(self) -> Any:
        import av

        try:
            return next((each for each in self._packets if each.pts is not None), None)
        except (av.FFmpegError, OSError):  # the rest of the sound is damaged
            return None


def _even(image: np.ndarray) -> np.ndarray:
    """Repeats the last row and column of an odd size: colours have half the resolution."""
    height, width = image.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return np.ascontiguousarray(image)
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Fits a frame of another size, as streams have them after a break, into (width, height)."""
    if image.shape[1::-1] == size:
        return image
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
