"""How plots look and how they are written."""

from __future__ import annotations

import functools
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import font_manager
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter, LogFormatterMathtext

from mobilenetdet.files.atomic_write import atomic_write

# More classes than this leave no room for counts and names.
_MAX_NAMED = 30
# Tried behind matplotlib's own, which lacks Chinese and others.
_WORLD_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Droid Sans Fallback"),
    *("Microsoft YaHei", "PingFang SC", "Arial Unicode MS", "FreeSans"),
)


def draw_counts(
    matrix: np.ndarray,
    names: Sequence[str],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
    blank: tuple[int, int] | None = None,
) -> Figure:
    """Draws a confusion matrix: counts, coloured by their share of the row.

    Args:
        matrix: int [C, C].
        names: of the rows and columns.
        xlabel: what the columns are.
        ylabel: what the rows are.
        title: stands above.
        blank: (row, column) that cannot be counted.
    """
    side = min(max(5.0, 0.75 * len(names)), 10.0)
    figure = Figure(figsize=(side, 0.84 * side), layout="constrained")
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if len(names) > _MAX_NAMED:
        return figure
    for (row, column), count in np.ndenumerate(matrix):
        if (row, column) == blank:
            continue
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour)
    turned: dict[str, Any] = {"rotation": 45, "ha": "right"} if len(names) > 4 else {}
    axes.set_xticks(range(len(names)), names, **turned)
    axes.set_yticks(range(len(names)), names)
    return figure


def write_figure(figure: Figure, png_path: Path) -> None:
    """Writes a figure as PNG; a reader sees the old file or the new one, never a part."""
    with atomic_write(png_path) as temporary:
        temporary.write_bytes(to_png(figure))


def to_png(figure: Figure) -> bytes:
    """Draws a figure without a display; $ in the name of a class or run is a dollar sign."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            _spell_powers(axis)
    others = _other_fonts()
    for text in figure.findobj(Text):
        text.set_parse_math(False)
        text.set_fontfamily([*text.get_fontfamily(), *others])
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A letter that no font of the machine has is drawn as a box; nobody can help it here.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def _spell_powers(axis: Axis) -> None:
    """Labels a logarithmic axis with numbers; formulas would appear as their source."""
    if isinstance(axis.get_major_formatter(), LogFormatterMathtext):
        axis.set_major_formatter(_Number(labelOnlyBase=True))
    if isinstance(axis.get_minor_formatter(), LogFormatterMathtext):
        axis.set_minor_formatter(_Number())


class _Number(LogFormatter):
    """1,000 instead of 10^3, at the places that `LogFormatter` chooses."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Returns the label of a tick, "" for none."""
        return f"{x:,g}" if super().__call__(x, pos) else ""


@functools.cache
def _other_fonts() -> tuple[str, ...]:
    """Returns installed fonts that have the letters of many languages, for names of classes."""
    installed = set(font_manager.get_font_names())
    return tuple(name for name in _WORLD_FONTS if name in installed)
