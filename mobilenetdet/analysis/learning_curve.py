"""AP over the number of training frames: the points, what they do not know, and their picture."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mobilenetdet.analysis.power_law import PowerLaw
from mobilenetdet.drawing.class_colours import plot_colours
from mobilenetdet.drawing.figure_style import write_figure
from mobilenetdet.evaluation.metrics_file import Metrics, read_metrics
from mobilenetdet.findings import counted
from mobilenetdet.kitti.ap_result import FRAMES_KEY, SEEN_KEY, TASK_KEY
from mobilenetdet.kitti.average_precision import NUM_RECALL_STEPS, perfect_ap
from mobilenetdet.kitti.frames_seen import read_frames_seen, seen_in_split
from mobilenetdet.records.frame_hashes import hash_frames
from mobilenetdet.records.shards import split_manifest
from mobilenetdet.runs import BEST_WEIGHTS, LAST_WEIGHTS, RunDir, hash_weights, open_run

# Of metrics.json, and of what it says was measured: what an AP depends on beside the weights.
_SCORING = ("protocol", "frames", FRAMES_KEY, TASK_KEY)
_MEASURING = ("image_size",)
# Longer values are not said; they are pages.
_MAX_SAID = 80


@dataclass(frozen=True)
class Point:
    """An evaluated run.

    Attributes:
        run_dir: of the run.
        num_frames: that it was trained on.
        aps: R40 at difficulty moderate by class.
        scoring: what the AP depends on beside the weights: frames, rules, input size.
        others: further frames that were trained on, by the weights it began from or its teachers.
        num_seen: frames that it was measured on and has trained on, None where that is not known.
        is_counted: whether the run has noted the number; else it is that of its records today.
        is_complete: whether it is known what the weights were trained on from which it began.
        num_objects: that the AP of a class goes by, where it is known.
    """

    run_dir: Path
    num_frames: int
    aps: dict[str, float]
    scoring: dict[str, Any] = field(default_factory=dict)
    others: int = 0
    num_seen: int | None = None
    is_counted: bool = True
    is_complete: bool = True
    num_objects: dict[str, int] = field(default_factory=dict)

    def remarks(self) -> list[str]:
        """Returns a line for each thing that the curve does not know or cannot show."""
        lines = []
        if self.others:
            others = counted(self.others, "other frame")
            lines.append(
                f"{self.run_dir} was trained on {others}, too, by the weights it began from or by "
                "its teachers, which the curve does not count"
            )
        if self.num_seen:
            frames = counted(self.num_seen, "frame")
            lines.append(f"{self.run_dir} was trained on {frames} that it is measured on")
        if not self.is_complete:
            lines.append(f"{self.run_dir} began from weights whose frames nobody has noted")
        if not self.is_counted:
            frames = counted(self.num_frames, "frame")
            lines.append(f"{self.run_dir} has not noted its frames; its records hold {frames}")
        return lines


def read_point(run_dir: Path) -> Point:
    """Reads the training frames of an evaluated run and its R40 at difficulty moderate by class.

    Raises:
        FileNotFoundError: the run was not evaluated, or its records are gone.
        ValueError: a file is damaged, other weights were measured, or the records of a run that has
            not noted their number are others by now.
    """
    run = open_run(run_dir)
    metrics, num_frames = read_metrics(run), _num_train_frames(run)
    _refuse_other_weights(run, metrics)
    seen = read_frames_seen(run.frames_seen_file)
    scoring = {key: metrics.values[key] for key in _SCORING if key in metrics.values}
    scoring |= {key: metrics.measured[key] for key in _MEASURING if key in metrics.measured}
    for key, value in dict(metrics.measured.get("postprocess", {})).items():
        scoring[f"postprocess.{key}"] = value
    moderate = {name: of_class.moderate for name, of_class in metrics.ap.items()}
    return Point(
        run_dir,
        num_frames,
        {name: ap.r40 for name, ap in moderate.items()},
        scoring=scoring,
        others=max(0, seen.num_frames - num_frames) if seen is not None else 0,
        num_seen=metrics.values.get(SEEN_KEY),
        is_counted=seen is not None and seen.num_train_frames is not None,
        is_complete=seen is None or seen.complete,
        num_objects={n: ap.num_objects for n, ap in moderate.items() if ap.num_objects is not None},
    )


def _refuse_other_weights(run: RunDir, metrics: Metrics) -> None:
    """Refuses an AP of weights that the run does not have (any more)."""
    wanted = metrics.measured.get("weights")
    there = [run.path / name for name in (BEST_WEIGHTS, LAST_WEIGHTS)]
    hashes = [hash_weights(path) for path in there if path.is_file()]
    if wanted and hashes and wanted not in hashes:
        raise ValueError(
            f"{run.metrics_file} is of other weights ({wanted}) than {run.path} has now; measure "
            f"it again: mobilenetdet eval --run_dir {run.shipped_name or run.path}"
        )


def refuse_other_scoring(points: Sequence[Point]) -> None:
    """Checks that runs were measured alike: of other frames or rules an AP is no point of a curve.

    Raises:
        ValueError: two were not; names them.
    """
    for first, other in itertools.combinations(points, 2):
        if set(other.aps) != set(first.aps):
            raise ValueError(
                f"runs of {', '.join(first.aps)} and of {', '.join(other.aps)}; compare runs of "
                "one task"
            )
        # Files of earlier versions say less.
        for key in first.scoring.keys() & other.scoring.keys():
            if first.scoring[key] != other.scoring[key]:
                values = f"{first.scoring[key]} and {other.scoring[key]}"
                said = f"{key} differs: {values}" if len(values) < _MAX_SAID else f"{key} differs"
                raise ValueError(
                    f"{first.run_dir} and {other.run_dir} were measured at another size, on other "
                    f"frames or by other rules ({said}); measure both alike: mobilenetdet eval"
                )


def describe_laws(laws: Mapping[str, PowerLaw], points: Sequence[Point]) -> list[str]:
    """Returns a line for each class of which the law says little."""
    lines = []
    for name, law in laws.items():
        if law.exponent <= 0:
            lines.append(f"{name}: AP does not rise with the frames; the forecast means nothing")
        count = min(
            (p.num_objects[name] for p in points if name in p.num_objects), default=NUM_RECALL_STEPS
        )
        if count < NUM_RECALL_STEPS:
            limit = perfect_ap(count)["R40"]
            objects = counted(count, "object")
            lines.append(f"{name}: measured on {objects}, which give an AP of {limit:g} at most")
    return lines


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
