"""What lines and ids of another shape than KITTI's seem to be, for error messages."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

# Lists of class names that labelling tools leave among the labels.
CLASS_LISTS = ("classes", "labels", "obj_names")
_ENDINGS = (".png", ".jpg", ".jpeg", ".txt")
_NUM_LABEL_COLUMNS = 15


def id_hint(word: str) -> str:
    """Says what to write for what is no id in a list; "" for what may be one.

    Example: "000021.png" gives "it is the name of a file; write 000021".
    """
    stem, ending = os.path.splitext(word)
    if ending.lower() in _ENDINGS:
        name = stem.replace("\\", "/").rpartition("/")[2]
        return f"it is the name of a file; write {name}"
    return ""


def known_id_hint(unknown: Sequence[str], known: Collection[str]) -> str:
    """Says what to write for ids that lack their leading zeros; "" if that is not the matter.

    Example: (["21"], {"000021"}) gives "; write 000021 instead of 21".
    """
    numbers = {name.lstrip("0") or "0": name for name in known if name.isdecimal()}
    for frame_id in unknown:
        if frame_id.isdecimal() and (meant := numbers.get(frame_id.lstrip("0") or "0")):
            return f"; write {meant} instead of {frame_id}"
    return ""


def columns_hint(words: Sequence[str], source: str) -> str:
    """Says what a line with another number of columns than KITTI's seems to be; "" if unknown.

    Args:
        words: of the line.
        source: name of the file.
    """
    count = len(words)
    if Path(source).stem in CLASS_LISTS:
        return "; it is a list of class names, no label: move it out of the folder"
    if count == 5 and all(map(_is_number, words)):
        return (
            "; it looks like YOLO's format: make a KITTI folder of the data set first with "
            "mobilenetdet import --format yolo"
        )
    if count >= 17 and words[0].isdecimal() and words[1].lstrip("-").isdecimal():
        return (
            "; it begins with frame and track as in KITTI's tracking labels: make a KITTI folder "
            "of the data set first with mobilenetdet import --format kitti_tracking"
        )
    if count > 2 and not _is_number(words[1]) and all(map(_is_number, words[2:])):
        return f"; a type is one word: write {words[0]}_{words[1]}"
    if count == _NUM_LABEL_COLUMNS + 1 and all(map(_is_number, words[1:])):
        return "; the 16th is the score of a result, which CVAT writes into labels, too: remove it"
    return ""


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
