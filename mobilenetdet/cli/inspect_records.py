"""Summarise what the records hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from mobilenetdet.analysis.record_summary import RecordsSummary, draw_sample, summarize
from mobilenetdet.cli.options import parse
from mobilenetdet.config.classes import EVALUATED_CLASSES
from mobilenetdet.config.type_names import DONT_CARE_TYPE, KITTI_TYPES
from mobilenetdet.drawing import montage, write_image
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.findings import counted
from mobilenetdet.kitti.frames_seen import FramesSeen, write_frames_seen
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.frame_hashes import hash_frames
from mobilenetdet.records.remote_path import RecordsPath, num_bytes
from mobilenetdet.records.shards import list_splits, shard_paths

_MAX_LISTED = 10


@dataclass(frozen=True)
class Options:
    """Summarise the records: classes, boxes past the border, empty frames, image sizes.

    Every checksum is verified on the way. A montage of labelled frames is written beside the
    records.
    """

    # Folder of the records.
    records_dir: Path = Path("data/KITTI/tfrecord")
    # Splits to look at; by default all in the folder.
    split: tuple[str, ...] | None = None
    # Picture of some frames with their labels, .jpg or .png; by default montage.jpg in the folder
    # of the records.
    montage: Path | None = None
    # Replaces a picture of that name that another program has written.
    overwrite: bool = False
    # Frames of each split in the montage, evenly spaced; 0 writes none.
    num_frames: int = 6
    # Frames in a row of the montage.
    columns: int = 2
    # Writes hashes of the frames of these splits to a file, as frames_seen.json of a run that was
    # trained on them by a version that kept no such file; goes with --split.
    frames_seen: Path | None = None


def main(argv: list[str] | None = None) -> int:
    """Prints what the records hold and writes the montage; returns 0.

    Raises:
        FileExistsError: another picture has the name of the montage.
        FileNotFoundError: a split is not converted.
        ValueError: a shard is damaged, or --frames_seen comes without --split.
    """
    options = parse(Options, argv)
    if options.num_frames < 0 or options.columns < 1:
        raise ValueError(
            f"num_frames is {options.num_frames} and columns is {options.columns}; they must be at "
            "least 0 and 1"
        )
    _check_frames_seen(options)
    path = options.montage or options.records_dir / "montage.jpg"
    folder = OutputFolder(path.parent, overwrite=options.overwrite)
    folder.refuse_foreign([path.name] if options.num_frames > 0 else [])
    console = Console()
    summaries = {}
    for split in options.split or list_splits(options.records_dir) or ("train",):
        paths = shard_paths(options.records_dir, split)
        summaries[split] = summarize(read_frames(paths))
        _print_summary(console, split, paths, summaries[split])
    if options.frames_seen is not None:
        _write_frames_seen(options.frames_seen, options)
    if pictures := _draw(options, summaries):
        with folder.writing(path.name) as staged:
            write_image(staged, montage(pictures, columns=options.columns))
        console.print(
            f"montage of {counted(len(pictures), 'frame')}: {path}", highlight=False, soft_wrap=True
        )
    return 0


def _draw(options: Options, summaries: Mapping[str, RecordsSummary]) -> list[np.ndarray]:
    """Some frames of each split with their labels; types that KITTI has not get own colours."""
    found = {name for summary in summaries.values() for name in summary.classes}
    own = sorted(found - {*KITTI_TYPES, DONT_CARE_TYPE})
    pictures: list[np.ndarray] = []
    for split, summary in summaries.items() if options.num_frames > 0 else ():
        pictures += draw_sample(
            read_frames(shard_paths(options.records_dir, split)),
            summary.num_frames,
            options.num_frames,
            prefix=f"{split} ",
            classes=(*EVALUATED_CLASSES, *own),
        )
    return pictures


def _check_frames_seen(options: Options) -> None:
    """Refuses a list of frames that would hold too many or replace another, before the work."""
    path = options.frames_seen
    if path is not None and options.split is None:
        raise ValueError("--frames_seen needs the splits of the training: --split train")
    if path is not None and path.exists():
        raise FileExistsError(f"{path} is there; move it away, or name another with --frames_seen")


def _write_frames_seen(path: Path, options: Options) -> None:
    frames = [hash_frames(options.records_dir, split) for split in options.split or ()]
    seen = FramesSeen.of(own for hashes in frames for own in hashes.values())
    write_frames_seen(path, seen)
    print(f"{path}: {counted(seen.num_frames, 'frame')} of {', '.join(options.split or ())}")


def _print_summary(
    console: Console, split: str, paths: Sequence[RecordsPath], summary: RecordsSummary
) -> None:
    megabytes = sum(map(num_bytes, paths)) / 1e6
    title = f"{split}: {counted(summary.num_frames, 'frame')}, {megabytes:,.1f} MB"
    console.print(f"{title} in {counted(len(paths), 'shard')}", style="bold", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("class", no_wrap=True)
    for name in ("objects", "frames", "past border", "no area", "median height"):
        table.add_column(name, justify="right")
    for name, row in summary.classes.items():
        counts = (row.num_objects, row.num_frames, row.num_outside, row.num_empty)
        table.add_row(name, *(f"{count:,}" for count in counts), f"{row.median_height:.0f} px")
    console.print(table)
    sizes = (f"{w}x{h} {kind} {n:,}" for (w, h, kind), n in summary.image_sizes.items())
    lines = [f"images: {', '.join(sizes)}"]
    lines.append(_list_frames("without any object", summary.empty_frames))
    lines.append(_list_frames("with DontCare alone", summary.dont_care_frames))
    if summary.repeated_frames:
        lines.append(_list_frames("more than once in the split", summary.repeated_frames))
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


def _list_frames(what: str, frame_ids: Sequence[str]) -> str:
    listed = ", ".join(frame_ids[:_MAX_LISTED])
    more = ", ..." if len(frame_ids) > _MAX_LISTED else ""
    return f"frames {what}: {len(frame_ids):,}" + (f" ({listed}{more})" if listed else "")
