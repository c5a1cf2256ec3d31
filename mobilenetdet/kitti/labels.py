"""KITTI's label and result lines, read and written without loss.

A line holds one object: type, truncated, occluded, alpha, left, top, right, bottom, height, width,
length, x, y, z, rotation_y and, in result files only, score. The format is described in the readme
of KITTI's object development kit (https://www.cvlibs.net/datasets/kitti/eval_object.php).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from mobilenetdet.files.atomic_write import atomic_write
from mobilenetdet.files.text import read_text
from mobilenetdet.findings import counted
from mobilenetdet.kitti.format_hints import columns_hint
from mobilenetdet.kitti.value_checks import check_types, check_values

COLUMNS = (
    *("type", "truncated", "occluded", "alpha", "left", "top", "right", "bottom"),
    *("height", "width", "length", "x", "y", "z", "rotation_y", "score"),
)
UNKNOWN_ALPHA = UNKNOWN_ROTATION = -10.0
UNKNOWN_LOCATION = -1000.0
_NUM_LABEL_COLUMNS, _NUM_RESULT_COLUMNS = 15, 16
# What each numeric column holds where nothing is known; boxes and scores are always known.
_UNKNOWN = (-1.0, -1.0, UNKNOWN_ALPHA, *[None] * 4, *[-1.0] * 3, *[UNKNOWN_LOCATION] * 3)
_UNKNOWN += (UNKNOWN_ROTATION, None)


@dataclass(frozen=True, eq=False)
class KittiObjects:
    """The N objects of one frame, in the order of the file, as one array per field.

    Attributes:
        types: [N] str, the type names as written.
        truncated: [N] float64, 0 to 1; -1 unknown.
        occluded: [N] int64, 0 visible, 1 partly, 2 largely hidden, 3 or -1 unknown.
        alpha: [N] float64, observation angle in radians; -10 unknown.
        boxes_xyxy: [N, 4] float64, left, top, right, bottom in pixels of the original image.
        dimensions_hwl: [N, 3] float64, height, width, length in metres; -1 unknown.
        locations_xyz: [N, 3] float64, metres in camera coordinates; -1000 unknown.
        rotation_y: [N] float64, yaw in radians; -10 unknown.
        scores: [N] float64, higher is surer, in any range; None for labels.
    """

    types: np.ndarray
    truncated: np.ndarray
    occluded: np.ndarray
    alpha: np.ndarray
    boxes_xyxy: np.ndarray
    dimensions_hwl: np.ndarray
    locations_xyz: np.ndarray
    rotation_y: np.ndarray
    scores: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Refuses arrays of different lengths or of the wrong shape."""
        num_objects = len(self.types)
        widths = {"boxes_xyxy": (4,), "dimensions_hwl": (3,), "locations_xyz": (3,)}
        for name, array in vars(self).items():
            expected = (num_objects, *widths.get(name, ()))
            if array is not None and array.shape != expected:
                raise ValueError(f"{name} has shape {array.shape}, expected {expected}")

    def __len__(self) -> int:
        """Returns the number of objects."""
        return len(self.types)

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> KittiObjects:
        """Returns the objects that a mask, a slice, an integer array or one integer selects."""
        if isinstance(index, int | np.integer):
            index = [index]
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        chosen: dict[str, Any] = {k: v if v is None else v[index] for k, v in arrays.items()}
        return KittiObjects(**chosen)

    @property
    def detection_scores(self) -> np.ndarray:
        """The scores of detections, [N].

        Raises:
            ValueError: these are labels, which have none.
        """
        if self.scores is None:
            raise ValueError("these are labels, without scores; read them with with_scores=True")
        return self.scores

    @classmethod
    def empty(cls, *, with_scores: bool = False) -> KittiObjects:
        """Returns a frame without objects; `with_scores` makes it a result."""
        num_columns = _NUM_RESULT_COLUMNS if with_scores else _NUM_LABEL_COLUMNS
        return _from_columns([], np.empty((0, num_columns - 1)))

    @classmethod
    def from_detections(
        cls, types: Sequence[str] | np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray
    ) -> KittiObjects:
        """Returns a result frame whose other fields hold KITTI's values for unknown.

        Args:
            types: N type names.
            boxes_xyxy: [N, 4] left, top, right, bottom in pixels of the original image.
            scores: [N] in any range, higher is surer.

        Raises:
            ValueError: the three differ in length.
        """
        boxes_xyxy = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
        scores = np.asarray(scores, np.float64).reshape(-1)
        if not len(types) == len(boxes_xyxy) == len(scores):
            counts = f"{len(types)} types, {len(boxes_xyxy)} boxes and {len(scores)} scores"
            raise ValueError(f"{counts} given; each detection needs one of each")
        numbers = np.array([0.0 if value is None else value for value in _UNKNOWN])
        numbers = np.tile(numbers, (len(types), 1))  # [N, 15]
        numbers[:, 3:7] = boxes_xyxy
        numbers[:, 14] = scores
        return _from_columns(types, numbers)


def parse_objects(
    text: str, source: str, *, with_scores: bool | None = None, allow_inverted: bool = False
) -> KittiObjects:
    """Returns the objects of a label text (15 columns) or of a result text (16 columns).

    Blank lines are passed over. Boxes may reach over the border of an image, but not beyond any,
    and have no negative side. Labels have to make sense (`occluded` -1 to 3, `truncated` -1 or 0
    to 1, no place that no camera sees); these fields of results are not looked at.

    Args:
        text: the content of a file.
        source: its name, for messages.
        with_scores: True requires result lines, False label lines, None takes either. An empty
            text gives a result frame for True, else a label frame.
        allow_inverted: takes boxes with right < left or bottom < top, to find out what they are.

    Raises:
        InvertedBoxError: a box has a negative side.
        ValueError: a line is damaged or the lines differ in kind; names source:line, the field
            and the value.
    """
    if "\r" in text:  # faster than two replacements that find none
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    rows = [(number, words) for number, line in enumerate(lines, 1) if (words := line.split())]
    if not rows:
        return KittiObjects.empty(with_scores=bool(with_scores))
    _check_column_counts(rows, source, with_scores)
    numbers = _parse_numbers(rows, source)
    check_values(numbers, rows, source, allow_inverted=allow_inverted)
    check_types(rows, source)
    return _from_columns([words[0] for _, words in rows], numbers)


