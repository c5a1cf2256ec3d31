"""Detections for pictures that are no records: photos, folders, videos."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Literal

import numpy as np

from mobilenetdet.detections import Detections
from mobilenetdet.drawing import draw_detections, write_image
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.inference.sources import Picture
from mobilenetdet.kitti.labels import write_objects
from mobilenetdet.output_folder import OutputFolder
from mobilenetdet.text_file import write_json

Format = Literal["overlay", "kitti", "json"]
_JSON_FILE = "detections.json"
# detections.json is written again after a pause of so many times what writing it took, so that
# thousands of pictures do not spend their time on it.
_PAUSE = 20.0


def detect_pictures(
    model: LoadedDetector, pictures: Iterable[Picture]
) -> Iterator[tuple[Picture, Detections]]:
    """Detects in pictures of any size, a batch at a time.

    Yields:
        Each picture with its detections, in its own pixels, the best first.
    """
    waiting: deque[Picture] = deque()

    def images() -> Iterator[np.ndarray]:
        for picture in pictures:
            waiting.append(picture)
            yield picture.image

    for found in model.detect_images(images()):
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
        formats: Iterable[Format],
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
        if "overlay" in self.formats:
            overlay = draw_detections(picture.image, found.above(self.draw_score))
            with self.folder.writing(f"overlays/{picture.name}.jpg", durable=False) as path:
                write_image(path, overlay)
        kept = found.above(self.file_score)
        if "kitti" in self.formats:
            with self.folder.writing(f"kitti/{picture.name}.txt", durable=False) as path:
                write_objects(path, kept.to_kitti())
        if "json" in self.formats:
            self.entries.append(_to_json(picture, kept))
            if time.monotonic() >= self._next_write:
                self._write_json(durable=False)

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
        "source": str(picture.source),
        "width": width,
        "height": height,
        "detections": found.to_json(),
    }
