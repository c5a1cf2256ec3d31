"""Fit AP over the number of training frames and say what more frames would give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobilenetdet.analysis.learning_curve import draw_learning_curve, fit_power_law, read_point
from mobilenetdet.cli.options import parse
from mobilenetdet.cli.output_file import output_file
from mobilenetdet.runs import LEARNING_CURVE_PLOT


@dataclass(frozen=True)
class Options:
    """Fit AP over the number of training frames and say what more frames would give.

    Takes evaluated runs of one recipe on different numbers of frames (tools/kitti_split.py
    --num_train) and fits 100 - AP = a * frames ** -b for each class, R40 at difficulty moderate.
    Such a forecast far beyond the data is a guess: the validation frames and the recipe stay the
    same.
    """

    # Runs on at least two different numbers of training frames.
    run_dir: tuple[Path, ...]
    # Number of frames to say the AP for; 3,712 is the published split.
    num_frames: int = 3712
    # The picture; by default learning_curve.png in the first run directory.
    output: Path | None = None
    # Replaces a file of others that has the name of --output.
    overwrite: bool = False


def main(argv: list[str] | None = None) -> int:
    """Prints a table, draws it and says where; returns 0.

    Raises:
        FileExistsError: a file of others has the name of the picture.
        FileNotFoundError: a run was not evaluated, or its records are gone.
        ValueError: fewer than two different numbers of frames, an AP of 100, or other classes.
    """
    options = parse(Options, argv)
    if len(options.run_dir) < 2:
        raise ValueError("name two runs or more that were trained on different numbers of frames")
    points = sorted((read_point(run) for run in options.run_dir), key=lambda point: point[0])
    frames = [num_frames for num_frames, _ in points]
    aps = {name: [ap[name] for _, ap in points] for name in _classes(points)}
    laws = {name: fit_power_law(frames, of_class) for name, of_class in aps.items()}
    output = options.output or options.run_dir[0] / LEARNING_CURVE_PLOT
    with output_file(output, overwrite=options.overwrite) as path:
        draw_learning_curve(path, frames, aps, laws, until=max(options.num_frames, *frames))
    print(f"{'frames':12}" + "".join(f"{name:>12}" for name in (*aps, "mean")))
    for num_frames, of_run in points:
        print(_row(f"{num_frames:,}", [of_run[name] for name in aps]))
    forecast = [law.ap(options.num_frames) for law in laws.values()]
    print(_row(f"{options.num_frames:,} (fit)", forecast))
    print(f"{'exponent':12}" + "".join(f"{law.exponent:12.3f}" for law in laws.values()))
    print(output)
    return 0


def _classes(points: list[tuple[int, dict[str, float]]]) -> list[str]:
    """The classes of the runs, which have to be the same."""
    first, *others = (list(ap) for _, ap in points)
    for other in others:
        if other != first:
            raise ValueError(
                f"runs of {', '.join(first)} and of {', '.join(other)}; compare runs of one task"
            )
    return first


def _row(name: str, aps: list[float]) -> str:
    return f"{name:12}" + "".join(f"{ap:12.1f}" for ap in (*aps, float(np.mean(aps))))
