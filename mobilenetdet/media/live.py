"""Cameras and streams: the newest frames, across breaks, in bounded memory."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import cv2

from mobilenetdet.findings import counted
from mobilenetdet.media.address import Address
from mobilenetdet.media.download import FIRST_WAIT, LONGEST_WAIT
from mobilenetdet.media.silent_opencv import silent_opencv
from mobilenetdet.media.video import VideoFrame, frame_rate
from mobilenetdet.records.encoded_image import MAX_MEGAPIXELS, check_pixels

RECONNECT_S = 30.0
# Frames, and bytes, that wait for the detector; the oldest goes for the newest.
MAX_FRAMES, MAX_BYTES = 16, 256e6
# Of opening, and of waiting for a frame, milliseconds.
_TIMEOUT_MS = 5000
# How often who waits for a frame looks whether it is to end, seconds.
_POLL = 0.2
# A frame that cannot be decoded is passed over: so many in a row are a break. What takes longer
# than so many seconds to fail has waited for a source that sends nothing.
_MAX_DAMAGED, _QUICK = 5, 1.0
# Of a source with an end, the share of its frames by which it has been reached; times are rounded.
_NEARLY_ALL = 0.9
# How long the end waits for a frame that is being read, seconds.
_PATIENCE_AT_END = 2.0


@dataclass
class LiveCounts:
    """What became of the frames of a live source.

    Attributes:
        received: frames that came.
        dropped: of these, the ones that went unseen, since the detector was slower.
        breaks: times that the source stopped and was connected to again.
        damaged: frames besides that came and could not be decoded.
    """

    received: int = 0
    dropped: int = 0
    breaks: int = 0
    damaged: int = 0

    def describe(self, waiting: int) -> str:
        """Says all of them, and how many were waiting to be seen when it ended."""
        lost = "none dropped"
        if self.dropped:
            lost = f"{self.dropped:,} of them dropped, since detecting was slower"
        frames, breaks = counted(self.received, "frame"), counted(self.breaks, "reconnection")
        damaged = f", {self.damaged:,} damaged" if self.damaged else ""
        rest = f", {waiting:,} waiting at the end" if waiting else ""
        return f"{frames} received, {lost}{rest}, {breaks}{damaged}"


class LiveSource:
    """The frames of a camera or stream, taken in a thread as they come.

    A break is waited for, and the connection made again, with pauses that grow to 8 s. A recording
    that is sent as a stream ends once it has been sent.
    """

    def __init__(
        self,
        address: Address,
        *,
        reconnect_s: float = RECONNECT_S,
        max_megapixels: float = MAX_MEGAPIXELS,
        stop: threading.Event | None = None,
    ) -> None:
        """Describes a source; iterating begins to read.

        Args:
            address: of the camera or stream.
            reconnect_s: seconds without a frame after which it is given up.
            max_megapixels: larger frames are refused.
            stop: ends the frames, from any thread.
        """
        self.address, self.reconnect_s = address, reconnect_s
        self.max_megapixels = max_megapixels
        self.stop = stop or threading.Event()
        self.counts = LiveCounts()
        self._frames: deque[VideoFrame] = deque()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._ended = False

    def describe(self) -> str:
        """Says what became of its frames, those included that wait for the detector at an end.

        Example: "161 frames received, none dropped, 11 waiting at the end, 0 reconnections".
        """
        with self._changed:
            return self.counts.describe(len(self._frames))

    def __iter__(self) -> Iterator[VideoFrame]:
        """Yields frames until it is stopped; `VideoFrame.index` counts those that came.

        Raises:
            ValueError: it cannot be opened, its frames are too large, or none came for too long.
        """
        thread = threading.Thread(target=self._run, name="live source", daemon=True)
        thread.start()
        try:
            while (frame := self._next()) is not None:
                yield frame
                del frame
            if self._error is not None and not self.stop.is_set():
                raise self._error
        finally:
            self._ended = True
            thread.join(_PATIENCE_AT_END)

    def _next(self) -> VideoFrame | None:
        """The oldest frame that waits; None at the end."""
        with self._changed:
            while not self._frames:
                if self._ended or self.stop.is_set():
                    return None
                self._changed.wait(_POLL)
            return None if self.stop.is_set() else self._frames.popleft()

    def _run(self) -> None:
        try:
            with silent_opencv():
                self._read_across_breaks()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _is_over(self) -> bool:
        return self._ended or self.stop.is_set()

    def _read_across_breaks(self) -> None:
        start = last = time.monotonic()
        wait = FIRST_WAIT
        while not self._is_over():
            before = self.counts.received
            with _opened(self.address) as capture:
                self._read(capture, start)
                # Of a camera nobody knows how many there will be.
                announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            if announced > 0 and self.counts.received - before >= _NEARLY_ALL * announced:
                return
            if self.counts.received > before:
                wait, last = FIRST_WAIT, time.monotonic()
            elif not before:
                raise ValueError(
                    f"{self.address}: it cannot be opened, or gives no frame; is it on?"
                )
            elif time.monotonic() - last > self.reconnect_s:
                raise ValueError(
                    f"{self.address}: after {counted(self.counts.received, 'frame')} none came for "
                    f"{self.reconnect_s:g} s (--reconnect_s)"
                )
            self.stop.wait(wait)
            wait = min(2 * wait, LONGEST_WAIT)

    def _read(self, capture: cv2.VideoCapture, start: float) -> None:
        """Takes frames until none comes."""
        rate, before, failed = frame_rate(capture), self.counts.received, 0
        while not self._is_over():
            asked = time.monotonic()
            read, image = capture.read()
            if not read:
                failed += 1
                if failed > _MAX_DAMAGED or time.monotonic() - asked > _QUICK:
                    return
                continue
            self.counts.damaged += failed
            failed = 0
            height, width = image.shape[:2]
            check_pixels(width, height, str(self.address), self.max_megapixels)
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            index, now = self.counts.received, time.monotonic() - start
            self.counts.breaks += bool(before) and index == before
            self._put(VideoFrame(image, now, rate, index))

    def _put(self, frame: VideoFrame) -> None:
        with self._changed:
            self.counts.received += 1
            self._frames.append(frame)
            while len(self._frames) > 1 and self._is_full():
                self._frames.popleft()
                self.counts.dropped += 1
            self._changed.notify_all()

    def _is_full(self) -> bool:
        weight = sum(frame.image.nbytes for frame in self._frames)
        return len(self._frames) > MAX_FRAMES or weight > MAX_BYTES


@contextlib.contextmanager
def _opened(address: Address) -> Iterator[cv2.VideoCapture]:
    """Connects to a source, which may fail."""
    capture = cv2.VideoCapture()
    if address.is_camera:
        capture.open(int(address.text))
    else:
        timeouts = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
        parameters = [value for kind in timeouts for value in (kind, _TIMEOUT_MS)]
        capture.open(address.text, cv2.CAP_FFMPEG, parameters)
    try:
        yield capture
    finally:
        capture.release()
