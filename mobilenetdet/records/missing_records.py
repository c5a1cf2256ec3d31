"""Why the records of a split are not where they were looked for, and what helps."""

from __future__ import annotations

import os
from pathlib import Path

from mobilenetdet.records.remote_path import is_url


def why_no_records(records_dir: str | os.PathLike[str], split: str, remedy: str) -> str:
    """Returns the message for a folder without the manifest of a split.

    Args:
        records_dir: folder of the records, or a URL.
        split: train, val, ...
        remedy: the command that writes them.
    """
    if not os.fspath(records_dir):
        return (
            f"an exported file does not say where the records of {split} are; name their folder "
            "(--data.records_dir, or records_dir in Python)"
        )
    if not is_url(records_dir) and (other := _other_records(Path(records_dir))):
        return (
            f"no records of {split} in {records_dir}, but {other}, which another program has "
            "written. Records of the TensorFlow Object Detection API become ours by "
            f"`mobilenetdet import {records_dir} FOLDER --format tf_records --to records`; FOLDER "
            "is the records_dir then"
        )
    return (
        f"no records of {split} in {records_dir}; {remedy}, or name the folder that holds them "
        "(records_dir)"
    )


def import_again(source: str, label_format: str) -> str:
    """Returns what helps where records that were imported are not as they were written.

    Args:
        source: that they were made of.
        label_format: its format.
    """
    return (
        f"import them again, into a new folder: `mobilenetdet import {source} FOLDER --format "
        f"{label_format} --to records`"
    )


def _other_records(folder: Path) -> str:
    """Returns the name of a TFRecord file without any manifest in the folder, or nothing."""
    if any(folder.glob("*.json")):
        return ""
    patterns = ("*record*", "*/*record*", "*-of-*")  # train-00000-of-00010
    names = (path.name for pattern in patterns for path in folder.glob(pattern))
    return min(
        (name for name in names if not name.endswith((".json", ".txt", ".pbtxt"))), default=""
    )
