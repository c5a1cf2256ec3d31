"""Detections for pictures that are no records: photos, folders, videos."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from mobilenetdet.atomic_write import atomic_write
from mobilenetdet.config.classes import EVALUATED_CLASSES
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.data.letterbox_image import letterbox_image
from mobilenetdet.detections import to_kitti
from mobilenetdet.draw import draw_detections, write_image
from mobilenetdet.inference.detect import detect_images
from mobilenetdet.inference.detection_model import DetectionModel
from mobilenetdet.inference.sources import Picture
from mobilenetdet.kitti.labels import KittiObjects, write_objects

Format = Literal["overlay", "kitti", "json"]


def detect_pictures(
    model: DetectionModel, config: DetectionConfig, pictures: Iterable[Picture]
) -> Iterator[tuple[Picture, KittiObjects]]:
    """Detects in pictures of any size, a batch at a time.

    Yields:
        Each picture with its detections, in its own pixels, the best first.
    """
    pictures = iter(pictures)
    while batch := list(islice(pictures, config.eval.batch_size)):
        fitted = [letterbox_image(picture.image, config.image_size) for picture in batch]
        # The last picture fills up the batch, so that nothing is compiled twice.
        fitted += [fitted[-1]] * (config.eval.batch_size - len(batch))
        images = np.stack([image for image, _ in fitted])
        info = np.stack([letterbox.to_array() for _, letterbox in fitted])
        for picture, found in zip(batch, detect_images(model, images, info), strict=False):
            yield picture, to_kitti(found, config.data.classes)


class PredictionWriter:
    """Writes detections as overlays, KITTI result files or one JSON file.

    DIR/overlays/NAME.jpg, DIR/kitti/NAME.txt and DIR/detections.json; each file appears when it
    is complete.
    """

    def __init__(
        self,
        output_dir: Path,
        formats: Iterable[Format],
        *,
        draw_score: float,
        classes: Sequence[str] = EVALUATED_CLASSES,
    ) -> None:
        """Prepares the folders.

        Args:
            output_dir: DIR above.
            formats: what to write.
            draw_score: detections below it are not drawn; the other formats have all.
            classes: of the detector, in its order; their places decide about the colours.
        """
        self.output_dir, self.formats, self.draw_score = output_dir, set(formats), draw_score
        self.classes = classes
        self.entries: list[dict[str, object]] = []
        for name, folder in (("overlay", "overlays"), ("kitti", "kitti")):
            if name in self.formats:
                (output_dir / folder).mkdir(parents=True, exist_ok=True)

    def add(self, picture: Picture, objects: KittiObjects) -> None:
        """Writes what one picture holds."""
        if "overlay" in self.formats:
            shown = objects[objects.scores >= self.draw_score]
            overlay = draw_detections(picture.image, shown, classes=self.classes)
            write_image(self.output_dir / "overlays" / f"{picture.name}.jpg", overlay)
        if "kitti" in self.formats:
            write_objects(self.output_dir / "kitti" / f"{picture.name}.txt", objects)
        if "json" in self.formats:
            self.entries.append(_to_json(picture, objects))

    def close(self) -> None:
        """Writes detections.json."""
        if "json" not in self.formats:
            return
        with atomic_write(self.output_dir / "detections.json") as temporary:
            temporary.write_text(json.dumps(self.entries, indent=1) + "\n")


def _to_json(picture: Picture, objects: KittiObjects) -> dict[str, object]:
    height, width = picture.image.shape[:2]
    detections = [
        {"class": str(name), "score": round(float(score), 6), "box_xyxy": box.round(2).tolist()}
        for name, score, box in zip(objects.types, objects.scores, objects.boxes_xyxy, strict=True)
    ]
    return {
        "name": picture.name,
        "source": str(picture.source),
        "width": width,
        "height": height,
        "detections": detections,
    }
