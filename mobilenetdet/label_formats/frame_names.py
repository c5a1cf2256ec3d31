"""Names of frames and of lists of frames: safe as names of files, and no two frames the same."""

from __future__ import annotations

import csv
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from mobilenetdet.files.names import UNFINISHED, unique_name
from mobilenetdet.kitti.format_hints import id_hint
from mobilenetdet.system.terminal_text import is_control

# Stands in an imported folder: the id of each frame, and the picture that it was.
TABLE_NAME = "frame_names.csv"
# File names may have 255 bytes; this leaves room for endings, and for what makes them unique.
_MAX_BYTES = 150
# Names of the parts of a data set.
_USUAL = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def frame_ids(names: Sequence[str]) -> list[str]:
    """Returns an id for each picture: its name, or with its folders where two have the same.

    Args:
        names: paths of pictures with / between folders.

    Example: ["in/a/1.jpg", "in/b/1.jpg", "in/b/my cat.png"] gives ["a_1", "b_1", "my_cat"].
    """
    stems = [_safe(_without_suffix(name.rpartition("/")[2])) for name in names]
    counts = Counter(stem.lower() for stem in stems)
    # Folders that all have say nothing.
    num_common = len(os.path.commonprefix([name.split("/")[:-1] for name in names] or [[]]))
    taken: set[str] = set()
    repeats: Counter[str] = Counter()
    result = []
    for name, stem in zip(names, stems, strict=True):
        alone = counts[stem.lower()] == 1
        own = name.split("/", num_common)[-1]
        wanted = stem if alone else _safe(_without_suffix(own).replace("/", "_"))
        # Of thousands that are named alike, each begins where the last one has ended.
        repeats[wanted.lower()] += 1
        result.append(unique_name(wanted, taken, first=repeats[wanted.lower()]))
        taken.add(result[-1].lower())
    return result


def _without_suffix(name: str) -> str:
    return os.path.splitext(name)[0]


def _safe(name: str) -> str:
    """Returns a word that `check_frame_id` and lists of frames take."""
    name = name.encode(errors="replace").decode()  # a byte that is no UTF-8 becomes a ?
    name = "".join("_" if is_control(mark) else mark for mark in name)
    name = re.sub(r"[\s/\\:*?\"<>|]+", "_", name)  # what some system has no names with
    name = name.replace("\ufeff", "_")  # at the start of a list, it would be taken for its mark
    # Hidden files, options of commands, and formulas of tables.
    name = re.sub(r"^[.=+@-]+", "_", name) or "_"
    if id_hint(name):  # photo.jpg.png would be taken for the name of a file
        name = "_".join(name.rsplit(".", 1))
    if len(name.encode()) > _MAX_BYTES:
        checksum = f"_{zlib.crc32(name.encode()):08x}"
        name = name.encode()[: _MAX_BYTES - len(checksum)].decode(errors="ignore") + checksum
    return name


def split_names(found: Iterable[str]) -> dict[str, str]:
    """Returns the usual name of each part, or its own where two would have the same.

    Args:
        found: names of folders, lists or files without ending.

    Example: ["instances_train2017", "valid"] gives {"instances_train2017": "train",
        "valid": "val"}; of ["train2014", "train2017"] both stay.
    """
    names = {name: _usual(name) for name in dict.fromkeys(found)}
    counts = Counter(names.values())
    return {name: short if counts[short] == 1 else _word(name) for name, short in names.items()}


def _usual(name: str) -> str:
    """Returns train, val or test if one word of the name is that, else the name as one word."""
    words = [re.sub(r"\d+$", "", word) for word in re.split(r"[^a-z0-9]+", name.lower())]
    usual = {_USUAL[word] for word in words if word in _USUAL}
    return usual.pop() if len(usual) == 1 else _word(name)


def _word(name: str) -> str:
    word = re.sub(r"[^\w.-]+", "_", name).strip("._") or "all"
    return word.removesuffix(UNFINISHED)


def write_table(
    folder: Path, ids: Sequence[str], pictures: Sequence[tuple[str, Sequence[str]]]
) -> None:
    """Writes which frame was which picture, and of which parts of the data set.

    Args:
        folder: gets the table.
        ids: of the frames.
        pictures: of the frames: the name in the source, and the names of the parts.
    """
    # A name may hold bytes that are no UTF-8; they are spelled.
    path = folder / TABLE_NAME
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("frame_id", "picture", "splits"))
        writer.writerows(
            (each, _cell(name), " ".join(splits))
            for each, (name, splits) in zip(ids, pictures, strict=True)
        )


def _cell(name: str) -> str:
    """Returns a text that programs for tables take for no formula: a path may begin with ./."""
    return f"./{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name
