"""Lists of all detections of a call, which grow on disk: detections.json, .csv and coco.json."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from typing import IO, Any

from mobilenetdet.detections import Detections
from mobilenetdet.files.names import utf8_text
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.media.sources import Picture

# A list is written again after a pause of so many times what writing it took, and of some seconds,
# so that thousands of pictures do not spend their time on it.
_PAUSE, _LEAST_PAUSE = 20.0, 5.0
# Characters that are kept in memory; what is more goes to a temporary file.
_IN_MEMORY = 8_000_000
_SCORE_DECIMALS, _PIXEL_DECIMALS = 6, 2
# A spreadsheet would compute what begins with one of these.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
CSV_COLUMNS = tuple("name source class score xmin ymin xmax ymax width height".split())


class _Spool:
    """Text that grows, in memory while it is short."""

    def __init__(self, between: str = "") -> None:
        """Begins; `between` stands between two pieces."""
        self._file: IO[str] = tempfile.SpooledTemporaryFile(
            _IN_MEMORY, "w+", encoding="utf-8", newline=""
        )
        self._between, self.is_empty = between, True

    def add(self, text: str) -> None:
        """Adds a piece."""
        self._file.write(text if self.is_empty else self._between + text)
        self.is_empty = False

    def copy_to(self, other: IO[str]) -> None:
        """Writes all of it to another file."""
        self._file.seek(0)
        shutil.copyfileobj(self._file, other)
        self._file.seek(0, io.SEEK_END)

    def close(self) -> None:
        """Gives it up."""
        self._file.close()


class DetectionList:
    """A file with all detections; a base of the kinds below.

    It is whole at any moment: written again and again, and a last time when it is closed. Memory
    does not grow with the pictures, since what is in it waits on disk.
    """

    name = ""

    def __init__(self, folder: OutputFolder) -> None:
        """Takes the folder.

        Raises:
            FileExistsError: a file of another is in the way.
        """
        self._folder, self._next_write = folder, 0.0
        self._spools = self._make_spools()
        folder.refuse_foreign([self.name])

    def add(self, picture: Picture, found: Detections) -> None:
        """Adds what was found in a picture."""
        self._add(picture, found)
        if time.monotonic() >= self._next_write:
            self._write(durable=False)

    def close(self) -> None:
        """Writes the file with all pictures."""
        try:
            self._write(durable=True)
        finally:
            for spool in self._spools:
                spool.close()

    def _write(self, *, durable: bool) -> None:
        start = time.monotonic()
        with self._folder.writing(self.name, durable=durable) as path:
            with path.open("w", encoding="utf-8", newline="") as file:
                self._compose(file)
        end = time.monotonic()
        self._next_write = end + max(_LEAST_PAUSE, _PAUSE * (end - start))

    def _make_spools(self) -> Sequence[_Spool]:
        raise NotImplementedError

    def _add(self, picture: Picture, found: Detections) -> None:
        raise NotImplementedError

    def _compose(self, file: IO[str]) -> None:
        raise NotImplementedError


class JsonList(DetectionList):
    """A list with one entry a picture."""

    name = "detections.json"

    def _make_spools(self) -> Sequence[_Spool]:
        return [_Spool(",\n")]

    def _add(self, picture: Picture, found: Detections) -> None:
        height, width = picture.image.shape[:2]
        entry: dict[str, Any] = {
            "name": picture.name,
            "source": utf8_text(str(picture.source)),
            "width": width,
            "height": height,
            "detections": found.to_json(),
        }
        # As it stands in a list: without the lines of the brackets.
        self._spools[0].add(json.dumps([entry], indent=1)[2:-2])

    def _compose(self, file: IO[str]) -> None:
        spool = self._spools[0]
        if spool.is_empty:
            file.write("[]\n")
            return
        file.write("[\n")
        spool.copy_to(file)
        file.write("\n]\n")


class CsvList(DetectionList):
    """A table with one row a detection, pixels of the picture."""

    name = "detections.csv"

    def _make_spools(self) -> Sequence[_Spool]:
        return [_Spool()]

    def _add(self, picture: Picture, found: Detections) -> None:
        height, width = picture.image.shape[:2]
        rows = io.StringIO()
        writer = csv.writer(rows, lineterminator="\n")
        boxes = found.boxes_xyxy.round(_PIXEL_DECIMALS).tolist()
        scores = found.scores.round(_SCORE_DECIMALS).tolist()
        source = utf8_text(str(picture.source))
        for box, score, name in zip(boxes, scores, found.class_names, strict=True):
            texts = map(_no_formula, (picture.name, source, str(name)))
            writer.writerow([*texts, score, *box, width, height])
        self._spools[0].add(rows.getvalue())

    def _compose(self, file: IO[str]) -> None:
        file.write(",".join(CSV_COLUMNS) + "\n")
        self._spools[0].copy_to(file)


class CocoList(DetectionList):
    """COCO's format: images, categories, and annotations with a score.

    `pycocotools.coco.COCO` reads the file; its "annotations" are what `COCO.loadRes` takes.
    """

    name = "coco.json"

    def _make_spools(self) -> Sequence[_Spool]:
        self._images = self._annotations = 0
        self._classes: Sequence[str] = ()
        return [_Spool(",\n"), _Spool(",\n")]

    def _add(self, picture: Picture, found: Detections) -> None:
        height, width = picture.image.shape[:2]
        self._images += 1
        self._classes = found.classes
        file_name = f"{picture.name}.jpg" if picture.frame_of else utf8_text(str(picture.source))
        image = {"id": self._images, "file_name": file_name, "width": width, "height": height}
        self._spools[0].add(json.dumps(image))
        for box, score, class_id in zip(
            found.boxes_xyxy.tolist(), found.scores.tolist(), found.class_ids.tolist(), strict=True
        ):
            self._annotations += 1
            left, top, right, bottom = box
            sides = [left, top, right - left, bottom - top]
            annotation = {
                "id": self._annotations,
                "image_id": self._images,
                "category_id": class_id + 1,
                "bbox": [round(side, _PIXEL_DECIMALS) for side in sides],
                "area": round(sides[2] * sides[3], _PIXEL_DECIMALS),
                "iscrowd": 0,
                "score": round(score, _SCORE_DECIMALS),
            }
            self._spools[1].add(json.dumps(annotation))

    def _compose(self, file: IO[str]) -> None:
        categories = [{"id": i, "name": name} for i, name in enumerate(self._classes, 1)]
        file.write('{"categories": ' + json.dumps(categories))
        for key, spool in zip(("images", "annotations"), self._spools, strict=True):
            file.write(f',\n"{key}": [\n')
            spool.copy_to(file)
            file.write("\n]")
        file.write("}\n")


LISTS: dict[str, type[DetectionList]] = {"json": JsonList, "csv": CsvList, "coco": CocoList}


def _no_formula(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
