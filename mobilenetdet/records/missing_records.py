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
            "written. Records of the TensorFlow Object Detection API become a KITTI folder by "
            f"`mobilenetdet import {records_dir} FOLDER --format tf_records`, and that records by "
            "`mobilenetdet tf_convert_data --dataset_root FOLDER`"
        )
    return (
        f"no records of {split} in {records_dir}; {remedy}, or name the folder that holds them "
        "(records_dir)"
    )


def _other_records(folder: Path) -> str:
    """Returns the name of a TFRecord file without any manifest in the folder, or nothing."""
    if any(folder.glob("*.json")):
        return ""
    names = (path.name for path in [*folder.glob("*record*"), *folder.glob("*/*record*")])
    return min(
        (name for name in names if not name.endswith((".json", ".txt", ".pbtxt"))), default=""
    )
