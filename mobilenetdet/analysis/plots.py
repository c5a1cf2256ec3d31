"""Plots that explain an AP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mobilenetdet.analysis.analyse import EXPLAINED, Analysis
from mobilenetdet.analysis.breakdown import PartAp
from mobilenetdet.analysis.confusion import NOTHING
from mobilenetdet.drawing.class_colours import plot_colours
from mobilenetdet.drawing.figure_style import draw_counts, write_figure
from mobilenetdet.kitti.average_precision import NUM_RECALL_STEPS, Curves

_KIND_COLOURS = {
    "correct": "#34a869",
    "localisation": "#f2b134",
    "classification": "#8d6cc8",
    "background": "#d9483b",
    "repeated": "#8a939e",
}
_SCORE_BINS = 40
_MAX_COLUMNS = 5


def write_plots(analysis: Analysis, folder: Path) -> list[Path]:
    """Writes every plot of an analysis as PNG.

    Args:
        analysis: what to draw.
        folder: gets precision_recall.png, parts.png, scores.png and confusion.png.

    Returns:
        Their paths.
    """
    paths = []
    for name, figure in draw_plots(analysis).items():
        paths.append(folder / f"{name}.png")
        write_figure(figure, paths[-1])
    return paths


def draw_plots(analysis: Analysis) -> dict[str, Figure]:
    """Draws every plot of an analysis, by the name of its file."""
    return {
        "precision_recall": draw_precision_recall(analysis.curves),
        "parts": draw_parts(analysis.parts),
        "scores": draw_scores(analysis),
        "confusion": draw_confusion(analysis.confusion, analysis.task.names),
    }


def draw_precision_recall(curves: Curves) -> Figure:
    """Draws precision against recall by class and difficulty, with both samplings of recall."""
    figure, panels = _panels(len(curves), height=3.8)
    steps = np.arange(NUM_RECALL_STEPS) / (NUM_RECALL_STEPS - 1)
    for axes, (class_name, of_class) in zip(panels, curves.items(), strict=True):
        for difficulty, curve in (of_class or {}).items():
            label = f"{difficulty}: R40 {curve.r40:.1f}, R11 {curve.r11:.1f}"
            (line,) = axes.plot(steps, curve.precisions, drawstyle="steps-post", label=label)
            colour = line.get_color()
            axes.plot(steps[1:], curve.precisions[1:], ".", markersize=3, color=colour)
            axes.plot(steps[::4], curve.precisions[::4], "o", fillstyle="none", color=colour)
        axes.set(xlabel="recall", xlim=(0, 1.02), ylim=(0, 1.02), title=class_name)
        if of_class is None:
            axes.text(0.5, 0.5, "detected nowhere", ha="center")
        else:
            axes.legend(fontsize=8, loc="best", framealpha=0.6)  # away from the curves
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("precision (dots: R40, circles: R11)")
    return figure


def _panels(count: int, *, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each class, up to five in a row."""
    columns = min(count, _MAX_COLUMNS)
    rows = -(-count // columns)
    figure = Figure(figsize=(4.2 * columns, height * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in panels[count:]:
        unused.remove()
    return figure, panels[:count]


def draw_parts(parts: dict[str, dict[str, list[PartAp]]]) -> Figure:
    """Draws R40 (bars) and recall (lines above them) by height, occlusion, truncation, distance.

    Bars of fewer than 41 objects are pale: they cannot reach 100.
    """
    figure = Figure(figsize=(12.6, 6.6), layout="constrained")
    for axes, (name, by_class) in zip(figure.subplots(2, 2).flat, parts.items(), strict=True):
        _draw_property(axes, name, by_class)
    handles = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        *handles,
        loc="outside upper center",
        ncols=3,
        title="bars: R40, pale below 41 objects; lines: recall at any score; numbers: objects",
    )
    return figure


def _draw_property(axes: Axes, property_name: str, by_class: dict[str, list[PartAp]]) -> None:
    width = 0.8 / len(by_class)
    colours = plot_colours(list(by_class))
    for index, (class_name, of_class) in enumerate(by_class.items()):
        places = np.arange(len(of_class)) + (index - (len(by_class) - 1) / 2) * width
        colour = colours[class_name]
        for place, part in zip(places, of_class, strict=True):
            alpha = 0.85 if part.num_objects >= NUM_RECALL_STEPS else 0.3
            axes.bar(place, part.r40, width * 0.92, color=colour, alpha=alpha)
            if part.num_objects:
                ends = (place - 0.46 * width, place + 0.46 * width)
                axes.hlines(100 * part.recall, *ends, color=colour, linewidth=2)
            axes.text(place, 1, f"{part.num_objects:,}", ha="center", fontsize=7, rotation=90)
        axes.plot([], [], color=colour, linewidth=4, label=class_name)
    names = [part.part.name for part in next(iter(by_class.values()))]
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set(ylim=(0, 104), title=property_name, ylabel="percent")
    axes.grid(alpha=0.3, axis="y")


def draw_scores(analysis: Analysis) -> Figure:
    """Draws how the scores of hits and of each kind of false alarm are spread, on a log scale."""
    figure, panels = _panels(len(analysis.task.names), height=3.6)
    for axes, name in zip(panels, analysis.task.names, strict=True):
        by_kind = analysis.scores[name]
        every = np.concatenate(list(by_kind.values()))
        if len(every):
            edges = np.linspace(min(every.min(), 0), max(every.max(), 1), _SCORE_BINS + 1)
            axes.hist(
                list(by_kind.values()),
                edges,
                stacked=False,
                histtype="step",
                linewidth=1.5,
                label=[f"{kind} ({len(scores):,})" for kind, scores in by_kind.items()],
                color=[_KIND_COLOURS[kind] for kind in by_kind],
            )
            axes.axvline(analysis.thresholds[name], color="black", linestyle=":", linewidth=1)
            axes.set_yscale("log")
            axes.legend(
                fontsize=7, title=f"difficulty {EXPLAINED}; dotted: best F1", title_fontsize=7
            )
        else:
            axes.text(0.5, 0.5, "nothing detected", ha="center")
        axes.set(xlabel="score", title=name)
    figure.axes[0].set_ylabel("detections")
    return figure


def draw_confusion(matrix: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draws which class is taken for which: counts, coloured by their share of the row."""
    return draw_counts(
        matrix,
        [*classes, NOTHING],
        xlabel="detected as",
        ylabel="labelled",
        title=f"difficulty {EXPLAINED}, IoU above 0.5",
        blank=(len(classes), len(classes)),
    )
