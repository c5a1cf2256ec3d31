"""AP over the number of training frames, and what more frames would give by its power law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mobilenetdet.drawing.class_colours import plot_colours
from mobilenetdet.drawing.figure_style import write_figure
from mobilenetdet.evaluation.metrics_file import read_metrics
from mobilenetdet.kitti.ap_result import FRAMES_KEY, TASK_KEY
from mobilenetdet.kitti.frames_seen import read_frames_seen, seen_in_split
from mobilenetdet.records.frame_hashes import hash_frames
from mobilenetdet.records.shards import split_manifest
from mobilenetdet.runs import RunDir, open_run

# Of metrics.json: what an AP depends on beside the detector.
_SCORING = ("protocol", "frames", FRAMES_KEY, TASK_KEY)


@dataclass(frozen=True)
class PowerLaw:
    """An error that falls with the number of training frames: scale * frames ** -exponent.

    Source of the form: Hestness et al., Deep Learning Scaling is Predictable, Empirically
    (arXiv 1712.00409).

    Attributes:
        scale: the error after one frame.
        exponent: by which it falls.
        log_frames: [P] logarithms of the numbers of frames that it was fitted to.
        scatter: standard deviation of the logarithms of the errors around it, P - 2 degrees of
            freedom; None where two runs leave none.
    """

    scale: float
    exponent: float
    log_frames: tuple[float, ...] = ()
    scatter: float | None = None

    def ap(self, num_frames: float) -> float:
        """AP in percent after training on so many frames."""
        return 100.0 - self.scale * num_frames**-self.exponent

    def interval(self, num_frames: float, confidence: float) -> tuple[float, float] | None:
        """Returns between which AP, 0 or more, one more run on so many frames is expected.

        The prediction interval of a line through the logarithms, with Student's t: with three runs
        it is wide. It takes for granted that the law holds as far as that.

        Args:
            num_frames: of the run.
            confidence: how likely it is that the AP lies there, above 0 and below 1.
        """
        if self.scatter is None:
            return None
        logs, distance = np.array(self.log_frames), np.log(num_frames) - np.mean(self.log_frames)
        spread = ((logs - logs.mean()) ** 2).sum()
        error = self.scatter * np.sqrt(1 + 1 / len(logs) + distance**2 / spread)
        factor = np.exp(student_t(confidence, len(logs) - 2) * error)
        loss = 100.0 - self.ap(num_frames)
        return max(0.0, float(100.0 - loss * factor)), float(100.0 - loss / factor)


def student_t(confidence: float, freedom: int) -> float:
    """Returns the value that Student's t stays within, on either side of 0, so likely.

    Example: of 0.95 and 10 degrees of freedom it is 2.228.
    """
    # t is sqrt(freedom) tan(angle), and the density of the angle a power of its cosine.
    angles = np.linspace(0.0, np.pi / 2, 100_001)
    density = np.cos(angles) ** (freedom - 1)
    mass = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    return float(np.sqrt(freedom) * np.tan(np.interp(confidence, mass / mass[-1], angles)))


@dataclass(frozen=True)
class Point:
    """An evaluated run.

    Attributes:
        run_dir: of the run.
        num_frames: that it was trained on.
        aps: R40 at difficulty moderate by class.
        scoring: what the AP depends on beside the detector: frames, rules.
        others: further frames, that the weights were trained on from which it began.
    """

    run_dir: Path
    num_frames: int
    aps: dict[str, float]
    scoring: dict[str, Any] = field(default_factory=dict)
    others: int = 0


def fit_power_law(num_frames: Sequence[int], aps: Sequence[float]) -> PowerLaw:
    """Fits 100 - AP by least squares of the logarithms.

    Args:
        num_frames: [P] training frames of each run, two different numbers at least.
        aps: [P] AP in percent, below 100.

    Raises:
        ValueError: fewer than two numbers of frames, or an AP of 100.
    """
    if len(set(num_frames)) < 2:
        raise ValueError(f"runs on {sorted(set(num_frames))} frames; two different numbers needed")
    if max(aps) >= 100:
        raise ValueError("an AP of 100 percent leaves nothing to predict")
    logs, errors = np.log(num_frames), np.log(100.0 - np.asarray(aps))
    slope, offset = np.polyfit(logs, errors, 1)
    scatter = None
    if len(logs) > 2:
        residuals = errors - (offset + slope * logs)
        scatter = float(np.sqrt((residuals**2).sum() / (len(logs) - 2)))
    return PowerLaw(float(np.exp(offset)), float(-slope), tuple(logs.tolist()), scatter)


def read_point(run_dir: Path) -> Point:
    """Reads the training frames of an evaluated run and its R40 at difficulty moderate by class.

    Raises:
        FileNotFoundError: the run was not evaluated, or its records are gone.
        ValueError: a file is damaged, or the records of a run that has not noted their number are
            others by now.
    """
    run = open_run(run_dir)
    metrics, num_frames = read_metrics(run), _num_train_frames(run)
    seen = read_frames_seen(run.frames_seen_file)
    return Point(
        run_dir,
        num_frames,
        {name: of_class.moderate.r40 for name, of_class in metrics.ap.items()},
        scoring={key: metrics.values[key] for key in _SCORING if key in metrics.values},
        others=max(0, seen.num_frames - num_frames) if seen is not None else 0,
    )


def refuse_other_scoring(points: Sequence[Point]) -> None:
    """Checks that runs were measured alike: of other frames or rules an AP is no point of a curve.

    Raises:
        ValueError: two were not; names them.
    """
    first, *others = points
    for other in others:
        if list(other.aps) != list(first.aps):
            raise ValueError(
                f"runs of {', '.join(first.aps)} and of {', '.join(other.aps)}; compare runs of "
                "one task"
            )
        # Files of earlier versions say less.
        for key in first.scoring.keys() & other.scoring.keys():
            if first.scoring[key] != other.scoring[key]:
                raise ValueError(
                    f"{first.run_dir} and {other.run_dir} were measured on other frames or by "
                    f"other rules ({key} differs); measure both alike: mobilenetdet eval"
                )


def _num_train_frames(run: RunDir) -> int:
    """The frames that a run was trained on; those of earlier versions have not noted it."""
    seen, data = read_frames_seen(run.frames_seen_file), run.read_config().data
    if seen is not None and seen.num_train_frames is not None:
        return seen.num_train_frames
    if seen is not None:
        hashes = hash_frames(data.records_dir, data.train_split)
        here = seen_in_split(seen, hashes, data.train_split)
        if len(here.frame_ids) < len(hashes):
            raise ValueError(
                f"{data.records_dir} holds other training frames than {run.path} was trained on, "
                "whose number is not known; leave the run out"
            )
    return split_manifest(data.records_dir, data.train_split).num_frames


def draw_learning_curve(
    path: Path,
    num_frames: Sequence[int],
    aps: dict[str, Sequence[float]],
    laws: dict[str, PowerLaw],
    *,
    until: int,
    confidence: float,
) -> None:
    """Writes a picture of the AP of each class and its power law.

    Args:
        path: the PNG file.
        num_frames: [P] training frames of each run.
        aps: by class, [P] R40 at difficulty moderate.
        laws: by class.
        until: frames that the laws are drawn to.
        confidence: of their intervals, see `PowerLaw.interval`.
    """
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    colours = plot_colours(list(aps))
    along = np.geomspace(min(num_frames), until, 50)
    for name, of_class in aps.items():
        colour = colours[name]
        axes.plot(num_frames, of_class, "o", color=colour, label=name)
        axes.plot(along, [laws[name].ap(frames) for frames in along], "--", color=colour)
        sides = [laws[name].interval(frames, confidence) for frames in along]
        if known := [side for side in sides if side is not None]:
            low, high = np.transpose(known)
            axes.fill_between(along, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set(xscale="log", ylim=(0, 100))
    # Where the runs are, not the powers of ten, of which such a short axis has one or none.
    ticks = sorted({*num_frames, until})
    axes.set_xticks(ticks, [f"{frames:,}" for frames in ticks])
    axes.minorticks_off()
    axes.set(xlabel="training frames", ylabel="AP, moderate, R40 (%)")
    axes.legend()
    axes.grid(alpha=0.3, which="both")
    write_figure(figure, path)
