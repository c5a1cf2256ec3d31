"""KITTI's tracking benchmark: a label file a sequence, a folder of pictures a sequence.

training/image_02/0000/000000.png and training/label_02/0000.txt, whose lines begin with frame and
track (readme of https://www.cvlibs.net/datasets/kitti/eval_tracking.php).
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from mobilenetdet.kitti.labels import KittiObjects, parse_objects
from mobilenetdet.kitti.layout import IMAGE_SUFFIXES
from mobilenetdet.label_formats.source_frame import ImportOptions, Notes, SourceFrame
from mobilenetdet.text_file import read_text

_NUM_COLUMNS = 17
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
        lines_of = _lines_of(path, notes)
        folder = image_dir / path.stem
        pictures = {
            each.stem: each
            for each in sorted(folder.iterdir() if folder.is_dir() else ())
            if each.suffix in IMAGE_SUFFIXES and each.stem.isdecimal()
        }
        numbers = {int(stem): picture for stem, picture in pictures.items()}
        for number in sorted(numbers.keys() | lines_of.keys()):
            picture = numbers.get(number, folder / f"{number:06d}.png")
            # One name for the frame, since each sequence has a frame 0.
            name = f"{path.stem}_{picture.name}"
            objects = _parse(lines_of.get(number, []), path)
            frames.append(SourceFrame(name, picture, objects))
    for folder in sorted(image_dir.iterdir() if image_dir.is_dir() else ()):
        if folder.is_dir() and folder.name not in {path.stem for path in files}:
            notes.add("sequences without label file were left out", folder.name)
    return frames


def _lines_of(path: Path, notes: Notes) -> dict[int, list[tuple[int, str]]]:
    """Returns line numbers and label lines as the object benchmark has them, by frame."""
    found: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for number, line in enumerate(read_text(path, "KITTI tracking label file").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != _NUM_COLUMNS or not words[0].isdecimal():
            raise ValueError(
                f"{path}:{number}: {len(words)} columns; expected {_NUM_COLUMNS}: frame, track and "
                f"KITTI's 15: {words[:6]}"
            )
        label = words[2:]
        where = f"{path.name}:{number}"
        if label[_TYPE] in _TYPES:
            notes.add(f"objects of the type {label[_TYPE]} are {_TYPES[label[_TYPE]]}", where)
            label[_TYPE] = _TYPES[label[_TYPE]]
        if label[_TRUNCATED] in ("2", "2.00"):
            notes.add("truncation 2 (a track that begins or ends) became 1", where)
            label[_TRUNCATED] = "1"
        found[int(words[0])].append((number, " ".join(label)))
    return found


def _parse(lines: list[tuple[int, str]], path: Path) -> KittiObjects:
    # Blank lines are passed over: errors name the lines of the file.
    last = max((number for number, _ in lines), default=0)
    by_number = dict(lines)
    text = "\n".join(by_number.get(number, "") for number in range(1, last + 1))
    return parse_objects(text, str(path), with_scores=False)
