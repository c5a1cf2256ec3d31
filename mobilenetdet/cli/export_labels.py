"""Write KITTI labels or result files in another format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mobilenetdet.cli.options import parse, refuse_no_effect
from mobilenetdet.cli.progress import frame_progress
from mobilenetdet.findings import counted
from mobilenetdet.system.terminal_text import one_line

# Options for a whole data set; for result files, with the format that goes by them.
_OF_DATA_SETS = ("split", "image_files", "exif_orientation")
_OF_RESULTS = {"coco_file": "coco", "kitti_root": "yolo"}


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
    # How the pictures get there. hardlink takes no space, and is a copy where the source is on
    # another file system; symlink ends with the source.
    image_files: Literal["hardlink", "symlink", "copy"] = "hardlink"
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
    # Not at the top: --help does without.
    from mobilenetdet.kitti.layout import KittiLayout
    from mobilenetdet.label_formats.exporting import export_labels, export_results

    layout = KittiLayout(options.source)
    is_data_set = layout.image_dir.parent.is_dir()
    _refuse_unused(options, is_data_set)
    if is_data_set:
        with frame_progress(None, "exporting") as on_frame:
            report = export_labels(
                options.format,
                layout,
                options.destination,
                splits=options.split,
                image_files=options.image_files,
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


def _refuse_unused(options: Options, is_data_set: bool) -> None:
    """Refuses options that the source, or the format of results, does not go by."""
    if is_data_set:
        refuse_no_effect(options, _OF_RESULTS, f"on the KITTI folder {options.source}")
        return
    refuse_no_effect(options, _OF_DATA_SETS, f"on the result files in {options.source}")
    others = [name for name, own in _OF_RESULTS.items() if own != options.format]
    refuse_no_effect(options, others, f"on --format {options.format}")
