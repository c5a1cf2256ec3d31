"""Render a data set in KITTI's layout and format."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mobilenetdet.cli.options import parse
from mobilenetdet.cli.progress import frame_progress
from mobilenetdet.findings import counted
from mobilenetdet.synthetic import synthesize


@dataclass(frozen=True)
class Options:
    """Render a data set in KITTI's layout and format, to try everything without KITTI.

    Writes training/image_2, training/label_2 and training/calib under the output folder: streets
    with cars, vans, pedestrians and cyclists as solid shapes, seen through KITTI's camera
    (1242x375). The same command again continues what was interrupted; more frames are added to
    those that are there. Frame i of a seed is always the same.
    """

    # Folder of the data set. One that holds real KITTI frames is refused.
    output_dir: Path = Path("data/rendered")
    # Number of frames.
    num_frames: int = 1000
    # Number of the data set: another seed gives other frames.
    seed: int = 0
    # jpg (quality 95, 0.2 MB a frame) or png (lossless, 0.8 MB a frame).
    image_format: Literal["jpg", "png"] = "jpg"
    # Processes; default one a core.
    num_workers: int | None = None


def main(argv: list[str] | None = None) -> int:
    """Renders the data set; returns 0.

    Args:
        argv: its arguments, by default those of the program.

    Returns:
        The exit code.
    """
    options = parse(Options, argv)
    started = time.monotonic()
    with frame_progress(options.num_frames, "rendering") as progress:
        rendered = synthesize(
            options.output_dir,
            num_frames=options.num_frames,
            seed=options.seed,
            image_format=options.image_format,
            num_workers=options.num_workers,
            on_frame=progress,
        )
    seconds = time.monotonic() - started
    kept = options.num_frames - rendered
    rate = f" in {seconds:.1f} s, {rendered / seconds:.1f} frames/s" if rendered else ""
    done = f"{counted(rendered, 'frame')} rendered{rate}"
    print(f"{options.output_dir}: {done}; {kept} there already")
    return 0
