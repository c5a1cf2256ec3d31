"""KITTI's tracking benchmark: a label file a sequence, a folder of pictures a sequence.

training/image_02/0000/000000.png and training/label_02/0000.txt, whose lines begin with frame and
track (readme of https://www.cvlibs.net/datasets/kitti/eval_tracking.php).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mobilenetdet.files.text import read_text
from mobilenetdet.kitti.labels import KittiObjects, parse_objects
from mobilenetdet.kitti.layout import IMAGE_SUFFIXES
from mobilenetdet.label_formats.source_frame import ImportOptions, Notes, SourceFrame

_NUM_COLUMNS = 17
# More frames than any sequence has, and few enough to be counted.
_MAX_DIGITS = 9
_TYPE, _TRUNCATED = 0, 1
# What tracking calls people who sit.
_TYPES = {"Person": "Person_sitting"}


def read_kitti_tracking(source: Path, options: ImportOptions, notes: Notes) -> list[SourceFrame]:
    """Reads the sequences; frame 7 of 0003 has the name 0003_000007.

    Frames without line are frames without object. Tracks are not kept.

    Args:
        source: the folder that holds training/, or training itself.
        options: for the folder of the pictures, image_02.
        notes: takes what was changed or left out.

    Raises:
        FileNotFoundError: there are no labels or no pictures.
        ValueError: a line is damaged; names file and line.
    """
    root = source / "training" if (source / "training").is_dir() else source
    files = sorted((root / "label_02").glob("*.txt"))
    if not files:
        raise FileNotFoundError(f"{root / 'label_02'} holds no label files; unpack them there")
    image_dir = options.image_dir or root / "image_02"
    frames = []
    for path in files:
        objects_of = _objects_of(path, notes)
        folder = image_dir / path.stem
        pictures = {
            each.stem: each
            for each in sorted(folder.iterdir() if folder.is_dir() else ())
            if each.suffix in IMAGE_SUFFIXES and each.stem.isdecimal()
        }
        numbers = {int(stem): picture for stem, picture in pictures.items()}
        for picture in sorted({*pictures.values()} - {*numbers.values()}):
            notes.add("pictures with the number of another were left out", picture.name)
        for number in sorted(numbers.keys() | objects_of.keys()):
            picture = numbers.get(number, folder / f"{number:06d}.png")
            # One name for the frame, since each sequence has a frame 0.
            name = f"{path.stem}_{picture.name}"
            objects = objects_of.get(number, KittiObjects.empty())
            frames.append(SourceFrame(name, picture, objects))
    for folder in sorted(image_dir.iterdir() if image_dir.is_dir() else ()):
        if folder.is_dir() and folder.name not in {path.stem for path in files}:
            notes.add("sequences without label file were left out", folder.name)
    return frames


def _objects_of(path: Path, notes: Notes) -> dict[int, KittiObjects]:
    """Returns the objects of each frame that has a line."""
    labels, frames = [], []
    for number, line in enumerate(read_text(path, "KITTI tracking label file").splitlines(), 1):
        words = line.split()
        labels.append(" ".join(_label_words(words, f"{path.name}:{number}", notes)))
        if not words:
            continue
        is_frame = words[0].isdecimal() and len(words[0]) <= _MAX_DIGITS
        if len(words) != _NUM_COLUMNS or not is_frame:
            raise ValueError(
                f"{path}:{number}: {len(words)} columns; expected {_NUM_COLUMNS}: frame, track and "
                f"KITTI's 15: {' '.join(words)[:80]!r}"
            )
        frames.append(int(words[0]))
    if not frames:
        return {}
    # Blank lines are passed over: errors name the lines of the file.
    objects = parse_objects("\n".join(labels), str(path), with_scores=False)
    order = np.argsort(frames, kind="stable")
    numbers, starts = np.unique(np.array(frames, np.int64)[order], return_index=True)
    return {
        int(number): objects[rows]
        for number, rows in zip(numbers, np.split(order, starts[1:]), strict=True)
    }


def _label_words(words: list[str], where: str, notes: Notes) -> list[str]:
    """Returns the words of a line as the object benchmark has them."""
    label = words[2:]
    if len(label) > _TRUNCATED and label[_TYPE] in _TYPES:
        notes.add(f"objects of the type {label[_TYPE]} are {_TYPES[label[_TYPE]]}", where)
        label[_TYPE] = _TYPES[label[_TYPE]]
    if len(label) > _TRUNCATED and label[_TRUNCATED] in ("2", "2.00"):
        notes.add("truncation 2 (a track that begins or ends) became 1", where)
        label[_TRUNCATED] = "1"
    return label
