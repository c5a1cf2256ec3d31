"""Detections for pictures that are no records: photos, folders, videos.

Decoding and letterboxing, the network, and drawing and writing overlap.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple

import numpy as np

from mobilenetdet.boxes.letterbox import Letterbox
from mobilenetdet.detections import Detections
from mobilenetdet.drawing import draw_detections, write_image
from mobilenetdet.file_names import utf8_text
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.kitti.labels import write_objects
from mobilenetdet.media.sources import Picture, read_pictures
from mobilenetdet.output_folder import OutputFolder
from mobilenetdet.overlap import call_behind, read_ahead
from mobilenetdet.records.encoded_image import MAX_MEGAPIXELS
from mobilenetdet.text_file import write_json

PredictionFormat = Literal["overlay", "kitti", "json"]
_JSON_FILE = "detections.json"
# detections.json is written again after a pause of so many times what writing it took, so that
# thousands of pictures do not spend their time on it.
_PAUSE = 20.0


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
    model: LoadedDetector,
    files: Sequence[Path],
    writer: PredictionWriter,
    *,
    on_fault: Callable[[Path, Exception], None],
    names: Sequence[str] | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
    progress: Callable[[int], None] = lambda done: None,
) -> Counts:
    """Detects in images and videos and writes what was found, in the order of the files.

    Reading, detecting and writing overlap, with a few pictures between them. However it ends, what
    was detected until then is written.

    Args:
        model: the detector.
        files: images and videos.
        writer: is left open.
        on_fault: called with a file that cannot be read, or whose overlay cannot be written, and
            the reason; from other threads.
        names: of the files; by default those of `name_pictures`.
        max_megapixels: larger images and frames are refused before they are decoded.
        progress: called with the number of pictures that are done, from another thread.

    Raises:
        FileExistsError: a file of another is in the way.
    """
    pictures = objects = 0

    def write(picture: Picture, found: Detections) -> None:
        """Writes and counts."""
        nonlocal pictures, objects
        try:
            writer.add(picture, found)
        except ValueError as error:
            on_fault(picture.source, error)
        pictures += 1
        objects += len(found.above(writer.draw_score))
        progress(pictures)

    pictures_of_files = read_pictures(files, on_fault, max_megapixels=max_megapixels, names=names)
    read = fit_pictures(model, pictures_of_files)
    waiting = max(2, model.batch_size)
    with (
        read_ahead(read, waiting, lambda fitted: fitted.picture.image.nbytes) as fitted,
        call_behind(write, waiting, lambda call: call[0].image.nbytes) as write_behind,
    ):
        for picture, found in detect_fitted(model, fitted):
            write_behind(picture, found)
    return Counts(pictures, objects)


def detect_pictures(
    model: LoadedDetector, pictures: Iterable[Picture]
) -> Iterator[tuple[Picture, Detections]]:
    """Detects in pictures of any size, a batch at a time.

    Yields:
        Each picture with its detections, in its own pixels, the best first.
    """
    return detect_fitted(model, fit_pictures(model, pictures))


def fit_pictures(model: LoadedDetector, pictures: Iterable[Picture]) -> Iterator[FittedPicture]:
    """Letterboxes pictures, one after the other."""
    for picture in pictures:
        yield FittedPicture(picture, *model.letterbox(picture.image))


def detect_fitted(
    model: LoadedDetector, fitted: Iterable[FittedPicture]
) -> Iterator[tuple[Picture, Detections]]:
    """Detects in letterboxed pictures, a batch at a time; see `detect_pictures`."""
    waiting: deque[Picture] = deque()

    def images() -> Iterator[tuple[np.ndarray, Letterbox]]:
        for picture, image, letterbox in fitted:
            waiting.append(picture)
            yield image, letterbox

    for found in model.detect_fitted(images()):
        yield waiting.popleft(), found


class PredictionWriter:
    """Writes detections as overlays, KITTI result files or one JSON file.

    DIR/overlays/NAME.jpg, DIR/kitti/NAME.txt and DIR/detections.json. A file is whole or not there:
    detections.json is valid from the first picture on and grows with the pictures; the `with` block
    leaves all of them in it, however it ends. Files of others in DIR stay as they are.
    """

    def __init__(
        self,
        folder: OutputFolder,
        formats: Iterable[PredictionFormat],
        *,
        draw_score: float | Mapping[str, float],
        file_score: float = 0.0,
    ) -> None:
        """Describes what is written.

        Args:
            folder: DIR above.
            formats: what to write.
            draw_score: detections below it are not drawn; one for all classes, or by class.
            file_score: detections below it are not in the files; by default all are.

        Raises:
            FileExistsError: a file of another is in the way.
        """
        self.folder, self.formats = folder, set(formats)
        self.draw_score, self.file_score = draw_score, file_score
        self.entries: list[dict[str, object]] = []
        self._next_write = 0.0
        if "json" in self.formats:
            folder.refuse_foreign([_JSON_FILE])

    def __enter__(self) -> PredictionWriter:
        """Returns the writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes it, after a failure as well: what was detected until then is kept."""
        self.close()

    def add(self, picture: Picture, found: Detections) -> None:
        """Writes what was found in one picture.

        Raises:
            FileExistsError: a file of another is in the way.
            ValueError: the picture is too large for an overlay.
        """
        kept = found.above(self.file_score)
        if "kitti" in self.formats:
            with self.folder.writing(f"kitti/{picture.name}.txt", durable=False) as path:
                write_objects(path, kept.to_kitti())
        if "json" in self.formats:
            self.entries.append(_to_json(picture, kept))
            if time.monotonic() >= self._next_write:
                self._write_json(durable=False)
        # The last, since a picture may be too large for it, and what was found is kept then.
        if "overlay" in self.formats:
            overlay = draw_detections(picture.image, found.above(self.draw_score))
            with self.folder.writing(f"overlays/{picture.name}.jpg", durable=False) as path:
                write_image(path, overlay)

    def close(self) -> None:
        """Writes detections.json with all pictures."""
        if "json" in self.formats:
            self._write_json(durable=True)

    def _write_json(self, *, durable: bool) -> None:
        start = time.monotonic()
        with self.folder.writing(_JSON_FILE, durable=durable) as path:
            write_json(path, self.entries, indent=1, durable=durable)
        end = time.monotonic()
        self._next_write = end + _PAUSE * (end - start)


def _to_json(picture: Picture, found: Detections) -> dict[str, object]:
    height, width = picture.image.shape[:2]
    return {
        "name": picture.name,
        "source": utf8_text(picture.source),
        "width": width,
        "height": height,
        "detections": found.to_json(),
    }
