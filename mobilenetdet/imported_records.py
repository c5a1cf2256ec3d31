"""Data sets of other formats made records, without a KITTI folder in between.

The records are those that `import_labels`, lists of frames and `convert_split` give, byte for byte;
of more than 2 GB they may be divided among other files.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mobilenetdet.files.atomic_write import atomic_folder
from mobilenetdet.files.names import utf8_text
from mobilenetdet.kitti.frames_seen import frame_hashes, shipped_weights_that_saw
from mobilenetdet.kitti.labels import format_objects, parse_objects
from mobilenetdet.kitti.splits import describe_overlaps, random_split
from mobilenetdet.label_formats.cleaning import clean_objects
from mobilenetdet.label_formats.frame_names import write_table
from mobilenetdet.label_formats.importing import (
    RECORD_NAME,
    DataSet,
    ImportReport,
    note_picture,
    read_data_set,
    refuse_imported,
    write_account,
)
from mobilenetdet.label_formats.picture_files import read_picture
from mobilenetdet.label_formats.source_frame import ImportOptions, Notes, SourceFrame
from mobilenetdet.records.detection_record import RecordFrame, frame_features
from mobilenetdet.records.manifest import IMPORTED_FROM, Manifest
from mobilenetdet.records.shard_writer import (
    EncodedRecord,
    ShardOptions,
    ShardProgress,
    SplitRecords,
    write_shards,
)
from mobilenetdet.records.tfrecord import encode_example
from mobilenetdet.system.terminal_text import one_line


@dataclass(frozen=True)
class Division:
    """Which frames go to which split.

    Attributes:
        splits: names of the parts of the data set that become records; () for all.
        val_fraction: divides all frames at random into train and val, whatever parts there are, as
            `random_split` does; None keeps the parts.
        seed: of the draw.
    """

    splits: Sequence[str] = ()
    val_fraction: float | None = None
    seed: int = 0


class ImportedRecords(NamedTuple):
    """What an import to records has written.

    Attributes:
        report: as of an import to a KITTI folder.
        manifests: of the splits.
        overlaps: a line for each split to measure on that shares frames with one to train on.
        seen: a line for weights that ship and were trained on frames of a split to measure on.
    """

    report: ImportReport
    manifests: list[Manifest]
    overlaps: list[str]
    seen: list[str]


@dataclass(frozen=True)
class _FrameSource:
    """A frame that is going to be a record."""

    index: int
    frame_id: str
    frame: SourceFrame

    @property
    def num_bytes(self) -> int:
        """Bytes that hold the picture in the source: a file, or a record with all that is in it."""
        image = self.frame.image
        return image.stat().st_size if isinstance(image, Path) else image.size

    @property
    def identity(self) -> tuple[str, str, int]:
        """What the record is made of."""
        return self.frame_id, self.frame.name, self.num_bytes


class _Encoder:
    """Makes the records of a data set, in threads, and keeps what it has made, in their order."""

    def __init__(self, data: DataSet, options: ImportOptions) -> None:
        self._data, self._options = data, options
        self._notes: dict[int, Notes] = {}
        self._types: dict[int, list[str]] = {}
        self._hashes: dict[int, tuple[str, ...]] = {}
        self._pictures: dict[int, bytes] = {}

    def sources(self, indices: Sequence[int]) -> list[_FrameSource]:
        """Returns frames by their places in the data set."""
        return [_FrameSource(i, self._data.ids[i], self._data.frames[i]) for i in indices]

    def encode(self, source: _FrameSource) -> EncodedRecord:
        """Makes a record as if picture and label were files of a KITTI folder."""
        frame, frame_id, notes = source.frame, source.frame_id, Notes()
        name = one_line(frame.name)
        picture = read_picture(frame.image, name, self._options.exif_orientation)
        note_picture(frame, picture, notes)
        objects = clean_objects(frame, picture.size, self._data.types, notes)
        # Refuses what no label file may hold.
        objects = parse_objects(format_objects(objects), name, with_scores=False)
        width, height = picture.size
        record = RecordFrame(frame_id, picture.encoded, picture.format, height, width, objects)
        self._notes[source.index] = notes
        self._types[source.index] = objects.types.tolist()
        self._hashes[source.index] = frame_hashes(frame_id, objects)
        self._pictures[source.index] = hashlib.blake2b(picture.encoded, digest_size=16).digest()
        return EncodedRecord(frame_id, encode_example(frame_features(record)), len(objects))

    def report(self, parts: Mapping[str, Sequence[int]]) -> ImportReport:
        """Says what has been made; to be asked once."""
        data, indices = self._data, sorted(self._types)
        for index in indices:
            data.notes.merge(self._notes[index])
        return ImportReport(
            num_frames=len(indices),
            num_empty=sum(not self._types[index] for index in indices),
            splits={split: len(of_split) for split, of_split in parts.items()},
            read=dict(Counter(str(n) for i in indices for n in data.frames[i].objects.types)),
            written=dict(Counter(name for index in indices for name in self._types[index])),
            types=data.types,
            notes=data.notes,
        )

    def overlaps(self, parts: Mapping[str, Sequence[int]]) -> list[str]:
        """Says which splits to measure on share pictures with one to train on.

        The same picture may be in several records, whose frames have ids of their own.
        """
        first: dict[bytes, str] = {}
        for index in sorted(self._pictures):
            first.setdefault(self._pictures[index], self._data.ids[index])
        return describe_overlaps(
            {
                split: [first[self._pictures[index]] for index in indices]
                for split, indices in parts.items()
            }
        )

    def seen(self, parts: Mapping[str, Sequence[int]]) -> list[str]:
        """Says which weights that ship were trained on frames of splits to measure on."""
        return [
            line
            for split, indices in parts.items()
            if not split.startswith("train")
            for line in shipped_weights_that_saw(
                {self._data.ids[index]: self._hashes[index] for index in indices}, split
            )
        ]


def import_records(
    label_format: str,
    source: Path,
    destination: Path,
    options: ImportOptions,
    *,
    division: Division | None = None,
    progress: ShardProgress | None = None,
) -> ImportedRecords:
    """Makes a folder of records of a data set of another format.

    Pictures go from the source into the records one by one. The folder is filled under a temporary
    name beside its own, which it gets at the end: after an error nothing is there.

    Args:
        label_format: one of `FORMATS`.
        source: file or folder of the labels; only read.
        destination: the folder of the records; absent or empty.
        options: how to import; `image_files` means nothing here.
        division: of the frames into splits.
        progress: called on the way.

    Raises:
        FileExistsError: the destination holds something.
        FileNotFoundError: labels or pictures are not found; names the first.
        ValueError: a file of the source is damaged, or nothing says which frames are for training.
    """
    refuse_imported(destination)
    data = read_data_set(label_format, source, options)
    division = division or Division()
    parts = _divide(data, source, division)
    encoder = _Encoder(data, options)
    made_of = utf8_text(os.path.abspath(source)), label_format
    with atomic_folder(destination) as folder:
        manifests = _write(folder, parts, encoder, made_of, progress or ShardProgress())
        report = encoder.report(parts)
        made = {
            "format": label_format,
            "to": "records",
            "split": list(division.splits),
            "val_fraction": division.val_fraction,
            "seed": division.seed,
        }
        write_account(folder, source, options, report, made)
        splits = _splits_of(parts)
        pictures = [(data.frames[index].name, names) for index, names in splits.items()]
        write_table(folder, [data.ids[index] for index in splits], pictures)
    return ImportedRecords(report, manifests, encoder.overlaps(parts), encoder.seen(parts))


def _write(
    folder: Path,
    parts: Mapping[str, Sequence[int]],
    encoder: _Encoder,
    made_of: tuple[str, str],
    progress: ShardProgress,
) -> list[Manifest]:
    """Writes the records of each split."""
    dataset, label_format = made_of
    progress.on_start(sum(map(len, parts.values())))
    # The start of all splits was told above.
    each_record = ShardProgress(on_record=progress.on_record)
    manifests = []
    for split, indices in parts.items():
        records = SplitRecords(
            split,
            encoder.sources(indices),
            encoder.encode,
            {IMPORTED_FROM: label_format},
            dataset=dataset,
        )
        manifests.append(write_shards(records, folder, ShardOptions(), each_record)[0])
    return manifests


def _divide(data: DataSet, source: Path, division: Division) -> dict[str, list[int]]:
    """Returns the places of the frames of each split in the data set."""
    if division.val_fraction is not None:
        drawn = random_split(data.ids, val_fraction=division.val_fraction, seed=division.seed)
        place = {frame_id: index for index, frame_id in enumerate(data.ids)}
        parts = {name: [place[i] for i in getattr(drawn, name)] for name in ("train", "val")}
    else:
        names = dict.fromkeys(split for frame in data.frames for split in frame.splits)
        parts = {
            name: [index for index, frame in enumerate(data.frames) if name in frame.splits]
            for name in names
        }
    if not parts:
        raise ValueError(
            f"{source} does not say what is for training, as parts called train and val would; "
            "divide its frames with --val_fraction 0.2"
        )
    if missing := [name for name in division.splits if name not in parts]:
        raise ValueError(f"{source} has no part {missing[0]}; it has {', '.join(parts)}")
    chosen = {name: parts[name] for name in division.splits or parts}
    _refuse_name_of_account(chosen)
    left_out = [f.name for f in data.frames if not f.splits and division.val_fraction is None]
    for name in left_out:
        data.notes.add("pictures of no part of the data set were left out", name)
    return chosen


def _refuse_name_of_account(splits: Iterable[str]) -> None:
    """Refuses a split whose manifest would have the name of what tells of the import."""
    for split in splits:
        if f"{split}.json".lower() == RECORD_NAME:
            raise ValueError(
                f"a part of the data set is called {split}, and {RECORD_NAME} tells of the import; "
                "rename the file or folder that it is called after, name the other parts with "
                "--split, or divide with --val_fraction"
            )


def _splits_of(parts: Mapping[str, Sequence[int]]) -> dict[int, list[str]]:
    """Returns the splits of each frame that is in one, in the order of the data set."""
    found: dict[int, list[str]] = {}
    for split, indices in parts.items():
        for index in indices:
            found.setdefault(index, []).append(split)
    return dict(sorted(found.items()))
