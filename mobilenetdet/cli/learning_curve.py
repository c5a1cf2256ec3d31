"""Fit AP over the number of training frames and say what more frames would give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobilenetdet.analysis.learning_curve import (
    describe_laws,
    draw_learning_curve,
    read_point,
    refuse_other_scoring,
)
from mobilenetdet.analysis.power_law import PowerLaw, fit_power_law
from mobilenetdet.cli.options import parse
from mobilenetdet.cli.output_file import output_file
from mobilenetdet.files.names import refuse_repeated_paths
from mobilenetdet.runs import LEARNING_CURVE_PLOT, open_run

_MAX_FRAMES = 10**9


@dataclass(frozen=True)
class Options:
    """Fit AP over the number of training frames and say what more frames would give.

    Takes evaluated runs of one recipe on different numbers of frames (tools/kitti_split.py
    --num_train) and fits 100 - AP = a * frames ** -b for each class, R40 at difficulty moderate.
    Such a forecast far beyond the data is a guess: the validation frames and the recipe stay the
    same. Between which AP one more run is expected follows from how far the runs lie off the law,
    from three runs on; of three it is wide. It says nothing of whether the law holds so far.
    """

    # Runs on at least two different numbers of training frames.
    run_dir: tuple[Path, ...]
    # Number of frames to say the AP for; 3,712 is the published split.
    num_frames: int = 3712
    # How likely the AP of one more run lies between the two that are named, above 0 and below 1.
    confidence: float = 0.68
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
    if not 0 < options.confidence < 1:
        raise ValueError(f"--confidence is {options.confidence:g}; it must be above 0 and below 1")
    if not 1 <= options.num_frames <= _MAX_FRAMES:
        rule = f"it must be 1 to {_MAX_FRAMES:,}"
        raise ValueError(f"--num_frames is {options.num_frames}; {rule}")
    refuse_repeated_paths(options.run_dir, "run", "each is one point of the curve")
    points = sorted(map(read_point, options.run_dir), key=lambda point: point.num_frames)
    refuse_other_scoring(points)
    frames = [point.num_frames for point in points]
    aps = {name: [point.aps[name] for point in points] for name in points[0].aps}
    laws = {name: _fit(name, frames, of_class) for name, of_class in aps.items()}
    output = options.output or open_run(options.run_dir[0]).output_dir / LEARNING_CURVE_PLOT
    until = max(options.num_frames, *frames)
    with output_file(output, overwrite=options.overwrite) as path:
        draw_learning_curve(path, frames, aps, laws, until=until, confidence=options.confidence)
    print(f"{'frames':12}" + "".join(f"{name:>12}" for name in (*aps, "mean")))
    for point in points:
        print(_row(f"{point.num_frames:,}", [point.aps[name] for name in aps]))
    _print_forecast(laws, options)
    for line in describe_laws(laws, points):
        print(line)
    for point in points:
        for line in point.remarks():
            print(line)
    print(output)
    return 0


def _fit(name: str, frames: list[int], aps: list[float]) -> PowerLaw:
    try:
        return fit_power_law(frames, aps)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _print_forecast(laws: dict[str, PowerLaw], options: Options) -> None:
    """Prints what the laws say of more frames; between which AP a mean lies if all classes do."""
    print(
        _row(
            f"{options.num_frames:,} (fit)", [each.ap(options.num_frames) for each in laws.values()]
        )
    )
    intervals = [each.interval(options.num_frames, options.confidence) for each in laws.values()]
    known = [each for each in intervals if each is not None]
    for place, side in enumerate(("from", "to") if known else ()):
        print(_row(f"{100 * options.confidence:.10g}% {side}", [each[place] for each in known]))
    if not known:
        print("two runs fit exactly: how far off the forecast may be is not known")
    print(f"{'exponent':12}" + "".join(f"{law.exponent:12.3f}" for law in laws.values()))


def _row(name: str, aps: list[float]) -> str:
    return f"{name:12}" + "".join(f"{ap:12.1f}" for ap in (*aps, float(np.mean(aps))))
