"""Write KITTI labels or result files in another format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mobilenetdet.cli.options import parse
from mobilenetdet.cli.progress import frame_progress
from mobilenetdet.findings import counted
from mobilenetdet.system.terminal_text import one_line


@dataclass(frozen=True)
class Options:
    """Write the labels of a KITTI folder, or a detector's result files, in another format.

    Of a KITTI folder a whole data set is made, with its pictures; what the format has no field for
    is in attributes, and comes back with import. Of result files coco is results.json for
    pycocotools, yolo labels/ with the score as the sixth number, voc a file a class.
    """

    # A KITTI folder, or a folder of result files NNNNNN.txt with scores.
    source: Annotated[Path, tyro.conf.Positional]
    # The folder to make; new or empty.
    destination: Annotated[Path, tyro.conf.Positional]
    # Format to write.
    format: Literal["coco", "yolo", "voc"]
    # Lists of ImageSets to write; by default all, without trainval where train and val are there.
    split: tuple[str, ...] | None = None
    # COCO file that has the ids of images and categories, for result files as coco.
    coco_file: Path | None = None
    # KITTI folder that has the pictures, for result files as yolo.
    kitti_root: Path | None = None
    # Copies the pictures. By default they are hard links, and copies where there can be none.
    copy: bool = False
    # Makes symbolic links of the pictures, which end with the source.
    symlink: bool = False
    # What the labels of pictures with an EXIF orientation are meant for: the picture as viewers
    # show it (obey), or the pixels as they are stored (ignore). Such pictures are written upright,
    # as PNG. By default the first stops the export.
    exif_orientation: Literal["obey", "ignore"] | None = None


def main(argv: list[str] | None = None) -> int:
    """Writes the data set or the results, and says what they hold; returns 0.

    Raises:
        FileExistsError: the destination is neither new nor empty.
        FileNotFoundError: labels, results or pictures are missing.
        ValueError: a file is damaged, or an option is missing or makes no sense.
    """
    options = parse(Options, argv)
    if options.copy and options.symlink:
        raise ValueError("--copy and --symlink are given; choose one")
    # Not at the top: --help does without.
    from mobilenetdet.kitti.layout import KittiLayout
    from mobilenetdet.label_formats.exporting import export_labels, export_results

    layout = KittiLayout(options.source)
    if layout.image_dir.parent.is_dir():
        with frame_progress(None, "exporting") as on_frame:
            report = export_labels(
                options.format,
                layout,
                options.destination,
                splits=options.split,
                image_files="copy"
                if options.copy
                else "symlink"
                if options.symlink
                else "hardlink",
                exif_orientation=options.exif_orientation,
                on_frame=on_frame,
            )
    else:
        report = export_results(
            options.format,
            options.source,
            options.destination,
            coco_file=options.coco_file,
            kitti_root=options.kitti_root,
        )
    parts = ", ".join(
        f"{name} {counted(count, 'frame')}".strip() for name, count in report.parts.items()
    )
    objects = ", ".join(f"{one_line(name)} {count:,}" for name, count in report.objects.items())
    print(f"{options.destination}: {parts}; {objects or 'no object'}")
    for line in report.notes.lines():
        print(f"note: {one_line(line)}")
    return 0
