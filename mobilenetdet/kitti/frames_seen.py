"""The frames that weights were trained on, so that an AP on these is not taken for one on others.

A frame goes by a hash of its id and its labels, and where two objects or more are in it by one of
its labels alone, too: frames are renumbered, and hardly two have the same boxes. Ids alone are the
same in all data sets in KITTI's format, and a hash of the image would change when records are
written as JPEG, and cost reading all. So a frame without labels counts only beside others that were
trained on, and what changes labels (cropping, scaling, other types) makes another frame.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from mobilenetdet.config.type_names import DONT_CARE_TYPE
from mobilenetdet.files.text import write_json
from mobilenetdet.findings import count_named
from mobilenetdet.kitti.labels import KittiObjects, read_objects
from mobilenetdet.kitti.layout import KittiLayout
from mobilenetdet.runs import FRAMES_SEEN_FILE, shipped_weights

_HASH_BYTES = 6
# Records keep coordinates to this many decimals; whole pixels hide what further ones lost.
_DECIMALS = 3
# Begins the hash of labels alone, and how many objects these must be.
_LABELS_ALONE, _MIN_OBJECTS = "=", 2


@dataclass(frozen=True, repr=False)
class FramesSeen:
    """The frames that weights were trained on.

    Attributes:
        hashes: of the frames, see `frame_hashes`.
        complete: whether there are no others; false where the training began from, or learnt
            from, weights that have no such record.
        num_train_frames: of the training itself, without the frames of those weights; None where
            that is not known.
    """

    hashes: frozenset[str] = frozenset()
    complete: bool = True
    num_train_frames: int | None = field(default=None, compare=False)

    @classmethod
    def of(
        cls, hashes: Iterable[Collection[str]], *, num_train_frames: int | None = None
    ) -> FramesSeen:
        """Makes it of the hashes of each frame, see `frame_hashes`."""
        return cls(frozenset(chain.from_iterable(hashes)), num_train_frames=num_train_frames)

    def __repr__(self) -> str:
        """Says how many there are; the hashes of thousands say nothing."""
        return f"FramesSeen({self.num_frames} frames, complete={self.complete})"

    @property
    def num_frames(self) -> int:
        """The number of the frames."""
        return sum(not value.startswith(_LABELS_ALONE) for value in self.hashes)

    def __or__(self, other: FramesSeen) -> FramesSeen:
        """Returns the frames of both; the training is that of the first."""
        complete = self.complete and other.complete
        return FramesSeen(self.hashes | other.hashes, complete, self.num_train_frames)


@dataclass(frozen=True)
class SeenInSplit:
    """How much of a split weights were trained on.

    Attributes:
        split: such as "val".
        num_frames: of the split.
        frame_ids: of those that were trained on.
        complete: whether these are surely all.
    """

    split: str
    num_frames: int
    frame_ids: tuple[str, ...]
    complete: bool

    @property
    def count(self) -> int | None:
        """The number of frames that were trained on; None if nothing is known."""
        return len(self.frame_ids) if self.complete or self.frame_ids else None

    def __str__(self) -> str:
        """Says how many frames were trained on, and names the first."""
        if self.count is None:
            total = f"{self.num_frames:,} {self.split} frames"
            return f"not known how many of {total} were trained on ({FRAMES_SEEN_FILE} is missing)"
        what = f"{self.split} frames were trained on"
        least = "" if self.complete else "at least "
        if not self.frame_ids:
            return f"0 of {self.num_frames:,} {what}"
        return least + count_named(self.frame_ids, self.num_frames, what)

    def findings(self) -> list[str]:
        """Returns the line as a warning, if frames were trained on."""
        return [f"{self}; AP on them flatters"] if self.frame_ids else []


def frame_hashes(frame_id: str, objects: KittiObjects) -> tuple[str, ...]:
    """Returns what a frame goes by: hashes of its id and labels, and of these alone.

    Args:
        frame_id: KITTI's number of the frame.
        objects: of the label file or of the record, in any order.

    Returns:
        12 hexadecimal digits and, where the labels are enough to tell a frame by, = and 12 more.
    """
    pixels = np.floor(np.round(objects.boxes_xyxy, _DECIMALS)).astype(np.int64).tolist()
    rows = sorted(zip(objects.types.tolist(), pixels, strict=True))
    own = _digest((frame_id, rows))
    if (objects.types != DONT_CARE_TYPE).sum() < _MIN_OBJECTS:
        return (own,)
    return own, _LABELS_ALONE + _digest(rows)


def _digest(content: object) -> str:
    return hashlib.blake2b(repr(content).encode(), digest_size=_HASH_BYTES).hexdigest()


def seen_in_split(
    seen: FramesSeen | None, hashes: Mapping[str, Collection[str]], split: str
) -> SeenInSplit:
    """Counts the frames of a split that weights were trained on.

    Args:
        seen: by the weights; None if nothing is known.
        hashes: of the frames of the split, by their ids.
        split: its name.
    """
    known = seen or FramesSeen(complete=False)
    frame_ids = tuple(i for i, own in hashes.items() if not known.hashes.isdisjoint(own))
    if all(hashes[i] == frame_hashes(i, KittiObjects.empty()) for i in frame_ids):
        frame_ids = ()
    return SeenInSplit(split, len(hashes), frame_ids, known.complete)


def read_frames_seen(path: Path) -> FramesSeen | None:
    """Reads the record of a run or a pack; None if there is none.

    Raises:
        ValueError: the file is no such record.
    """
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        hashes, complete = values["hashes"], values["complete"]
        if not isinstance(hashes, list) or not all(isinstance(value, str) for value in hashes):
            raise TypeError("hashes are a list of strings")
        if not isinstance(complete, bool):
            raise TypeError("complete is true or false")
        num_train_frames = values.get("train_frames")
        if not (num_train_frames is None or _is_count(num_train_frames)):
            raise TypeError("train_frames is a number of frames")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(
            f"{path} does not list the frames that were trained on ({error!r}); remove it, and "
            "write it again with mobilenetdet inspect_records --split train --frames_seen PATH"
        ) from None
    return FramesSeen(frozenset(hashes), complete, num_train_frames)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def write_frames_seen(path: Path, seen: FramesSeen) -> None:
    """Writes the record of a run."""
    values = {
        "frames": seen.num_frames,
        "complete": seen.complete,
        "train_frames": seen.num_train_frames,
        "hashes": sorted(seen.hashes),
    }
    write_json(path, values, indent=None)


def seen_by_shipped_weights(
    layout: KittiLayout,
    split: str,
    frame_ids: Sequence[str],
    known: Mapping[str, KittiObjects] | None = None,
) -> list[str]:
    """Returns which weights that ship were trained on frames of a split.

    Those that have seen the same number of them share a line.

    Args:
        layout: the KITTI folder.
        split: name of the split.
        frame_ids: of the split; all have a label file.
        known: objects of frames whose label files need not be read.

    Raises:
        FileNotFoundError: a label file is gone.
        ValueError: a label file is damaged.
    """
    objects = dict(known or {})
    for i in frame_ids:
        if i not in objects:
            objects[i] = read_objects(layout.label_path(i), with_scores=False)
    hashes = {i: frame_hashes(i, objects[i]) for i in frame_ids}
    return shipped_weights_that_saw(hashes, split)


def shipped_weights_that_saw(hashes: Mapping[str, Collection[str]], split: str) -> list[str]:
    """Returns which weights that ship were trained on frames; see `seen_by_shipped_weights`.

    Args:
        hashes: of the frames of the split, by their ids; see `frame_hashes`.
        split: its name.
    """
    names: dict[str, list[str]] = {}  # by what is to be said
    for name, run in shipped_weights().items():
        if (seen := seen_in_split(read_frames_seen(run.frames_seen_file), hashes, split)).frame_ids:
            names.setdefault(str(seen), []).append(name)
    return [
        f"{seen}; by the weights that ship, {', '.join(of_seen)}, whose AP would flatter there"
        for seen, of_seen in names.items()
    ]
