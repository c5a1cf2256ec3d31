"""Names of the pictures of one call, by which their overlays and result files go."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mobilenetdet.files.names import unique_name, utf8_text
from mobilenetdet.media.address import Address
from mobilenetdet.media.video import is_video
from mobilenetdet.system.terminal_text import is_control

# Of a frame of a video: its number follows the name of the video.
_FRAME = re.compile(r"(?P<video>.+)_\d{6,}")
# A path may be longer than the name of a file, which has room for a counter, the number of a frame
# and a suffix beside; its end tells more.
_MAX_BYTES = 120
# Stem, path without suffix, path with suffix.
_NUM_FORMS = 3


def name_pictures(sources: Sequence[Path | Address]) -> list[str]:
    """Returns a name for each source; no two pictures and frames of videos get the same.

    The stem, where no other file has it; else the path below the folder that all files have in
    common, its folders joined by _, without and then with suffix; else that with a counter. Case is
    not told apart, since some file systems do not.

    Args:
        sources: images, and videos whose frames are NAME_000000 and so on; those of addresses as
            `Address.as_path` has them.

    Example: a/pic.jpg, b/pic.jpg, b/r.jpg and b/r.png are a_pic, b_pic, b_r_jpg and b_r_png.
    """
    if not sources:
        return []
    files = [each.as_path() if isinstance(each, Address) else each for each in sources]
    forms = _forms(files)
    names = [own[0] for own in forms]
    for _ in range(_NUM_FORMS - 1):
        for place in _clashes(files, names):
            following = forms[place].index(names[place]) + 1
            names[place] = forms[place][min(following, len(forms[place]) - 1)]
    return _counted(files, names)


def _forms(files: Sequence[Path]) -> list[list[str]]:
    """The names that each file may have, the shortest first."""
    folders = [os.path.abspath(path.parent) for path in files]
    root = os.path.commonpath(folders)
    forms = []
    for path, folder in zip(files, folders, strict=True):
        parts = [] if folder == root else list(Path(folder).relative_to(root).parts)
        with_suffix = path.name.replace(".", "_")
        stems = [path.stem, "_".join([*parts, path.stem]), "_".join([*parts, with_suffix])]
        forms.append(list(dict.fromkeys(map(_safe, stems))))
    return forms


def _safe(name: str) -> str:
    """What of a name may be that of a file that is written."""
    spelled = utf8_text(name)
    printable = "".join("_" if is_control(mark) or mark in "/\\" else mark for mark in spelled)
    end = printable.encode()[-_MAX_BYTES:].decode(errors="ignore")
    return end.lstrip(".") or "picture"


def _clashes(files: Sequence[Path], names: Sequence[str]) -> list[int]:
    """The places of the files that would share an output with another."""
    keys = [(is_video(path), name.lower()) for path, name in zip(files, names, strict=True)]
    counts = Counter(keys)
    clashes = []
    for place, (video, name) in enumerate(keys):
        frame = None if video else _FRAME.fullmatch(name)
        if counts[video, name] > 1 or (frame and counts[True, frame["video"]]):
            clashes.append(place)
    return clashes


def _counted(files: Sequence[Path], names: Sequence[str]) -> list[str]:
    """Adds counters where names are still the same; videos, whose frames have many, come first."""
    result = list(names)
    videos: set[str] = set()
    images: set[str] = set()
    for place in sorted(range(len(files)), key=lambda place: not is_video(files[place])):
        taken, name = videos if is_video(files[place]) else images, names[place]
        frame = _FRAME.fullmatch(name.lower())
        if taken is images and frame and frame["video"] in videos:
            images.add(name.lower())
        result[place] = unique_name(name, taken)
        taken.add(result[place].lower())
    return result
