"""Names of the parts of a data set as the lists of frames have them: train, val, test."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mobilenetdet.file_names import UNFINISHED

_USUAL = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def split_names(found: Iterable[str]) -> dict[str, str]:
    """Returns the usual name of each part, or its own where two would have the same.

    Args:
        found: names of folders, lists or files without ending.

    Example: ["instances_train2017", "valid"] gives {"instances_train2017": "train",
        "valid": "val"}; of ["train2014", "train2017"] both stay.
    """
    names = {name: _usual(name) for name in dict.fromkeys(found)}
    usual = list(names.values())
    return {
        name: short if usual.count(short) == 1 else _word(name) for name, short in names.items()
    }


def _usual(name: str) -> str:
    """Returns train, val or test if one word of the name is that, else the name as one word."""
    words = [re.sub(r"\d+$", "", word) for word in re.split(r"[^a-z0-9]+", name.lower())]
    usual = {_USUAL[word] for word in words if word in _USUAL}
    return usual.pop() if len(usual) == 1 else _word(name)


def _word(name: str) -> str:
    word = re.sub(r"[^\w.-]+", "_", name).strip("._") or "all"
    return word.removesuffix(UNFINISHED)
