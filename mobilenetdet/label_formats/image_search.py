"""Where the pictures of a label file are, when it does not say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mobilenetdet.kitti.layout import IMAGE_SUFFIXES
from mobilenetdet.label_formats.source_frame import inside
from mobilenetdet.system.terminal_text import one_line

# Of a label file, the pictures of which are looked for.
_NUM_TRIED = 20


def find_image_dir(
    names: Sequence[str], label_file: Path, splits: Sequence[str], asked: Path | None
) -> Path:
    """Returns the folder that the names of the pictures are paths in.

    Args:
        names: of the pictures, as the label file has them.
        label_file: the folders around it are tried.
        splits: names of folders that are tried, too.
        asked: the only folder to try, if the user has named one.

    Raises:
        FileNotFoundError: none of the first pictures is in any of them; names the folders.
    """
    folders = [asked] if asked else list(dict.fromkeys(_around(label_file, splits)))
    folders = [*folders, *(folder / split for folder in folders for split in splits if asked)]
    counts = [
        sum(find_picture(folder, name, asked=bool(asked)).is_file() for name in names[:_NUM_TRIED])
        for folder in folders
    ]
    if not names or max(counts) > 0:
        return folders[counts.index(max(counts))]
    tried = ", ".join(map(str, folders if asked else [f for f in folders if f.is_dir()]))
    raise FileNotFoundError(
        f"{label_file} names pictures such as {one_line(names[0])}, which are in none of "
        f"{tried}; name their folder with --image_dir"
    )


def find_picture(folder: Path, name: str, *, asked: bool) -> Path:
    """Returns the path of a picture by its name in a label file.

    Args:
        folder: of the pictures.
        name: a path below it.
        asked: the user has named the folder. Names that begin with folders of another machine
            (`/home/anna/images/1.jpg`, `../upload/1.jpg`) are looked for by their ends then, the
            longest first.

    Raises:
        ValueError: the name leads out of a folder that nobody has named.
    """
    if not asked:
        return _with_ending(inside(folder, name))
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    tried = [_with_ending(folder.joinpath(*parts[n:])) for n in range(len(parts))] or [folder]
    return next((each for each in tried if each.is_file()), tried[-1])


def _with_ending(path: Path) -> Path:
    """Returns the path of a picture, with its ending where the label file leaves that out.

    CVAT calls the frames of a video frame_000000, and writes frame_000000.PNG.
    """
    if path.suffix or path.is_file():
        return path
    tried = (path.with_suffix(suffix) for suffix in IMAGE_SUFFIXES)
    return next((each for each in tried if each.is_file()), path)


def find_pictures(folder: Path, names: Sequence[str], *, asked: bool) -> list[Path]:
    """Returns the paths of pictures by their names in a label file; see `find_picture`.

    Raises:
        ValueError: two names lead to one picture, so that the labels of one are not its own.
    """
    found = [find_picture(folder, name, asked=asked) for name in names]
    name_of: dict[Path, str] = {}
    for path, name in zip(found, names, strict=True):
        if (first := name_of.setdefault(path, name)) != name and path.is_file():
            raise ValueError(
                f"{first} and {name} both lead to {path}; name the folder that these paths are "
                "below with --image_dir"
            )
    return found


def _around(label_file: Path, splits: Sequence[str]) -> Iterator[Path]:
    """Yields the folders that pictures usually are in, the nearest first."""
    words = [*splits, label_file.stem.split("_")[-1], label_file.stem]
    for root in (label_file.parent, label_file.parent.parent):
        yield root
        for pictures in ("images", "JPEGImages", "data", "imgs"):
            yield root / pictures
        for word in words:
            yield root / word
            yield root / "images" / word
