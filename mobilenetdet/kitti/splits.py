"""Dividing KITTI's labelled frames into training and validation: at random, by drive, as published.

KITTI's frames are taken from drives filmed at 10 frames a second, so two frames of one drive may
show the same cars from nearly the same place. `describe_leaks` says how much of that a split lets
through.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilenetdet.files.text import read_text
from mobilenetdet.findings import count_named, counted
from mobilenetdet.kitti.layout import KittiLayout, parse_frame_ids

# Frames of a drive are 0.1 s apart; within a second the scene is practically the same.
NEAR_FRAMES = 10
_ID_OF_KITTI = re.compile(r"\d{6}")
_LEAKS_OF_OTHERS = (
    "a random split: pictures that were taken one after the other land on both sides, and AP on "
    "such flatters; lists of your own, train.txt and val.txt, are converted as well"
)
_KNOWN_LEAKS = {
    "random": (
        "a random split puts neighbouring frames of one drive on both sides; its AP flatters the "
        "detector and compares only with other random halves (SqueezeDet's figures are such)"
    ),
    "published": (
        "the published split keeps the frames of one drive on one side (Chen et al., NIPS 2015)"
    ),
    "drive": "no drive is on both sides",
}

DriveMapping = Mapping[str, tuple[str, int]]


@dataclass(frozen=True)
class Split:
    """Frame ids of the two sides, each sorted."""

    train: list[str]
    val: list[str]

    @property
    def trainval(self) -> list[str]:
        """The sorted ids of both sides."""
        return sorted([*self.train, *self.val])

    def restrict(self, frame_ids: Iterable[str]) -> Split:
        """Returns the split of those of its frames that are among `frame_ids`."""
        present = set(frame_ids)
        return Split([i for i in self.train if i in present], [i for i in self.val if i in present])

    def draw_train(self, num_frames: int, *, seed: int) -> Split:
        """Returns the split with only some of its training frames, for learning curves.

        The smaller of two draws is a part of the larger.

        Raises:
            ValueError: there are not as many, or fewer than one is asked for.
        """
        if not 1 <= num_frames <= len(self.train):
            raise ValueError(f"num_train is {num_frames}, expected 1 to {len(self.train):,}")
        order = sorted(self.train, key=lambda frame_id: _rank(frame_id, seed))
        return Split(sorted(order[:num_frames]), self.val)


@dataclass(frozen=True)
class LeakCounts:
    """How close the validation frames of a split are to its training frames.

    Attributes:
        shared_drives: drives with frames on both sides.
        val_frames_of_shared_drives: validation frames of those drives.
        near_val_frames: validation frames with a training frame of their drive within 1 s.
        unknown_frames: frames on either side that the mapping does not hold.
    """

    shared_drives: int
    val_frames_of_shared_drives: int
    near_val_frames: int
    unknown_frames: int


def random_split(frame_ids: Collection[str], *, val_fraction: float, seed: int) -> Split:
    """Returns a random split; the same for the same frames, fraction and seed, in any order.

    The order comes from a hash of seed and id, so no version of Python or numpy changes it.

    Args:
        frame_ids: at least two frames.
        val_fraction: share of the frames for validation, above 0 and below 1; rounded to whole
            frames, at least one on each side.
        seed: any integer; another seed gives another split.

    Raises:
        ValueError: the fraction is out of range, or there are fewer than two frames.
    """
    _check_fraction(val_fraction)
    if len(frame_ids) < 2:
        raise ValueError(
            f"{counted(len(frame_ids), 'frame')} cannot be split; at least 2 are needed"
        )
    order = sorted(frame_ids, key=lambda frame_id: _rank(frame_id, seed))
    num_val = min(max(round(val_fraction * len(order)), 1), len(order) - 1)
    return Split(train=sorted(order[num_val:]), val=sorted(order[:num_val]))


def published_split() -> Split:
    """Returns the split that most papers use: 3,712 frames to train, 3,769 to validate.

    Source: Chen et al., 3D Object Proposals for Accurate Object Class Detection, NIPS 2015.
    """
    folder = importlib.resources.files("mobilenetdet.kitti") / "published_split"
    texts = {
        name: (folder / f"{name}.txt").read_text(encoding="utf-8") for name in ("train", "val")
    }
    return Split(**{name: parse_frame_ids(text, f"{name}.txt") for name, text in texts.items()})


def drive_split(
    frame_ids: Collection[str], mapping: DriveMapping, *, val_fraction: float, seed: int
) -> Split:
    """Returns a split that keeps each drive on one side.

    Drives are taken for validation in random order as long as that brings its share nearer to
    `val_fraction`.

    Args:
        frame_ids: frames of at least two drives.
        mapping: frame id -> (drive, index in the drive), from `read_drive_mapping`.
        val_fraction: wished share of the frames for validation, above 0 and below 1.
        seed: any integer; another seed gives another split.

    Raises:
        ValueError: the fraction is out of range, a frame is not in the mapping, or all frames are
            of one drive.
    """
    _check_fraction(val_fraction)
    unknown = sorted(frame_id for frame_id in frame_ids if frame_id not in mapping)
    if unknown:
        raise ValueError(
            f"{len(unknown)} frames, {unknown[0]} the first, are not in the drive mapping; are "
            "these KITTI's training frames? Other data can be split with --method random"
        )
    sizes = Counter(mapping[frame_id][0] for frame_id in frame_ids)
    if len(sizes) < 2:
        raise ValueError(f"all {len(frame_ids)} frames are of one drive; split them at random")
    drives = sorted(sizes, key=lambda drive: _rank(drive, seed))
    target, taken = val_fraction * len(frame_ids), 0
    val_drives: set[str] = set()
    for drive in drives:
        nearer = abs(taken + sizes[drive] - target) < abs(taken - target)
        if nearer and len(val_drives) < len(sizes) - 1:  # one drive stays for training
            val_drives.add(drive)
            taken += sizes[drive]
    if not val_drives:  # every drive is more than twice as large as the share that is wished
        val_drives = {min(drives, key=lambda drive: sizes[drive])}
    ids = sorted(frame_ids)
    return Split(
        train=[i for i in ids if mapping[i][0] not in val_drives],
        val=[i for i in ids if mapping[i][0] in val_drives],
    )


def read_drive_mapping(devkit_dir: str | os.PathLike[str]) -> dict[str, tuple[str, int]]:
    """Returns the drive of each training frame and its index there, from the devkit's files.

    `mapping/train_mapping.txt` lists "date drive frame"; the i-th number of
    `mapping/train_rand.txt` is the 1-based line in it that training frame i was taken from.

    Args:
        devkit_dir: the unpacked development kit, or the folder `mapping` in it.

    Raises:
        FileNotFoundError: a file is missing; says where to get it.
        ValueError: a file is damaged; names file and line or entry.
    """
    folder = Path(devkit_dir)
    folder = folder / "mapping" if (folder / "mapping").is_dir() else folder
    paths = [folder / "train_mapping.txt", folder / "train_rand.txt"]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} does not exist; it comes with KITTI's object development kit "
                "(devkit_object.zip, https://www.cvlibs.net/datasets/kitti/eval_object.php): "
                "unpack it and pass its folder as --devkit_dir"
            )
    frames = _parse_drive_frames(paths[0])
    mapping = {}
    for index, word in enumerate(read_text(paths[1], "devkit's list").replace(",", " ").split()):
        if not word.isdecimal() or not 1 <= int(word) <= len(frames):
            raise ValueError(
                f"{paths[1]}: entry {index + 1} is {word!r}, expected a line of {paths[0].name} "
                f"(1 to {len(frames)})"
            )
        mapping[f"{index:06d}"] = frames[int(word) - 1]
    return mapping


def count_leaks(split: Split, mapping: DriveMapping) -> LeakCounts:
    """Returns how many validation frames have a training frame of the same drive, and how near."""
    train = [mapping[i] for i in split.train if i in mapping]
    val = [mapping[i] for i in split.val if i in mapping]
    shared = {drive for drive, _ in train} & {drive for drive, _ in val}
    train_frames = set(train)
    offsets = range(-NEAR_FRAMES, NEAR_FRAMES + 1)
    near = [any((drive, index + o) in train_frames for o in offsets) for drive, index in val]
    return LeakCounts(
        shared_drives=len(shared),
        val_frames_of_shared_drives=sum(drive in shared for drive, _ in val),
        near_val_frames=sum(near),
        unknown_frames=len(split.train) + len(split.val) - len(train) - len(val),
    )


def describe_leaks(split: Split, method: str, mapping: DriveMapping | None = None) -> list[str]:
    """Returns what the split lets through from training to validation, in lines to print.

    Args:
        split: the split.
        method: "random", "published" or "drive": how it was made.
        mapping: the drives of the frames; without them the lines say what is known of the method.
    """
    lines = [_KNOWN_LEAKS[method]]
    if mapping is None:
        if method == "random" and not all(map(_ID_OF_KITTI.fullmatch, split.trainval)):
            return [_LEAKS_OF_OTHERS]
        return [*lines, "--devkit_dir counts the frames of drives that are on both sides"]
    counts = count_leaks(split, mapping)
    lines.append(
        f"counted: {counts.shared_drives} drives on both sides, with "
        f"{counts.val_frames_of_shared_drives} of the {len(split.val)} validation frames; "
        f"{counts.near_val_frames} validation frames have a training frame within 1 s"
    )
    if counts.unknown_frames:
        lines.append(f"{counts.unknown_frames} frames are in no known drive and not counted")
    return lines


def list_overlaps(layout: KittiLayout, splits: Iterable[str]) -> list[str]:
    """Returns a line for each list of frames to measure on that shares some with one to train on.

    Lists to train on are those whose names begin with train; trainval holds both sides on purpose.

    Args:
        layout: the KITTI folder.
        splits: names of lists; train and val are looked at with them, where they are there.

    Raises:
        ValueError: a list is damaged.
    """
    beside = (name for name in ("train", "val") if layout.image_set_path(name).is_file())
    names = [name for name in dict.fromkeys([*splits, *beside]) if name != "trainval"]
    return describe_overlaps({name: layout.read_image_set(name) for name in names}, ending=".txt")


def describe_overlaps(lists: Mapping[str, Sequence[str]], *, ending: str = "") -> list[str]:
    """Returns a line for each list to measure on that shares frames with one to train on.

    Args:
        lists: frame ids by the name of the list; see `list_overlaps`.
        ending: of the files of the lists, for the lines.
    """
    names = [name for name in lists if name != "trainval"]
    found = []
    for train in (name for name in names if name.startswith("train")):
        for val in (name for name in names if not name.startswith("train")):
            trained = set(lists[train])
            if shared := [frame_id for frame_id in lists[val] if frame_id in trained]:
                what = f"frames of {val}{ending} are in {train}{ending}, too"
                found.append(f"{count_named(shared, len(lists[val]), what)}; AP on them flatters")
    return found


def _check_fraction(val_fraction: float) -> None:
    if not 0 < val_fraction < 1:
        raise ValueError(f"val_fraction is {val_fraction}, expected above 0 and below 1")


def _rank(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def _parse_drive_frames(path: Path) -> list[tuple[str, int]]:
    frames = []
    for number, line in enumerate(read_text(path, "devkit's list").splitlines(), 1):
        words = line.split()
        if len(words) != 3 or not words[2].isdecimal():
            raise ValueError(f"{path}:{number}: {line!r} is not 'date drive frame'")
        frames.append((words[1], int(words[2])))
    return frames
