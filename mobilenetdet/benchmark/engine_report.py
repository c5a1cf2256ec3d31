"""A benchmark of engines as a table, as figures for other programs, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from mobilenetdet.benchmark.engine_benchmark import EngineResult
from mobilenetdet.benchmark.engine_server import STAGES, TOTAL
from mobilenetdet.drawing.figure_style import write_figure
from mobilenetdet.drawing.point_labels import label_points

_ABSENT = "-"
_COLOURS = {
    "keras": "#1f77b4",
    "litert": "#d6408a",
    "onnx": "#c79a00",
    "openvino": "#2a9d5c",
    "saved_model": "#7a5195",
    "frozen_graph": "#8c564b",
}
# With more engines only those of the front are named.
_MOST_LABELS = 16
_MARKERS = {"float32": "o", "float16": "s", "int8": "^"}
_STAGE_COLOURS = dict(zip(STAGES, ("#9ecae1", "#c7c7c7", "#d6408a", "#c79a00"), strict=True))


def to_table(results: Sequence[EngineResult]) -> str:
    """Lays results out as a Markdown table whose columns are aligned, for a terminal as well.

    AP is the mean moderate R40 over the classes; the stages are medians.
    """
    heading = [
        *("engine", "input", "AP", "ms", "p90", "min", *STAGES),
        *("frames/s", "MB", "peak MB", "sgemm"),
    ]
    rows = [heading, *map(_cells, results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| "
        + " | ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    ]
    rule = [f"{'-' * (width - 1)}:" if place else "-" * width for place, width in enumerate(widths)]
    return "\n".join([lines[0], f"| {' | '.join(rule)} |", *lines[1:]])


def _cells(result: EngineResult) -> list[str]:
    times, total = result.milliseconds, result.milliseconds[TOTAL]
    height, width = result.image_size
    stages = [_number(times[stage].median) if stage in times else _ABSENT for stage in STAGES]
    return [
        result.name,
        f"{height}x{width}",
        _number(result.mean_ap),
        *map(_number, (total.median, total.p90, total.min)),
        *stages,
        _number(result.frames_per_second),
        _number(result.megabytes),
        f"{result.peak_megabytes:.0f}",
        _ABSENT if result.sgemm_gigaflops is None else f"{result.sgemm_gigaflops:.0f}",
    ]


def _number(value: float | None) -> str:
    if value is None:
        return _ABSENT
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2f}"


def to_markdown(
    results: Sequence[EngineResult], left_out: Sequence[str], facts: Mapping[str, Any]
) -> str:
    """Writes a page: the table, what its columns are, how it was measured, what is left out."""
    lines = ["# Benchmark", "", to_table(results), "", legend(results), ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += [f"- {each}" for each in dict.fromkeys(result.engine for result in results)]
    lines += [f"- left out: {each}" for each in left_out]
    return "\n".join(lines) + "\n"


def legend(results: Sequence[EngineResult]) -> str:
    """Says what the columns of the table are, and what the AP was measured on."""
    said = (
        "AP: mean of the classes, moderate, R40. ms: median of a picture from its file to boxes, "
        "beside the 90th percentile and the minimum; then the medians of its stages. frames/s: of "
        "a whole video, several pictures at once. MB: of the files. peak MB: largest resident "
        "memory of the process before that. sgemm: GFLOP/s of a float32 matrix product of the "
        "machine in the same turns."
    )
    if any("suppression" not in each.milliseconds for each in results if not each.foreign):
        said += " Where suppression has no figure, network has it inside."
    if any(each.foreign for each in results):
        named = ", ".join(each.name for each in results if each.foreign)
        said += f" Networks of other programs, timed up to their outputs, without boxes: {named}."
    seen = next((each.seen for each in results if each.seen), "")
    return f"{said} Frames of AP: {seen}." if seen else said


def to_json(
    results: Sequence[EngineResult], left_out: Sequence[str], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns all figures, ready for JSON."""
    return {
        "facts": dict(facts),
        "engines": [asdict(result) for result in results],
        "left_out": list(left_out),
    }


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Returns the indices of the points that none beats in both, the fastest first.

    Args:
        points: milliseconds, less is better, and AP, more is better.

    Example: of (1, 50), (2, 40) and (3, 60) the first and the last.
    """
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda each: (points[each][0], -points[each][1])):
        if not front or points[index][1] > points[front[-1]][1]:
            front.append(index)
    return front


def draw_benchmark(results: Sequence[EngineResult], png_path: Path) -> None:
    """Draws AP over milliseconds with the front of the best; without AP, bars of milliseconds.

    Networks of other programs, which have no AP here, are lines at their milliseconds.
    """
    own = [result for result in results if not result.foreign]
    if own and all(result.mean_ap is not None for result in own):
        figure = Figure(figsize=(8.5, 5.5), layout="constrained")
        _draw_points(figure.subplots(), own, [result for result in results if result.foreign])
    else:
        figure = Figure(figsize=(8.5, 1.2 + 0.32 * len(results)), layout="constrained")
        _draw_bars(figure.subplots(), results)
    write_figure(figure, png_path)


def _draw_points(
    axes: Axes, results: Sequence[EngineResult], foreign: Sequence[EngineResult]
) -> None:
    points = [(each.milliseconds[TOTAL].median, each.mean_ap) for each in results]
    front = pareto_front(points)
    axes.plot(*zip(*(points[each] for each in front), strict=True), color="#999999", zorder=1)
    for result, point in zip(results, points, strict=True):
        marker = _MARKERS.get(result.precision, "D")
        axes.scatter(*point, color=_colour(result), marker=marker, zorder=2)
    for result in foreign:
        place = result.milliseconds[TOTAL].median
        axes.axvline(place, color=_colour(result), linestyle=":", linewidth=1, zorder=0)
    axes.set(xlabel="ms a picture, from its file to boxes (median)", xscale="log")
    axes.set(ylabel="mean AP, moderate, R40 (%)")
    for formatter in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        formatter(FuncFormatter(lambda value, _: f"{value:g}"))  # powers of ten would be formulas
    axes.margins(x=0.12, y=0.12)
    axes.grid(alpha=0.3)
    _explain(axes, results)
    few = len(results) <= _MOST_LABELS
    named = [index for index in range(len(results)) if few or index in front]
    several = len({result.image_size for result in results}) > 1
    bottom = axes.get_ylim()[0]
    label_points(
        axes,
        [points[index] for index in named]
        + [(result.milliseconds[TOTAL].median, bottom) for result in foreign],
        [_label(results[index], several) for index in named]
        + [f"{result.name}, to its outputs" for result in foreign],
        [_colour(each) for each in (*(results[index] for index in named), *foreign)],
    )


def _colour(result: EngineResult) -> str:
    return _COLOURS.get(result.format, "black")


def _label(result: EngineResult, with_size: bool) -> str:
    height, width = result.image_size
    return f"{result.name} {height}x{width}" if with_size else result.name


def _explain(axes: Axes, results: Sequence[EngineResult]) -> None:
    """Adds a legend: colours are formats, markers are precisions."""
    for name in dict.fromkeys(result.format for result in results):
        axes.scatter([], [], color=_COLOURS.get(name, "black"), label=name)
    for name in dict.fromkeys(result.precision for result in results):
        axes.scatter([], [], color="#555555", marker=_MARKERS.get(name, "D"), label=name)
    axes.legend(fontsize=8)


def _draw_bars(axes: Axes, results: Sequence[EngineResult]) -> None:
    names = [f"{r.name} {r.image_size[0]}x{r.image_size[1]}" for r in results]
    places, left = range(len(results)), [0.0] * len(results)
    for stage in STAGES:
        widths = [r.milliseconds[stage].median if stage in r.milliseconds else 0 for r in results]
        axes.barh(places, widths, left=left, label=stage, color=_STAGE_COLOURS[stage])
        left = [start + width for start, width in zip(left, widths, strict=True)]
    for place, (end, result) in enumerate(zip(left, results, strict=True)):
        axes.text(end, place, f" {result.milliseconds[TOTAL].median:.1f}", va="center", fontsize=8)
    axes.set_yticks(places, names, fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="ms a picture, from its file to boxes (medians of the stages)")
    axes.margins(x=0.1)
    axes.legend(fontsize=8)
