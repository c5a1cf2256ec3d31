"""What video files say of themselves: whether all of it is there, and how many frames it shows.

OpenCV estimates the number of frames where a format does not have it, from a length that may be
that of the sound or of a pause, and counts frames that an edit list leaves out. So it is read here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
# Boxes of MP4 that hold boxes, on the way to the tables of frames.
_BOXES = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts"})
_UNKNOWN = (1 << 32) - 1
# A table of a box is not longer, bytes; one that says so is damaged.
_MAX_TABLE = 1 << 28


class VideoFacts(NamedTuple):
    """What a video file says of itself.

    Attributes:
        fault: what of the file is missing, or "".
        frames: how many are shown, or None where the format does not say.
    """

    fault: str = ""
    frames: int | None = None


def video_facts(path: Path) -> VideoFacts:
    """Reads the structure of MP4, AVI and Matroska files; of others nothing is known."""
    size = path.stat().st_size
    if not size:
        return VideoFacts("it is empty")
    with path.open("rb") as file:
        start = file.read(12)
        try:
            if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return _mp4_facts(file, size)
            if start[:4] == b"RIFF" and start[8:] == b"AVI ":
                return _avi_facts(file, size)
            if start[:4] == _EBML.to_bytes(4, "big"):
                return _matroska_facts(file, size)
        except (struct.error, ValueError, IndexError):  # it ends within a number
            return VideoFacts("its structure is damaged")
    return VideoFacts()


def _mp4_facts(file: BinaryIO, size: int) -> VideoFacts:
    names: set[bytes] = set()
    tracks: list[dict[bytes, bytes]] = []
    tick = 0
    for name, content, end in _mp4_boxes(file, 0, size):
        names.add(name)
        if end > size:
            return VideoFacts(f"it is cut off after {size:,} of {end:,} bytes")
        if name == b"trak":
            tracks.append({})
        elif name == b"mvhd":
            tick = _clock(_content(file, content, end))
        elif tracks and name in (b"hdlr", b"mdhd", b"stts", b"ctts", b"elst"):
            tracks[-1].setdefault(name, _content(file, content, end))
    if b"moov" not in names:
        return VideoFacts("it has no index (moov): it is cut off, or its recording was not ended")
    videos = [track for track in tracks if track.get(b"hdlr", b"")[8:12] == b"vide"]
    if b"moof" in names or not videos:
        return VideoFacts()
    return VideoFacts(frames=min(_shown_frames(track, tick) for track in videos))


def keep_whole_fragments(path: Path) -> bool:
    """Cuts an MP4 file in fragments, whose writing broke off, behind the last whole one.

    Returns:
        Whether there is one, so that the file can be played.
    """
    size, end, has_index = path.stat().st_size, 0, False
    with path.open("r+b") as file:
        for name, _, behind in _mp4_boxes(file, 0, size):
            if behind > size:
                break
            has_index = has_index or name == b"moov"
            if name == b"mdat" and has_index:
                end = behind
        file.truncate(end)
    return end > 0


def _mp4_boxes(file: BinaryIO, place: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yields the name of each box, where its content begins and where it ends."""
    while place + 8 <= end:
        file.seek(place)
        head = file.read(16)
        length, name, start = int.from_bytes(head[:4], "big"), head[4:8], place + 8
        if length == 1:
            length, start = int.from_bytes(head[8:16], "big"), place + 16
        following = place + length if length else end
        if following < start:
            raise ValueError("a box ends before it begins")
        yield name, start, following
        if name in _BOXES:
            yield from _mp4_boxes(file, start, min(following, end))
        place = following


def _content(file: BinaryIO, start: int, end: int) -> bytes:
    if end - start > _MAX_TABLE:
        raise ValueError("a table is too long")
    file.seek(start)
    return file.read(end - start)


def _clock(box: bytes) -> int:
    """Ticks a second, of mvhd and mdhd."""
    return struct.unpack_from(">I", box, 20 if box[0] else 12)[0]


def _shown_frames(track: dict[bytes, bytes], tick: int) -> int:
    """How many frames of a track are shown: those whose times an edit of its list holds."""
    counts, steps = np.frombuffer(track[b"stts"][8:], ">u4").reshape(-1, 2).astype(np.int64).T
    total = int(counts.sum())
    if b"elst" not in track or total > _MAX_TABLE:
        return total
    times = np.concatenate([[0], np.repeat(steps, counts).cumsum()[:-1]])
    if b"ctts" in track:
        table = track[b"ctts"][8:]
        repeats = np.frombuffer(table, ">u4")[::2]
        times += np.repeat(np.frombuffer(table, ">i4")[1::2], repeats)
    shown = np.zeros(total, bool)
    version, (num_edits,) = track[b"elst"][0], struct.unpack_from(">I", track[b"elst"], 4)
    form = ">Qqi" if version else ">Iii"
    for index in range(num_edits):
        at = 8 + index * struct.calcsize(form)
        duration, begin, _ = struct.unpack_from(form, track[b"elst"], at)
        length = duration * _clock(track[b"mdhd"]) / max(1, tick)
        if begin >= 0:
            shown |= (times >= begin) & (times < (begin + length if duration else np.inf))
    return int(shown.sum())


def _avi_facts(file: BinaryIO, size: int) -> VideoFacts:
    place = frames = 0
    has_frames = False
    while place + 12 <= size:
        file.seek(place)
        name, length, kind = struct.unpack("<4sI4s", file.read(12))
        if name in (b"RIFF", b"LIST"):
            end = place + 8 + length
            # What is sent while it is recorded does not know its length.
            if kind == b"movi" and end > size and length != _UNKNOWN:
                return VideoFacts(f"it is cut off after {size:,} of {end:,} bytes")
            has_frames = has_frames or kind == b"movi"
            place += 12
            continue
        # Empty ones stand for frames that were left out.
        frames += name[2:] in (b"dc", b"db") and length > 0
        place += 8 + length + length % 2
    return VideoFacts("" if has_frames else "it is cut off", frames or None)


def _matroska_facts(file: BinaryIO, size: int) -> VideoFacts:
    place = 0
    while place < size:
        file.seek(place)
        head = file.read(16)
        id_length = _vint_length(head[0])
        length, known = _vint(head[id_length:])
        start = place + id_length + _vint_length(head[id_length])
        if int.from_bytes(head[:id_length], "big") == _SEGMENT:
            end = start + length
            cut_off = known and end > size
            return VideoFacts(f"it is cut off after {size:,} of {end:,} bytes" if cut_off else "")
        place = start + length
    return VideoFacts("it is cut off")


def _vint_length(first: int) -> int:
    return 9 - first.bit_length()


def _vint(content: bytes) -> tuple[int, bool]:
    """A number of EBML, and whether it is known: recordings that are sent do not know theirs."""
    length = _vint_length(content[0])
    most = (1 << 7 * length) - 1
    value = int.from_bytes(content[:length], "big") & most
    return value, value != most
