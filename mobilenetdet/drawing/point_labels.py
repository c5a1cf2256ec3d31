"""Labels of points in a plot that cover neither each other nor another point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

_SIZE = 7
# Points of a figure (1/72 inch): half a marker with its rim, a line of text, and how far the first
# label lies from its point.
_MARKER, _LINE, _GAP = 4.0, 9.0, 6.0
_MOST_LINES = 12
# Labels farther off than this are tied to their points by a line.
_NEAR = 14.0


def label_points(
    axes: Axes, points: Sequence[tuple[float, float]], names: Sequence[str], colours: Sequence[str]
) -> list[Annotation]:
    """Writes a name beside each point, the nearest place first at which it covers nothing.

    Args:
        axes: all else is drawn in them.
        points: to be named, in data coordinates.
        names: of the points.
        colours: of the names.

    Returns:
        The labels, in the order of the points.
    """
    figure = axes.figure.figure  # also of axes in a subfigure
    canvas = figure.canvas
    if not isinstance(canvas, FigureCanvasAgg):
        canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()  # the layout moves the axes
    scale = figure.dpi / 72
    taken = [
        Bbox.from_bounds(x - _MARKER * scale, y - _MARKER * scale, *[2 * _MARKER * scale] * 2)
        for x, y in axes.transData.transform(points)
    ]
    return [
        _placed(axes, point, name, colour, taken, renderer=canvas.get_renderer())
        for point, name, colour in zip(points, names, colours, strict=True)
    ]


def _placed(
    axes: Axes,
    point: tuple[float, float],
    name: str,
    colour: str,
    taken: list[Bbox],
    *,
    renderer: RendererAgg,
) -> Annotation:
    """Writes one label, and adds its place to those that are taken."""
    inside = axes.get_window_extent()
    label = axes.annotate(
        name, point, (0, 0), textcoords="offset points", fontsize=_SIZE, color=colour, va="center"
    )
    label.set_path_effects([withStroke(linewidth=2, foreground="white")])  # lines run behind it
    places = list(_places())
    for offset, side in [*places, places[0]]:  # the nearest, where all are taken
        label.set_position(offset)
        label.set(ha=side)
        box = label.get_window_extent(renderer)
        fits = inside.x0 <= box.x0 and box.x1 <= inside.x1
        fits = fits and inside.y0 <= box.y0 and box.y1 <= inside.y1
        if fits and not any(box.overlaps(other) for other in taken):
            break
    taken.append(box)
    if abs(offset[1]) > _NEAR:
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.5, "alpha": 0.6}
        axes.annotate("", point, offset, textcoords="offset points", arrowprops=line)
    return label


def _places() -> Iterator[tuple[tuple[float, float], str]]:
    """Offsets of a label in points, and its side at the point: near ones first."""
    for lines in range(_MOST_LINES):
        heights = [0.0] if lines == 0 else [lines * _LINE, -lines * _LINE]
        for height in heights:
            yield (_GAP, height), "left"
            yield (-_GAP, height), "right"
