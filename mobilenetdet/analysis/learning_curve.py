"""AP over the number of training frames, and what more frames would give by its power law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mobilenetdet.drawing.class_colours import plot_colours
from mobilenetdet.drawing.figure_style import write_figure
from mobilenetdet.evaluation.metrics_file import read_metrics
from mobilenetdet.kitti.frames_seen import read_frames_seen, seen_in_split
from mobilenetdet.records.frame_hashes import hash_frames
from mobilenetdet.records.shards import split_manifest
from mobilenetdet.runs import RunDir, open_run


@dataclass(frozen=True)
class PowerLaw:
    """An error that falls with the number of training frames: scale * frames ** -exponent.

    Source of the form: Hestness et al., Deep Learning Scaling is Predictable, Empirically
    (arXiv 1712.00409).
    """

    scale: float
    exponent: float

    def ap(self, num_frames: float) -> float:
        """AP in percent after training on so many frames."""
        return 100.0 - self.scale * num_frames**-self.exponent


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
    slope, offset = np.polyfit(np.log(num_frames), np.log(100.0 - np.asarray(aps)), 1)
    return PowerLaw(float(np.exp(offset)), float(-slope))


def read_point(run_dir: Path) -> tuple[int, dict[str, float]]:
    """Reads the training frames of an evaluated run and its R40 at difficulty moderate by class.

    Raises:
        FileNotFoundError: the run was not evaluated, or its records are gone.
        ValueError: a file is damaged, or the records of a run that has not noted their number are
            others by now.
    """
    run = open_run(run_dir)
    ap = read_metrics(run).ap
    return _num_train_frames(run), {name: of_class.moderate.r40 for name, of_class in ap.items()}


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
) -> None:
    """Writes a picture of the AP of each class and its power law.

    Args:
        path: the PNG file.
        num_frames: [P] training frames of each run.
        aps: by class, [P] R40 at difficulty moderate.
        laws: by class.
        until: frames that the laws are drawn to.
    """
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    colours = plot_colours(list(aps))
    along = np.geomspace(min(num_frames), until, 50)
    for name, of_class in aps.items():
        colour = colours[name]
        axes.plot(num_frames, of_class, "o", color=colour, label=name)
        axes.plot(along, [laws[name].ap(frames) for frames in along], "--", color=colour)
    axes.set(xscale="log", ylim=(0, 100))
    # Where the runs are, not the powers of ten, of which such a short axis has one or none.
    ticks = sorted({*num_frames, until})
    axes.set_xticks(ticks, [f"{frames:,}" for frames in ticks])
    axes.minorticks_off()
    axes.set(xlabel="training frames", ylabel="AP, moderate, R40 (%)")
    axes.legend()
    axes.grid(alpha=0.3, which="both")
    write_figure(figure, path)
