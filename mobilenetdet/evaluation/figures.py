"""How plots look and how they are written."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mobilenetdet.files import whole_file
from mobilenetdet.kitti.labels import EVALUATED_CLASSES

CLASS_COLOURS = dict(zip(EVALUATED_CLASSES, ("#1f77b4", "#d6408a", "#c79a00"), strict=True))


def write_figure(figure: Figure, png_path: Path) -> None:
    """Writes a figure as PNG; a reader sees the old file or the new one, never a part."""
    with whole_file(png_path) as temporary:
        temporary.write_bytes(to_png(figure))


def to_png(figure: Figure) -> bytes:
    """Draws a figure without a display."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
