"""Detections for pictures that are no records: photos, folders, videos."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from mobilenetdet.atomic_write import atomic_write
from mobilenetdet.detections import Detections
from mobilenetdet.drawing import draw_detections, write_image
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.inference.sources import Picture
from mobilenetdet.kitti.labels import write_objects
from mobilenetdet.output_folder import OutputFolder

Format = Literal["overlay", "kitti", "json"]
_JSON_FILE = "detections.json"


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

    DIR/overlays/NAME.jpg, DIR/kitti/NAME.txt and DIR/detections.json; each file appears when it
    is complete. Files of others in DIR stay as they are.
    """

    def __init__(
        self, folder: OutputFolder, formats: Iterable[Format], *, draw_score: float
    ) -> None:
        """Describes what is written.

        Args:
            folder: DIR above.
            formats: what to write.
            draw_score: detections below it are not drawn; the other formats have all.

        Raises:
            FileExistsError: a file of another is in the way.
        """
        self.folder, self.formats, self.draw_score = folder, set(formats), draw_score
        self.entries: list[dict[str, object]] = []
        if "json" in self.formats:
            folder.refuse_foreign([_JSON_FILE])

    def add(self, picture: Picture, found: Detections) -> None:
        """Writes what was found in one picture.

        Raises:
            FileExistsError: a file of another is in the way.
        """
        if "overlay" in self.formats:
            overlay = draw_detections(picture.image, found.above(self.draw_score))
            with self.folder.writing(f"overlays/{picture.name}.jpg") as path:
                write_image(path, overlay)
        if "kitti" in self.formats:
            with self.folder.writing(f"kitti/{picture.name}.txt") as path:
                write_objects(path, found.to_kitti())
        if "json" in self.formats:
            self.entries.append(_to_json(picture, found))

    def close(self) -> None:
        """Writes detections.json."""
        if "json" not in self.formats:
            return
        with self.folder.writing(_JSON_FILE) as path, atomic_write(path) as temporary:
            temporary.write_text(json.dumps(self.entries, indent=1) + "\n")


def _to_json(picture: Picture, found: Detections) -> dict[str, object]:
    height, width = picture.image.shape[:2]
    return {
        "name": picture.name,
        "source": str(picture.source),
        "width": width,
        "height": height,
        "detections": found.to_json(),
    }
