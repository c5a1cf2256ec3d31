"""The list of classes beside the records: a line a class, in the order of the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mobilenetdet.atomic_write import atomic_write

LABELS_FILE = "labels.txt"


def read_labels(records_dir: Path) -> dict[str, str] | None:
    """Returns what each class is called, by its name in the order of the labels.

    None where there is no list, as beside the records of the Inception tutorial.

    Raises:
        ValueError: a class stands there twice.
    """
    path = records_dir / LABELS_FILE
    if not path.is_file():
        return None
    labels: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        name, _, text = line.partition("\t")
        if not name or name in labels:
            raise ValueError(f"{path}:{number}: {line!r} is empty or repeated; convert again")
        labels[name] = text or name
    return labels


def write_labels(records_dir: Path, labels: Mapping[str, str]) -> None:
    """Writes the list."""
    with atomic_write(records_dir / LABELS_FILE) as temporary:
        lines = [f"{name}\t{text}\n" for name, text in labels.items()]
        temporary.write_text("".join(lines), encoding="utf-8")


def name_classes(names: Sequence[str], words: Path | None) -> dict[str, str]:
    """Says what each class is called.

    Args:
        names: of the classes.
        words: text file with a line a class: its name, a space or tab, what it is called, as
            imagenet_metadata.txt and LOC_synset_mapping.txt have it; None leaves the names.

    Raises:
        ValueError: the file lacks a class.
    """
    if words is None:
        return {name: name for name in names}
    lines = [line.split(maxsplit=1) for line in words.read_text(encoding="utf-8").splitlines()]
    known = {parts[0]: parts[1].strip() for parts in lines if len(parts) == 2}
    missing = [name for name in names if name not in known]
    if missing:
        raise ValueError(f"{words} lacks {len(missing)} classes, the first is {missing[0]}")
    return {name: known[name] for name in names}
