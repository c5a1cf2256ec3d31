"""Images in class folders or in the archives of ILSVRC2012, found without unpacking anything."""

from __future__ import annotations

import os
import stat
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mobilenetdet.files.names import check_file_name, check_split_name
from mobilenetdet.files.text import read_text
from mobilenetdet.media.address import IMAGE_SUFFIXES

_MAX_LISTED = 20
# What file managers leave behind.
_LITTER = ("Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class ImageSource:
    """Where the bytes of one image are.

    Attributes:
        path: the image file, or the archive that holds it.
        name: file name, such as n01440764_18.JPEG.
        class_name: name of its folder, in ImageNet a synset; "" where there are no folders.
        offset: where it begins in `path`.
        num_bytes: its size.
        changed_ns: time of change of `path`.
    """

    path: str
    name: str
    class_name: str
    offset: int
    num_bytes: int
    changed_ns: int

    def __str__(self) -> str:
        """Names the file, or the archive and the file in it, for messages."""
        inside = os.path.basename(self.path) != self.name
        return f"{self.path}: {self.name}" if inside else self.path

    def read(self) -> bytes:
        """Reads the bytes of the image."""
        with open(self.path, "rb", buffering=0) as file:
            file.seek(self.offset)
            return file.read(self.num_bytes)


def find_images(root: Path, split: str, *, class_list: Path | None = None) -> list[ImageSource]:
    """Finds the images of a split, by class and name.

    Args:
        root: holds the split as a folder `train` of class folders or class archives, or as the
            archive `train.tar` or `ILSVRC2012_img_train.tar` of either.
        split: train, val, ...
        class_list: of images that lie in no class folder: a text file with the class of each, one
            a line, in the order of their names.

    Raises:
        FileNotFoundError: no such folder or archive, or classes without an image.
        ValueError: a file that is no image, a damaged archive, a list that does not fit, or a
            split whose name would be a path.
    """
    place = locate_split(root, split)
    if place is None:
        raise FileNotFoundError(
            f"no images of {split}: none of {', '.join(map(str, _places(root, split)))} exists; "
            "put one there, or name another --dataset_root"
        )
    found = sorted(_walk(place), key=lambda source: (source.class_name, source.name))
    loose = [source for source in found if not source.class_name]
    if loose and len(loose) < len(found):
        raise ValueError(f"{place} holds class folders and {loose[0]} beside them; move it away")
    if loose:
        found = _assign_classes(loose, class_list, place)
    if not found:
        raise FileNotFoundError(f"{place} holds no class folder with images")
    _refuse_others(found)
    for name in dict.fromkeys(source.class_name for source in found):
        check_file_name(name, str(place), "name of a class")
    return found


def locate_split(root: Path, split: str) -> Path | None:
    """Returns the folder or archive of a split, or None.

    Raises:
        ValueError: the name of the split would be a path.
    """
    return next((place for place in _places(root, split) if place.exists()), None)


def _places(root: Path, split: str) -> list[Path]:
    check_split_name(split, str(root))
    return [root / split, root / f"{split}.tar", root / f"ILSVRC2012_img_{split}.tar"]


def _walk(place: Path) -> Iterator[ImageSource]:
    if not place.is_dir():
        yield from _walk_archive(place)
        return
    empty = []
    with os.scandir(place) as entries:
        folders = sorted(entries, key=lambda entry: entry.name)
    for entry in folders:
        if _is_litter(entry.name):
            continue
        if entry.is_dir():
            images = list(_walk_folder(entry))
        elif entry.name.endswith(".tar"):
            images = list(_walk_archive(Path(entry.path), Path(entry.name).stem))
        else:
            images = [_file_source(entry, "")]
        if not images:
            empty.append(entry.name)
        yield from images
    _refuse_empty(place, empty)


def _walk_folder(folder: os.DirEntry[str]) -> Iterator[ImageSource]:
    with os.scandir(folder.path) as entries:
        for entry in entries:
            if not _is_litter(entry.name) and entry.is_file():
                yield _file_source(entry, folder.name)


def _file_source(entry: os.DirEntry[str], class_name: str) -> ImageSource:
    state = entry.stat()
    if not stat.S_ISREG(state.st_mode):  # a device would never end
        raise ValueError(f"{entry.path} is no regular file; move it away")
    return ImageSource(entry.path, entry.name, class_name, 0, state.st_size, state.st_mtime_ns)


def _walk_archive(path: Path, class_name: str | None = None) -> Iterator[ImageSource]:
    """Yields the images of an archive, and of the class archives in it."""
    folders: set[PurePosixPath] = set()
    used: set[PurePosixPath] = set()
    try:
        with path.open("rb") as file, path.open("rb") as inner_file:
            for member, source in _read_members(path, file, class_name):
                place = PurePosixPath(member.name)
                if source is None:
                    folders.update((place,) if class_name is None else ())
                    used.update(place.parents)
                    continue
                images = [source]
                if place.suffix == ".tar":
                    folders.add(place)
                    inner_file.seek(member.offset_data)
                    inner = _read_members(path, inner_file, place.stem)
                    images = [image for _, image in inner if image is not None]
                if images:
                    used.update((place, *place.parents))
                yield from images
    except tarfile.TarError as error:
        raise ValueError(
            f"{path} is damaged, cut off or compressed ({error}); unpack it if it is compressed, "
            "else copy it again"
        ) from None
    _refuse_empty(path, sorted(map(str, folders - used)))


def _read_members(
    path: Path, file: BinaryIO, class_name: str | None
) -> Iterator[tuple[tarfile.TarInfo, ImageSource | None]]:
    """Yields the files of the archive that begins where the file stands; None for folders."""
    changed_ns = os.fstat(file.fileno()).st_mtime_ns
    with tarfile.open(fileobj=file, mode="r:") as archive:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # a million of them would fill the memory
            place = PurePosixPath(member.name)
            source = None
            if member.isfile():
                own_class = place.parent.name if class_name is None else class_name
                data = (member.offset_data, member.size)
                source = ImageSource(str(path), place.name, own_class, *data, changed_ns)
            if source is not None or member.isdir():
                if not _is_litter(place.name):
                    yield member, source


def _assign_classes(
    images: Sequence[ImageSource], class_list: Path | None, place: Path
) -> list[ImageSource]:
    if class_list is None:
        raise ValueError(
            f"{place} holds images without class folders; give --val_labels FILE with the class of "
            "each, one a line, in the order of their names (for ILSVRC2012: "
            "imagenet_2012_validation_synset_labels.txt)"
        )
    names = read_text(class_list).split()
    if len(names) != len(images):
        raise ValueError(f"{class_list} has {len(names)} lines, {place} {len(images)} images")
    classed = [replace(image, class_name=name) for image, name in zip(images, names, strict=True)]
    return sorted(classed, key=lambda source: (source.class_name, source.name))


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name in _LITTER


def _refuse_empty(place: Path, empty: Sequence[str]) -> None:
    if empty:
        raise FileNotFoundError(
            f"{place}: {len(empty)} classes without an image: {_list(empty)}; fill or remove them"
        )


def _refuse_others(images: Sequence[ImageSource]) -> None:
    others = [str(s) for s in images if not s.name.lower().endswith(IMAGE_SUFFIXES)]
    if others:
        kinds = Counter(os.path.splitext(name)[1] or "no suffix" for name in others)
        known = ", ".join(f"{count} with {suffix}" for suffix, count in kinds.most_common(3))
        raise ValueError(f"files that are no images ({known}): {_list(others)}; move them away")


def _list(names: Sequence[str]) -> str:
    more = len(names) - _MAX_LISTED
    return ", ".join(names[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