def read_objects(
    path: str | os.PathLike[str],
    *,
    with_scores: bool | None = None,
    allow_inverted: bool = False,
) -> KittiObjects:
    """Returns the objects of a label or result file; see `parse_objects`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not text, or a line is damaged.
    """
    text = read_text(path, "KITTI label file")
    return parse_objects(text, str(path), with_scores=with_scores, allow_inverted=allow_inverted)


def format_objects(objects: KittiObjects) -> str:
    """Returns the official lines: two decimals (scores four), more where needed to read back equal.

    Raises:
        ValueError: a value is not finite, or a type name is empty or holds a space.
    """
    for index, name in enumerate(objects.types.tolist()):
        if len(name.split()) != 1 or name.strip() != name:
            raise ValueError(f"object {index}: type {name!r} has to be one word")
    words = [objects.types.tolist()]
    for name, column, unknown in zip(COLUMNS[1:], _to_columns(objects).T, _UNKNOWN, strict=False):
        if not np.isfinite(column).all():
            index = int(np.argmin(np.isfinite(column)))
            raise ValueError(f"object {index}: {name} is {column[index]}; KITTI needs numbers")
        words.append(_format_column(name, column, unknown))
    return "".join(f"{' '.join(line)}\n" for line in zip(*words, strict=True))


def write_objects(path: str | os.PathLike[str], objects: KittiObjects) -> None:
    """Writes a label or result file; a reader sees the old file or the new one, never a part."""
    # A detector writes thousands, and can write them again.
    with atomic_write(Path(path), durable=False) as temporary:
        temporary.write_text(format_objects(objects), encoding="utf-8", newline="\n")


def _check_column_counts(rows: list[tuple[int, list[str]]], source: str, with_scores) -> None:
    allowed = {None: (15, 16), True: (16,), False: (15,)}[with_scores]
    counts = {len(words) for _, words in rows}
    if len(counts) == 1 and counts.issubset(allowed):
        return
    first_number, first_words = rows[0]
    for number, words in rows:
        if len(words) not in allowed:
            kinds = " or ".join(
                {15: "15 (label)", 16: "16 (result, with score)"}[n] for n in allowed
            )
            raise ValueError(
                f"{source}:{number}: {counted(len(words), 'column')}, expected {kinds}: {words}"
                + columns_hint(words, source)
            )
        if len(words) != len(first_words):
            raise ValueError(
                f"{source}:{number}: {counted(len(words), 'column')}, but line {first_number} has "
                f"{len(first_words)}; a file holds labels (15) or results with score (16), not both"
            )


def _parse_numbers(rows: list[tuple[int, list[str]]], source: str) -> np.ndarray:
    """Returns every column but the type as [N, 14 or 15] float64."""
    # Thousands of files are read: one flat list takes less time than an array of lists.
    words_of_all: list[str] = []
    for _, words in rows:
        words_of_all += words[1:]
    try:
        numbers = np.fromiter(map(float, words_of_all), np.float64, len(words_of_all))
        numbers = numbers.reshape(len(rows), -1)
        # Python reads 1_000 and other scripts' digits as numbers; the devkit does not.
        tokens = "".join(words_of_all)
        if np.isfinite(numbers).all() and tokens.isascii() and "_" not in tokens:
            return numbers
    except ValueError:
        pass
    for number, words in rows:
        for name, word in zip(COLUMNS[1:], words[1:], strict=False):
            if not _is_finite_number(word):
                raise ValueError(f"{source}:{number}: {name} is {word!r}, expected a finite number")
    raise AssertionError("a number was refused that is fine one by one")


def _is_finite_number(word: str) -> bool:
    try:
        return word.isascii() and "_" not in word and bool(np.isfinite(float(word)))
    except ValueError:
        return False


def _from_columns(types: Sequence[str] | np.ndarray, numbers: np.ndarray) -> KittiObjects:
    return KittiObjects(
        types=np.asarray(types, dtype=str),
        truncated=numbers[:, 0],
        occluded=numbers[:, 1].astype(np.int64),
        alpha=numbers[:, 2],
        boxes_xyxy=numbers[:, 3:7],
        dimensions_hwl=numbers[:, 7:10],
        locations_xyz=numbers[:, 10:13],
        rotation_y=numbers[:, 13],
        scores=numbers[:, 14] if numbers.shape[1] == _NUM_RESULT_COLUMNS - 1 else None,
    )


def _to_columns(objects: KittiObjects) -> np.ndarray:
    columns = [objects.truncated, objects.occluded, objects.alpha, objects.boxes_xyxy]
    columns += [objects.dimensions_hwl, objects.locations_xyz, objects.rotation_y]
    columns += [] if objects.scores is None else [objects.scores]
    return np.column_stack([np.asarray(column, np.float64) for column in columns])


def _format_column(name: str, column: np.ndarray, unknown: float | None) -> list[str]:
    if name == "occluded" or (column == unknown).all():
        return [str(int(value)) for value in column]
    decimals = 4 if name == "score" else 2
    words = []
    for value in column.tolist():
        word = str(int(value)) if value == unknown else f"{value:.{decimals}f}"
        words.append(word if float(word) == value else repr(value))
    return words
