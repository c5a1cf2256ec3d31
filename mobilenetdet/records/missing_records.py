"""Why the records of a split are not where they were looked for, and what helps."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from mobilenetdet.records.record_names import is_record_file
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
            f"`mobilenetdet import {shlex.quote(os.fspath(records_dir))} FOLDER --format "
            "tf_records --to records`; FOLDER is the records_dir then"
        )
    return (
        f"no records of {split} in {records_dir}; {remedy}, or name the folder that holds them "
        "(records_dir)"
    )


def import_again(source: str, label_format: str, records_dir: str | os.PathLike[str]) -> str:
    """Returns what helps where records that were imported are not as they were written.

    Args:
        source: that they were made of.
        label_format: its format.
        records_dir: folder of the records, or a URL.
    """
    return (
        f"import them again, into a new folder: `mobilenetdet import {shlex.quote(source)} FOLDER "
        f"--format {label_format} --to records` and the options that {records_dir}/import.json "
        "lists"
    )


def _other_records(folder: Path) -> str:
    """Returns the name of a TFRecord file without any manifest in the folder, or nothing."""
    if any(folder.glob("*.json")):
        return ""
    files = (path for pattern in ("*", "*/*") for path in folder.glob(pattern))
    return min((path.name for path in files if is_record_file(path)), default="")
