"""The files of a data set of YOLO's format: names of classes, pictures by part, label files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from mobilenetdet.files.plain_yaml import parse_yaml
from mobilenetdet.files.text import read_text
from mobilenetdet.findings import counted
from mobilenetdet.label_formats.source_frame import Notes

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
_CLASS_LISTS = ("classes.txt", "obj.names", "labels.txt")
_PARTS = ("train", "val", "valid", "test")


class YoloDataSet(NamedTuple):
    """What data.yaml says.

    Attributes:
        root: its folder.
        names: of the classes, by their numbers.
        pictures: by part of the data set.
        has_keypoints: whether these stand behind each box.
    """

    root: Path
    names: dict[int, str]
    pictures: dict[str, list[Path]]
    has_keypoints: bool

    def refuse_unlabelled(self) -> None:
        """Refuses a data set without any label file: these are somewhere else.

        Raises:
            FileNotFoundError: no picture has one; names where that of the first was looked for.
        """
        pictures = [each for found in self.pictures.values() for each in found]
        if pictures and not any(os.path.lexists(label_path(each)) for each in pictures):
            tried = " and ".join(map(str, _label_paths(pictures[0])))
            raise FileNotFoundError(
                f"none of {counted(len(pictures), 'picture')} has a label file; that of "
                f"{pictures[0].name} was looked for as {tried}"
            )


def read_data_set(source: Path, image_dir: Path | None, notes: Notes) -> YoloDataSet:
    """Reads data.yaml, or a folder with a list of classes.

    Args:
        source: data.yaml, or the folder that holds it or classes.txt.
        image_dir: the folder that paths in data.yaml are below; None takes its `path`.
        notes: takes parts that are those of training again.

    Raises:
        FileNotFoundError: there are no names of classes or no pictures.
        ValueError: data.yaml is damaged.
    """
    path = _find_yaml(source)
    if path is None:
        return _read_folder(source, image_dir)
    text = read_text(path, "YAML file")
    try:
        content = parse_yaml(text)
    except ValueError as error:
        raise ValueError(f"{path} is no YAML ({error}); write it again") from None
    if not isinstance(content, dict) or not isinstance(content.get("names"), list | dict):
        raise ValueError(f"{path} has no names of classes: names: [Car, Pedestrian]")
    names = _names_by_number(content["names"], path)
    pictures = _pictures_by_part(path, content, _root(path, content, image_dir), notes)
    return YoloDataSet(path.parent, names, pictures, "kpt_shape" in content)


def _root(path: Path, content: dict[str, Any], image_dir: Path | None) -> Path:
    """Returns the folder that the paths of data.yaml are below.

    Ultralytics looks for `path` below the folder that it was started in, or one of its settings.
    """
    if image_dir is not None:
        return image_dir
    named = _text_in(content.get("path") or "", "path", path)
    tried = [path.parent / named, Path(named), path.parent / named.removeprefix("../")]
    return next((each for each in tried if each.is_dir()), path.parent)


def _pictures_by_part(
    path: Path, content: dict[str, Any], root: Path, notes: Notes
) -> dict[str, list[Path]]:
    pictures = {}
    for part in [*_PARTS, *_other_parts(content, root)]:
        entries = content.get(part) or []
        entries = entries if isinstance(entries, list) else [entries]
        if entries and part != "train" and content[part] == content.get("train"):
            notes.add("parts of data.yaml are those for training again", part)
        texts = [_text_in(entry, part, path) for entry in entries]
        found = [each for entry in texts for each in _pictures_of(entry, root, path)]
        if found:
            pictures[part] = list(dict.fromkeys(found))
    if not pictures:
        raise FileNotFoundError(f"{path} names no pictures: train: images/train")
    return pictures


def _other_parts(content: dict[Any, Any], root: Path) -> list[str]:
    """Returns the parts of other names than YOLO's, as `yolo_data` writes them: folders."""
    others = [name for name in content if name not in (*_PARTS, "path")]
    named = [name for name in others if isinstance(name, str) and isinstance(content[name], str)]
    return [name for name in named if content[name] and (root / content[name]).is_dir()]


