"""Plots of runs over their epochs."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from mobilenetdet.drawing.class_colours import plot_colours
from mobilenetdet.drawing.figure_style import write_figure

# What is plotted of each class, as flat metrics name it.
_AP = "moderate/R40"
_LEGEND_COLUMNS = 4
_REMEDY = "copy the file again (the next epoch of the run writes it anew, too)"


def plot_history(csv_path: Path, png_path: Path) -> None:
    """Draws loss and its parts, learning rate and AP or accuracy of a run over the epochs.

    Args:
        csv_path: metrics.csv of a run.
        png_path: the picture.

    Raises:
        FileNotFoundError: the run has no metrics.csv yet.
        ValueError: it is damaged; names the line.
    """
    rows = _read(csv_path)
    figure, (loss_axes, measured_axes) = _two_axes()
    _plot_losses(loss_axes, rows)
    if "accuracy" in rows[0]:
        _plot_accuracy(measured_axes, rows)
    else:
        _plot_ap(measured_axes, rows)
    for axes in (loss_axes, measured_axes):
        _whole_epochs(axes, rows)
    write_figure(figure, png_path)


def plot_comparison(csv_paths: dict[str, Path], png_path: Path) -> None:
    """Draws the loss and the mean AP or top-1 of several runs over the epochs.

    Args:
        csv_paths: metrics.csv of each run, by the name that it goes by.
        png_path: the picture.

    Raises:
        FileNotFoundError: a run has no metrics.csv yet.
        ValueError: detectors and classifiers are mixed.
    """
    runs = {name: _read(path) for name, path in csv_paths.items()}
    kinds = {"accuracy" in rows[0] for rows in runs.values()}
    if len(kinds) > 1:
        raise ValueError(f"{', '.join(runs)} are detectors and classifiers; compare one kind")
    figure_of_merit, title = (
        ("val/top1", "top-1 of the test images (%)")
        if kinds == {True}
        else (f"val/mean/{_AP}", "mean validation AP, moderate, R40 (%)")
    )
    figure, (loss_axes, measured_axes) = _two_axes()
    for name, rows in runs.items():
        loss_axes.plot(*_series(rows, "loss"), label=name)
        measured_axes.plot(*_series(rows, figure_of_merit), marker="o", markersize=3, label=name)
    _log_losses(loss_axes)
    measured_axes.set(xlabel="epoch", ylabel=title)
    for axes in (loss_axes, measured_axes):
        axes.legend(fontsize=8)  # paths of runs may be long
        axes.grid(alpha=0.3)
    write_figure(figure, png_path)


def _read(csv_path: Path) -> list[dict[str, str]]:
    if not csv_path.is_file():
        raise FileNotFoundError(f"{csv_path} does not exist; it appears after the first epoch")
    try:
        with csv_path.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = list(csv.DictReader(file))
    except csv.Error as error:
        raise ValueError(f"{csv_path} is damaged ({error}); {_REMEDY}") from None
    for number, row in enumerate(rows or [{}], start=2):
        for name in dict.fromkeys(("epoch", "loss", *row)):
            if not _is_cell(row.get(name), needed=name in ("epoch", "loss")):
                what = f"{name or 'a cell without name'} is {row.get(name)!r}, no number"
                raise ValueError(f"{csv_path}:{number}: {what}; {_REMEDY}")
    return rows


def _is_cell(word: str | list[str] | None, *, needed: bool) -> bool:
    """Whether a cell holds a finite number, or nothing where nothing was measured."""
    try:
        return math.isfinite(float(word)) if word else not needed
    except (TypeError, ValueError):
        return False


def _whole_epochs(axes: Axes, rows: list[dict[str, str]]) -> None:
    """Shows all epochs, also where few were measured."""
    last = max(float(row["epoch"]) for row in rows)
    axes.set_xlim(0.5, last + 0.5)


def _two_axes() -> tuple[Figure, Any]:
    # The object interface needs no display, and keeps no global figure.
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    both = figure.subplots(1, 2)
    for axes in both:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure, both


def _log_losses(axes: Axes) -> None:
    axes.set(xlabel="epoch", ylabel="training loss", yscale="log")
    # Losses seldom span a power of ten, and "6 x 10^-1" is hard to read.
    low, high = axes.get_ylim()
    number = FuncFormatter(lambda loss, _: f"{loss:g}")
    axes.yaxis.set_major_formatter(number)
    axes.yaxis.set_minor_formatter(number if high < 20 * low else NullFormatter())


def _legend_above(axes: Axes) -> None:
    """Puts the legend above the axes, where no curve runs."""
    columns = min(_LEGEND_COLUMNS, len(axes.get_legend_handles_labels()[1]))
    place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}
    axes.legend(fontsize=8, frameon=False, ncols=columns, **place)


def _series(rows: list[dict[str, str]], name: str) -> tuple[list[float], list[float]]:
    points = [(float(r["epoch"]), float(r[name])) for r in rows if r.get(name)]
    return [x for x, _ in points], [y for _, y in points]


def _plot_losses(axes: Axes, rows: list[dict[str, str]]) -> None:
    parts = [name for name in rows[0] if name.endswith("_loss")]
    dots: dict[str, Any] = {"marker": ".", "markersize": 4}  # a run of one epoch has no line
    axes.plot(*_series(rows, "loss"), color="black", linewidth=2, label="loss", **dots)
    for name in parts:
        label = name.removesuffix("_loss").replace("_", " ")
        axes.plot(*_series(rows, name), linewidth=1, label=label, **dots)
    _log_losses(axes)
    rate_axes = axes.twinx()
    rate_axes.plot(*_series(rows, "learning_rate"), color="grey", linestyle=":", linewidth=1)
    rate_axes.set_ylabel("learning rate (dotted)", color="grey")
    _legend_above(axes)
    axes.grid(alpha=0.3)


def _plot_ap(axes: Axes, rows: list[dict[str, str]]) -> None:
    for name, colour in plot_colours(_classes(rows)).items():
        series = _series(rows, f"val/{name}/{_AP}")
        axes.plot(*series, marker="o", markersize=4, color=colour, label=name)
    mean: dict[str, Any] = {"color": "black", "linestyle": "--", "marker": ".", "markersize": 4}
    axes.plot(*_series(rows, f"val/mean/{_AP}"), label="mean", **mean)
    axes.set(xlabel="epoch", ylabel="validation AP, moderate, R40 (%)", ylim=(0, 100))
    _legend_above(axes)
    axes.grid(alpha=0.3)


def _classes(rows: list[dict[str, str]]) -> list[str]:
    """The classes that a run was measured for, in the order of its columns."""
    columns = (name.removesuffix(f"/{_AP}") for name in rows[0] if name.endswith(f"/{_AP}"))
    names = [name.removeprefix("val/") for name in columns]
    return [name for name in names if name != "mean"]


def _plot_accuracy(axes: Axes, rows: list[dict[str, str]]) -> None:
    epochs, shares = _series(rows, "accuracy")
    label = "training images, augmented, top-1"
    axes.plot(epochs, [100 * share for share in shares], color="grey", label=label)
    for name, colour in (("top1", "#1f77b4"), ("top5", "#d6408a")):
        series = _series(rows, f"val/{name}")
        label = f"test images, {name[:3]}-{name[3:]}"
        axes.plot(*series, marker="o", markersize=3, color=colour, label=label)
    axes.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(0, 100))
    _legend_above(axes)
    axes.grid(alpha=0.3)
