"""What the numbers of a label or result line may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mobilenetdet.config.type_names import MAX_NAME, NAME_RULE, is_type_name

_NUM_RESULT_NUMBERS = 15
# Results carry nothing in `occluded`; this bound only keeps the value an integer.
_MAX_RESULT_OCCLUDED = 99
# Sides of images are below 2**16 pixels in the formats that cameras write. Boxes may reach over the
# border, but not that far; float32, which records and networks have, keeps no pixels of such.
_MAX_COORDINATE = 100_000
# Metres and radians: no camera sees further.
_MAX_NUMBER = 1_000_000

# Highest magnitude in each column of a label but the type; the next functions say the rest.
_LABEL_BOUNDS = np.array([1, 3, _MAX_NUMBER] + 4 * [_MAX_COORDINATE] + 7 * [_MAX_NUMBER])  # [14]
# All that a label may have; results may hold others, which they seldom do.
_OCCLUDED_VALUES = frozenset({-1, 0, 1, 2, 3})

Rows = Sequence[tuple[int, Sequence[str]]]


class InvertedBoxError(ValueError):
    """A box has right < left or bottom < top."""


def check_values(numbers: np.ndarray, rows: Rows, source: str, *, allow_inverted: bool) -> None:
    """Refuses numbers that no object can have.

    Args:
        numbers: [N, 14] of labels or [N, 15] of results: all columns but the type.
        rows: line number and words of each line.
        source: name of the file, for messages.
        allow_inverted: takes boxes with a negative side.

    Raises:
        InvertedBoxError: a box has a negative side.
        ValueError: another value is out of range; names source:line, the field and the value.
    """
    if _is_usual(numbers):
        return
    if numbers.shape[1] == _NUM_RESULT_NUMBERS:
        _check_result_fields(numbers, rows, source)
    else:
        _check_label_fields(numbers, rows, source)
    _refuse(
        (np.abs(numbers[:, 3:7]) > _MAX_COORDINATE).any(axis=1),
        lambda w: f"box {' '.join(w[4:8])} lies far outside of any image; pixels are expected",
        rows,
        source,
    )
    if not allow_inverted:
        _check_sides(numbers, rows, source)


def check_types(rows: Rows, source: str) -> None:
    """Refuses types that are no names.

    Raises:
        ValueError: one is too long, or holds control characters; names source:line.
    """
    if all(map(is_type_name, {words[0] for _, words in rows})):
        return
    for number, words in rows:  # the line that holds it
        if not is_type_name(words[0]):
            raise ValueError(
                f"{source}:{number}: the type {words[0][:MAX_NAME]!r} is no name; {NAME_RULE}"
            )


def check_boxes(boxes_xyxy: np.ndarray, source: str) -> None:
    """Refuses boxes [N, 4] that lie far outside of any image.

    Raises:
        ValueError: there is one; names the source and the box.
    """
    bad = ~(np.abs(boxes_xyxy) <= _MAX_COORDINATE).all(axis=1)
    if bad.any():
        box = " ".join(f"{side:g}" for side in boxes_xyxy[np.argmax(bad)])
        raise ValueError(f"{source}: box {box} lies far outside of any image; convert again")


def _is_usual(numbers: np.ndarray) -> bool:
    """Whether nothing is wrong with the numbers at first sight; False: they have to be looked at.

    Thousands of files are read by this.
    """
    boxes = numbers[:, 3:7]
    if not (boxes[:, :2] <= boxes[:, 2:]).all():
        return False
    # Columns of a few objects: lists of them take less time than arrays.
    truncated, occluded = numbers[:, 0].tolist(), numbers[:, 1].tolist()
    if numbers.shape[1] == _NUM_RESULT_NUMBERS:
        is_inside = (np.abs(boxes) <= _MAX_COORDINATE).all()
        return bool(is_inside and _OCCLUDED_VALUES.issuperset(occluded))
    return bool(
        (np.abs(numbers) <= _LABEL_BOUNDS).all()
        and all(share >= 0 or share == -1 for share in truncated)
        and _OCCLUDED_VALUES.issuperset(occluded)
    )


def _check_result_fields(numbers: np.ndarray, rows: Rows, source: str) -> None:
    occluded = numbers[:, 1]
    bad = (occluded != np.rint(occluded)) | (np.abs(occluded) > _MAX_RESULT_OCCLUDED)
    message = "expected -1 (not known) in a result"
    _refuse(bad, lambda w: f"occluded is {w[2]!r}, {message}", rows, source)


def _check_label_fields(numbers: np.ndarray, rows: Rows, source: str) -> None:
    truncated, occluded = numbers[:, 0], numbers[:, 1]
    bad = (occluded != np.rint(occluded)) | (occluded < -1) | (occluded > 3)
    message = "expected one of -1, 0, 1, 2, 3"
    _refuse(bad, lambda w: f"occluded is {w[2]!r}, {message}", rows, source)
    bad = ((truncated < 0) & (truncated != -1)) | (truncated > 1)
    message = "expected -1 (not known) or 0 to 1"
    _refuse(bad, lambda w: f"truncated is {w[1]!r}, {message}", rows, source)
    bad = (np.abs(numbers[:, [2, *range(7, 14)]]) > _MAX_NUMBER).any(axis=1)
    message = "an angle, a size or a place is beyond a million radians or metres"
    _refuse(bad, lambda w: f"{message}: {' '.join([w[3], *w[8:15]])}", rows, source)


def _check_sides(numbers: np.ndarray, rows: Rows, source: str) -> None:
    order = "the order is left top right bottom"
    for low, high, names in ((3, 5, ("right", "left")), (4, 6, ("bottom", "top"))):

        def describe(w: Sequence[str], low: int = low, high: int = high, names=names) -> str:
            sides = f"{names[0]} {w[high + 1]!r} < {names[1]} {w[low + 1]!r}"
            return f"box {' '.join(w[4:8])} has {sides}; {order}"

        _refuse(numbers[:, high] < numbers[:, low], describe, rows, source, InvertedBoxError)


def _refuse(
    bad: np.ndarray,
    describe: Callable[[Sequence[str]], str],
    rows: Rows,
    source: str,
    kind: type[ValueError] = ValueError,
) -> None:
    """Raises for the first bad row, with what describes its words."""
    if bad.any():
        number, words = rows[int(np.argmax(bad))]
        raise kind(f"{source}:{number}: {describe(words)}")
