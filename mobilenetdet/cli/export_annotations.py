"""Write predictions as a first draft for people who label: Label Studio, CVAT."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mobilenetdet.annotation.cvat_images import write_cvat
from mobilenetdet.annotation.label_studio import (
    LOCAL_FILES,
    labelling_interface,
    write_label_studio,
)
from mobilenetdet.annotation.predicted_frames import read_predicted
from mobilenetdet.cli.options import parse, refuse_no_effect
from mobilenetdet.cli.output_file import check_output_file, output_file
from mobilenetdet.findings import counted


@dataclass(frozen=True)
class Options:
    """Write predictions as a first draft for people who label by hand.

    Reads what predict --format json has written. label_studio: tasks with predictions, to be
    imported; the labelling interface to paste is printed. cvat: "CVAT for images 1.1", to be
    uploaded to a task that has the pictures.
    """

    # Folder of the predictions, or its detections.json.
    predictions: Annotated[Path, tyro.conf.Positional]
    # File to write: .json for Label Studio, .xml for CVAT.
    output: Annotated[Path, tyro.conf.Positional]
    # For which tool.
    format: Literal["label_studio", "cvat"]
    # Lowest score of a box: drawing one that lacks takes longer than deleting one too many.
    score: float = 0.3
    # What stands before the names of pictures in Label Studio: where it finds them.
    image_prefix: str = LOCAL_FILES
    # Replaces a file of others of this name.
    overwrite: bool = False


def main(argv: list[str] | None = None) -> int:
    """Writes the file and says what it holds; returns 0.

    Raises:
        FileExistsError: a file of another is in the way.
        FileNotFoundError: there are no predictions.
        ValueError: they are damaged, or the score is not 0 to 1.
    """
    options = parse(Options, argv)
    if not 0 <= options.score <= 1:
        raise ValueError(f"--score is {options.score:g}; it must be 0 to 1")
    if options.format != "label_studio":
        refuse_no_effect(options, ["image_prefix"], f"on --format {options.format}")
    check_output_file(options.output, overwrite=options.overwrite)
    frames = read_predicted(options.predictions, min_score=options.score)
    with output_file(options.output, overwrite=options.overwrite) as path:
        if options.format == "cvat":
            write_cvat(frames, path)
        else:
            write_label_studio(frames, path, image_prefix=options.image_prefix)
    boxes = sum(len(frame.detections) for frame in frames)
    many = f"{boxes:,} boxes" if boxes != 1 else "1 box"
    print(f"{options.output}: {counted(len(frames), 'picture')}, {many}")
    if options.format == "label_studio":
        print(f"labelling interface:\n{labelling_interface(frames)}", end="")
    return 0
