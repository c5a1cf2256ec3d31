"""Plots of a run and of its precision."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mobilenetdet.files import whole_file
from mobilenetdet.kitti.average_precision import NUM_RECALL_STEPS, Curves
from mobilenetdet.kitti.labels import EVALUATED_CLASSES

_CLASS_COLOURS = dict(zip(EVALUATED_CLASSES, ("#1f77b4", "#d6408a", "#c79a00"), strict=True))


def plot_history(csv_path: Path, png_path: Path) -> None:
    """Draws loss and its parts, learning rate and validation AP of a run over the epochs.

    Args:
        csv_path: metrics.csv of a run.
        png_path: the picture.

    Raises:
        FileNotFoundError: the run has no metrics.csv yet.
    """
    if not csv_path.is_file():
        raise FileNotFoundError(f"{csv_path} does not exist; it appears after the first epoch")
    with csv_path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    # The object interface needs no display, and keeps no global figure.
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    loss_axes, ap_axes = figure.subplots(1, 2)
    _plot_losses(loss_axes, rows)
    _plot_ap(ap_axes, rows)
    _write_figure(figure, png_path)


def _series(rows: list[dict[str, str]], name: str) -> tuple[list[float], list[float]]:
    points = [(float(r["epoch"]), float(r[name])) for r in rows if r.get(name)]
    return [x for x, _ in points], [y for _, y in points]


def _plot_losses(axes: object, rows: list[dict[str, str]]) -> None:
    parts = [name for name in rows[0] if name.endswith("_loss")]
    axes.plot(*_series(rows, "loss"), color="black", linewidth=2, label="loss")
    for name in parts:
        label = name.removesuffix("_loss").replace("_", " ")
        axes.plot(*_series(rows, name), linewidth=1, label=label)
    axes.set(xlabel="epoch", ylabel="training loss", yscale="log")
    rate_axes = axes.twinx()
    rate_axes.plot(*_series(rows, "learning_rate"), color="grey", linestyle=":", linewidth=1)
    rate_axes.set_ylabel("learning rate (dotted)", color="grey")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def _plot_ap(axes: object, rows: list[dict[str, str]]) -> None:
    for name, colour in _CLASS_COLOURS.items():
        series = _series(rows, f"val/{name}/moderate/R40")
        axes.plot(*series, marker="o", markersize=4, color=colour, label=name)
    axes.plot(*_series(rows, "val/mean/moderate/R40"), color="black", linestyle="--", label="mean")
    axes.set(xlabel="epoch", ylabel="validation AP, moderate, R40 (%)", ylim=(0, 100))
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def plot_precision_recall(curves: Curves, folder: Path) -> Path:
    """Draws precision against recall of each class and level, with both samplings of recall.

    Args:
        curves: from `kitti.average_precision.precision_recall`.
        folder: gets precision_recall.png.

    Returns:
        The path of the picture.
    """
    figure = Figure(figsize=(4.2 * len(curves), 3.8), layout="constrained")
    steps = np.arange(NUM_RECALL_STEPS) / (NUM_RECALL_STEPS - 1)
    for axes, (class_name, levels) in zip(
        figure.subplots(1, len(curves), sharey=True), curves.items(), strict=True
    ):
        for level, curve in (levels or {}).items():
            (line,) = axes.plot(
                steps,
                curve.precisions,
                drawstyle="steps-post",
                label=f"{level}: R40 {curve.r40:.1f}, R11 {curve.r11:.1f}",
            )
            axes.plot(steps[1:], curve.precisions[1:], ".", markersize=3, color=line.get_color())
            axes.plot(
                steps[::4], curve.precisions[::4], "o", fillstyle="none", color=line.get_color()
            )
        axes.set(xlabel="recall", xlim=(0, 1.02), ylim=(0, 1.02), title=class_name)
        if levels is None:
            axes.text(0.5, 0.5, "detected nowhere", ha="center")
        else:
            axes.legend(fontsize=8, loc="lower left", title="dots: R40, circles: R11")
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("precision")
    path = folder / "precision_recall.png"
    _write_figure(figure, path)
    return path


def _write_figure(figure: Figure, png_path: Path) -> None:
    with whole_file(png_path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary)
