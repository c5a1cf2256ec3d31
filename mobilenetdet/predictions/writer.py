"""What predict writes: a file for each picture, lists of all detections, videos."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Literal

import numpy as np

from mobilenetdet.detections import Detections
from mobilenetdet.drawing import draw_detections, write_image
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.kitti.labels import write_objects
from mobilenetdet.media.sources import Picture
from mobilenetdet.predictions.lists import LISTS, DetectionList
from mobilenetdet.predictions.videos import VideoFiles

PredictionFormat = Literal["overlay", "video", "kitti", "json", "csv", "coco", "yolo", "crops"]
# Names of the classes by their numbers in yolo/NAME.txt.
_YOLO_CLASSES = "yolo_classes.txt"


class PredictionWriter:
    """Writes detections as pictures, videos, result files or lists.

    DIR/overlays/NAME.jpg, videos/VIDEO.mp4, crops/CLASS/NAME_0.jpg, kitti/NAME.txt, yolo/NAME.txt,
    detections.json, detections.csv and coco.json. A file is whole or not there. The lists are valid
    from the first picture on and grow with the pictures; the `with` block leaves all of them in
    them, and ends the videos, however it ends itself. Files of others in DIR stay as they are.
    """

    def __init__(
        self,
        folder: OutputFolder,
        formats: Iterable[PredictionFormat],
        *,
        draw_score: float | Mapping[str, float],
        file_score: float = 0.0,
        frame_formats: Iterable[PredictionFormat] | None = None,
    ) -> None:
        """Describes what is written.

        Args:
            folder: DIR above.
            formats: what to write.
            draw_score: detections below it are not drawn; one for all classes, or by class.
            file_score: detections below it are not in the files; by default all are.
            frame_formats: what to write of frames of videos; by default as of pictures.

        Raises:
            FileExistsError: a file of another is in the way.
        """
        self.folder, self.formats = folder, set(formats)
        self.frame_formats = self.formats if frame_formats is None else set(frame_formats)
        self.draw_score, self.file_score = draw_score, file_score
        every = self.formats | self.frame_formats
        self._lists: dict[str, DetectionList] = {
            name: kind(folder) for name, kind in LISTS.items() if name in every
        }
        self.videos = VideoFiles(folder)
        if "yolo" in every:
            folder.refuse_foreign([_YOLO_CLASSES])
        self._yolo_classes: Sequence[str] = ()

    def weaker_in(self) -> list[str]:
        """Returns the formats that hold detections too weak to be drawn."""
        every = (self.formats | self.frame_formats) & {"kitti", "yolo", *LISTS}
        drawn = self.draw_score
        lowest = min(drawn.values()) if isinstance(drawn, Mapping) else drawn
        return sorted(every) if self.file_score < lowest else []

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
        formats = self.frame_formats if picture.frame_of else self.formats
        kept, drawn = found.above(self.file_score), found.above(self.draw_score)
        if "kitti" in formats:
            with self.folder.writing(f"kitti/{picture.name}.txt", durable=False) as path:
                write_objects(path, kept.to_kitti())
        if "yolo" in formats:
            self._write_yolo(picture, kept)
        for name in formats & set(self._lists):
            self._lists[name].add(picture, kept)
        if "crops" in formats:
            self._write_crops(picture, drawn)
        if formats & {"video", "overlay"}:
            self._write_drawn(picture, drawn, formats)

    def close(self) -> None:
        """Ends the videos, and writes the lists with all pictures."""
        with contextlib.ExitStack() as stack:  # each of them, whatever befalls another
            for each in self._lists.values():
                stack.callback(each.close)
            self.videos.close()

    def _write_drawn(
        self, picture: Picture, drawn: Detections, formats: set[PredictionFormat]
    ) -> None:
        """The last, since a picture may be too large for it, and what was found is kept then."""
        overlay = draw_detections(picture.image, drawn)
        if "video" in formats and picture.frame_of:
            # Without the strip below: a video keeps its size.
            self.videos.add(picture.frame_of, overlay[: len(picture.image)])
        if "overlay" in formats:
            with self.folder.writing(f"overlays/{picture.name}.jpg", durable=False) as path:
                write_image(path, overlay)

    def _write_crops(self, picture: Picture, drawn: Detections) -> None:
        height, width = picture.image.shape[:2]
        for index, (box, name) in enumerate(zip(drawn.boxes_xyxy, drawn.class_names, strict=True)):
            left, top = (max(0, int(side)) for side in box[:2])
            right, bottom = min(width, -int(-box[2] // 1)), min(height, -int(-box[3] // 1))
            if right <= left or bottom <= top:
                continue  # nothing of it is inside the picture
            crop = picture.image[top:bottom, left:right]
            path_name = f"crops/{name}/{picture.name}_{index}.jpg"
            with self.folder.writing(path_name, durable=False) as path:
                write_image(path, np.ascontiguousarray(crop))

    def _write_yolo(self, picture: Picture, kept: Detections) -> None:
        """One line a detection: class, centre, size as shares of the picture, score."""
        if self._yolo_classes != kept.classes:
            self._yolo_classes = kept.classes
            with self.folder.writing(_YOLO_CLASSES, durable=False) as path:
                path.write_text("".join(f"{n}\n" for n in kept.classes), encoding="utf-8")
        with self.folder.writing(f"yolo/{picture.name}.txt", durable=False) as path:
            path.write_text("".join(yolo_lines(picture, kept)), encoding="utf-8")


def yolo_lines(picture: Picture, found: Detections) -> list[str]:
    """Returns a line for each detection, as YOLO's tools write predictions with confidences.

    Example: a Car, class 0, in the left half of a picture is "0 0.25 0.5 0.5 1 0.9".
    """
    height, width = picture.image.shape[:2]
    lines = []
    for box, score, class_id in zip(found.boxes_xyxy, found.scores, found.class_ids, strict=True):
        x0, x1 = box[[0, 2]] / width
        y0, y1 = box[[1, 3]] / height
        values = ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, score)
        lines.append(f"{class_id} " + " ".join(f"{value:.6g}" for value in values) + "\n")
    return lines
