"""Anchor shapes drawn over the sizes of the objects they are for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from mobilenetdet.drawing.class_colours import plot_colours
from mobilenetdet.drawing.figure_style import write_figure

_MARKERS = "sD^vP"
_MAX_DOTS = 4000


def write_shapes(
    path: Path,
    sizes: np.ndarray,
    class_names: np.ndarray,
    levels: Sequence[tuple[int, np.ndarray]],
    *,
    classes: Sequence[str],
) -> None:
    """Writes a picture of widths and heights, both on a log scale.

    Args:
        path: the PNG file.
        sizes: [N, 2] width and height of the objects, pixels.
        class_names: [N] their classes.
        levels: stride and shapes [K, 2] of each map.
        classes: the names that occur, in the order of the task.
    """
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    rng = np.random.default_rng(0)
    for name, colour in plot_colours(classes).items():
        own = sizes[class_names == name]
        shown = own[rng.permutation(len(own))[:_MAX_DOTS]]
        axes.plot(*shown.T, ".", markersize=2, alpha=0.4, color=colour, label=name)
    for (stride, shapes), marker in zip(levels, _MARKERS * len(levels), strict=False):
        axes.plot(
            *np.asarray(shapes).T,
            marker,
            markersize=9,
            color="black",
            fillstyle="none",
            markeredgewidth=2,
            label=f"anchors at stride {stride}",
        )
    # A handful of odd boxes would make the rest small.
    low, high = np.quantile(sizes, (0.001, 0.999), axis=0)
    axes.set(xscale="log", yscale="log", xlabel="width, pixels", ylabel="height, pixels")
    axes.set(xlim=(low[0] / 1.5, high[0] * 1.5), ylim=(low[1] / 1.5, high[1] * 1.5))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(_describe_tick))
        axis.set_minor_formatter(FuncFormatter(_describe_tick))
    axes.legend(markerscale=1.2)
    axes.grid(alpha=0.3, which="both")
    write_figure(figure, path)


def _describe_tick(value: float, place: int) -> str:
    """10, 20, 50, 100, ...: plain numbers, and room between them."""
    text = f"{value:g}"
    return text if text[0] in "125" else ""