def _names_by_number(names: Any, path: Path) -> dict[int, str]:
    """Returns the names of the classes, which YAML may take for numbers (4) or flags (no)."""
    by_number = dict(enumerate(names)) if isinstance(names, list) else names
    for number, name in by_number.items():
        if type(number) is not int or not isinstance(name, str | int | float):
            raise ValueError(
                f"{path}: names must be a list, or names by number, and not {number!r}: "
                f"{str(name)[:60]}"
            )
        if isinstance(name, bool):
            raise ValueError(
                f"{path}: class {number} is {name}, as YAML reads yes, no, on and off "
                'without quotes; write it in quotes: "no"'
            )
    return {number: str(name) for number, name in by_number.items()}


def _text_in(value: Any, key: str, path: Path) -> str:
    if not isinstance(value, str | int | float):
        raise ValueError(f"{path}: {key} is {str(value)[:60]}; it must be a path: images/train")
    return str(value)


def _find_yaml(source: Path) -> Path | None:
    if source.is_file():
        return source
    if not source.is_dir():
        raise FileNotFoundError(f"{source} does not exist; name data.yaml or its folder")
    found = [*source.glob("data.yaml"), *sorted(source.glob("*.y*ml"))]
    return found[0] if found else None


def _read_folder(source: Path, image_dir: Path | None) -> YoloDataSet:
    """Reads a folder without data.yaml: images/, labels/ and a list of the names of the classes."""
    path = next((source / each for each in _CLASS_LISTS if (source / each).is_file()), None)
    path = path or next(iter(sorted(source.glob("*/classes.txt"))), None)
    if path is None:
        raise FileNotFoundError(
            f"{source} holds neither data.yaml nor classes.txt, by which the numbers of classes "
            "have names"
        )
    folder = source / "images" if (source / "images").is_dir() else source
    folder = image_dir or folder
    parts = {p.name: _in_folder(p) for p in sorted(folder.iterdir()) if p.name in _PARTS}
    pictures = {part: found for part, found in parts.items() if found} or {"": _in_folder(folder)}
    names = [line.strip() for line in read_text(path, "list of classes").strip().splitlines()]
    if "" in names:
        line = names.index("") + 1
        raise ValueError(f"{path}:{line}: a blank line; the number of a class is that of its line")
    return YoloDataSet(source, dict(enumerate(names)), pictures, has_keypoints=False)


def _pictures_of(entry: str, root: Path, source: Path) -> list[Path]:
    """Returns the pictures of a folder or of a list of pictures."""
    # Roboflow writes ../train/images and means train/images.
    tried = [root / entry, source.parent / entry, root / entry.removeprefix("../")]
    path = next((each for each in tried if each.exists()), None)
    if path is None:
        raise FileNotFoundError(
            f"{source} names {entry}, which is not there: {tried[0]}; name the folder that its "
            "paths are below with --image_dir"
        )
    if path.is_dir():
        if (whole := path.resolve()) == Path(whole.anchor):  # minutes, and pictures of others
            raise ValueError(f"{source} names {entry}, the whole disk; name a folder of pictures")
        return _in_folder(path)
    lines = read_text(path, "list of pictures").splitlines()
    return [_listed(line.strip(), path.parent, root) for line in lines if line.strip()]


def _listed(line: str, folder: Path, root: Path) -> Path:
    tried = [folder / line, root / line]
    return next((each for each in tried if each.is_file()), tried[0])


def _in_folder(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    )


def label_path(picture: Path) -> Path:
    """Returns the label file of a picture; where there is none, the one that is usual."""
    tried = _label_paths(picture)
    return next((each for each in tried if each.is_file()), tried[0])


def _label_paths(picture: Path) -> list[Path]:
    """Returns where a label file may be: `images` in the path replaced, or beside the picture."""
    parts, beside = list(picture.parts), picture.with_suffix(".txt")
    if "images" not in parts[:-1]:
        return [beside]
    parts[len(parts) - 2 - parts[-2::-1].index("images")] = "labels"
    return [Path(*parts).with_suffix(".txt"), beside]
