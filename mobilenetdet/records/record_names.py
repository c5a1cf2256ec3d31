"""Which files hold TFRecords, as far as their names say it: ours and those of other programs."""

from __future__ import annotations

import re
from pathlib import Path

# Behind the name of one of several files; some write no dot before it: train-00000-of-00010.
NUMBER = r"[-_]\d+[-_]of[-_]\d+"
# A dot before the number is of something else: model.ckpt-0.data-00000-of-00001, rows.csv-0-of-2.
_NUMBERED = re.compile(rf"[^.]+{NUMBER}")
# Files about records: label maps, manifests, the scripts and settings of those who made them.
_OTHERS = frozenset(
    (".json", ".txt", ".pbtxt", ".csv", ".xml", ".yaml", ".yml", ".config", ".md", ".log")
    + (".py", ".ipynb", ".sh")
)


def is_record_file(path: Path) -> bool:
    """Returns whether a file is there and called as TFRecords are.

    Example: train.record, pets_train.record-00000-of-00010, train_003.tfrecord and
        train-00000-of-00010 are; generate_tfrecord.py and model.ckpt-0.data-00000-of-00001 are not.
    """
    name = path.name.lower()
    named = ("record" in name and path.suffix.lower() not in _OTHERS) or _NUMBERED.fullmatch(name)
    return bool(named) and path.is_file()
