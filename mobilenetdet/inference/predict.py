"""Detections for pictures that are no records: photos, folders, videos, cameras.

Decoding and letterboxing, the network, and drawing and writing overlap.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

import numpy as np

from mobilenetdet.boxes.letterbox import Letterbox
from mobilenetdet.detections import Detections
from mobilenetdet.media.sources import Media, Picture, ReadOptions, read_pictures
from mobilenetdet.predictions.writer import PredictionWriter
from mobilenetdet.system.threads import call_behind, read_ahead

Fitted = tuple[np.ndarray, Letterbox]


class PictureDetector(Protocol):
    """What of a `LoadedDetector` is needed here."""

    @property
    def batch_size(self) -> int:
        """Images that go through the network at once."""
        ...

    def letterbox(self, image: np.ndarray) -> Fitted:
        """Fits uint8 [H, W, 3] into a network input."""
        ...

    def detect_fitted(self, fitted: Iterable[Fitted]) -> Iterator[Detections]:
        """Detects in what `letterbox` gave, in its order."""
        ...


class FittedPicture(NamedTuple):
    """A picture, and what the network sees of it.

    Attributes:
        picture: as it was read.
        image: uint8 [*image_size, 3], letterboxed.
        letterbox: moves boxes along.
    """

    picture: Picture
    image: np.ndarray
    letterbox: Letterbox


class Counts(NamedTuple):
    """How many pictures were looked at, and the objects in them that are drawn."""

    pictures: int
    objects: int


def predict_files(
    model: PictureDetector,
    sources: Sequence[Media],
    writer: PredictionWriter,
    *,
    on_fault: Callable[[Media, Exception], None],
    names: Sequence[str] | None = None,
    options: ReadOptions | None = None,
    progress: Callable[[int, int], None] = lambda pictures, objects: None,
    show: Callable[[Picture, Detections], None] = lambda picture, found: None,
) -> Counts:
    """Detects in images, videos and streams and writes what was found, in their order.

    Reading, detecting and writing overlap, with a few pictures between them. However it ends, what
    was detected until then is written.

    Args:
        model: the detector.
        sources: images, videos, cameras, streams.
        writer: is left open.
        on_fault: called with a source that cannot be read, or whose overlay cannot be written, and
            the reason; from other threads.
        names: of the sources; by default those of `name_pictures`.
        options: how they are read; its `stop` is set at the end.
        progress: called with the number of pictures that are done and of the objects in them,
            from another thread.
        show: called with each picture and what was found, from this thread.

    Raises:
        FileExistsError: a file of another is in the way.
    """
    options = ReadOptions() if options is None else options
    stop = options.stop or threading.Event()
    tally = _Tally(writer, on_fault, progress)
    pictures = read_pictures(sources, on_fault, options=options._replace(stop=stop), names=names)
    waiting = _num_waiting(model)
    with (
        _fitted_ahead(model, pictures) as fitted,
        call_behind(tally.write, waiting, lambda call: call[0].image.nbytes) as write_behind,
        _at_end(stop.set),  # before the reader is waited for: a camera may be silent
    ):
        for picture, found in detect_fitted(model, fitted):
            write_behind(picture, found)
            show(picture, found)
            del picture
    return Counts(tally.pictures, tally.objects)


class _Tally:
    """Writes what was found, and counts."""

    def __init__(
        self,
        writer: PredictionWriter,
        on_fault: Callable[[Media, Exception], None],
        progress: Callable[[int, int], None],
    ) -> None:
        self.writer, self.on_fault, self.progress = writer, on_fault, progress
        self.pictures = self.objects = 0

    def write(self, picture: Picture, found: Detections) -> None:
        """Writes what was found in a picture, and counts it; a fault of the picture is told."""
        try:
            self.writer.add(picture, found)
        except ValueError as error:
            self.on_fault(picture.source, error)
        self.pictures += 1
        self.objects += len(found.above(self.writer.draw_score))
        self.progress(self.pictures, self.objects)


@contextlib.contextmanager
def _at_end(call: Callable[[], None]) -> Iterator[None]:
    try:
        yield
    finally:
        call()


def detect_pictures(
    model: PictureDetector, pictures: Iterable[Picture]
) -> Iterator[tuple[Picture, Detections]]:
    """Detects in pictures of any size.

    Yields:
        Each picture with its detections, in its own pixels, the best first.
    """
    return detect_fitted(model, fit_pictures(model, pictures))


def detect_ahead(
    model: PictureDetector, pictures: Iterable[Picture]
) -> Iterator[tuple[Picture, Detections]]:
    """Detects as `detect_pictures` does; reading and letterboxing overlap with the network."""
    with _fitted_ahead(model, pictures) as fitted:
        yield from detect_fitted(model, fitted)


def _fitted_ahead(
    model: PictureDetector, pictures: Iterable[Picture]
) -> AbstractContextManager[Iterator[FittedPicture]]:
    """Reads and letterboxes in a thread of its own."""
    fitted = fit_pictures(model, pictures)
    return read_ahead(fitted, _num_waiting(model), lambda each: each.picture.image.nbytes)


def _num_waiting(model: PictureDetector) -> int:
    return max(2, model.batch_size)


def fit_pictures(model: PictureDetector, pictures: Iterable[Picture]) -> Iterator[FittedPicture]:
    """Letterboxes pictures, one after the other."""
    for picture in pictures:
        yield FittedPicture(picture, *model.letterbox(picture.image))
        del picture


def detect_fitted(
    model: PictureDetector, fitted: Iterable[FittedPicture]
) -> Iterator[tuple[Picture, Detections]]:
    """Detects in letterboxed pictures; see `detect_pictures`."""
    waiting: deque[Picture] = deque()

    def images() -> Iterator[tuple[np.ndarray, Letterbox]]:
        for picture, image, letterbox in fitted:
            waiting.append(picture)
            yield image, letterbox

    for found in model.detect_fitted(images()):
        yield waiting.popleft(), found
