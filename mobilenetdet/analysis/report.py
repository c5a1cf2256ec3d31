"""A report that explains an AP, as one HTML file that needs no other."""

from __future__ import annotations

import base64
import html
import string
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from mobilenetdet.analysis.advice import advise
from mobilenetdet.analysis.analyse import EXPLAINED, FEW_OBJECTS, Analysis
from mobilenetdet.analysis.error_types import CORRECT, ERROR_KINDS, MISSED
from mobilenetdet.analysis.frame_browser import BrowsedRun
from mobilenetdet.analysis.plots import draw_plots
from mobilenetdet.config.classes import DIFFICULTY_NAMES
from mobilenetdet.drawing import encode_jpeg
from mobilenetdet.drawing.figure_style import to_png
from mobilenetdet.files.atomic_write import atomic_write
from mobilenetdet.kitti.average_precision import AveragePrecision, summarise_curves
from mobilenetdet.kitti.metric_table import MEASURES, measure_of

NUM_WORST_FRAMES = 20
# In the template; names in the page cannot hold it, since they are escaped.
_BROWSER_PLACE = "<!-- every frame -->\n"

_CAPTIONS = {
    "precision_recall": "Dots are the recalls of R40, circles those of R11.",
    "scores": (
        f"Scores of all detections at difficulty {EXPLAINED}. Where hits and false alarms lie "
        "apart, a threshold between them is safe; the dotted one gives the best F1."
    ),
    "confusion": (
        "Detections above the score of the best F1 against objects of any class, IoU above 0.5. "
        "Not KITTI's protocol, which looks at one class at a time."
    ),
    "parts": f"Pale bars: {FEW_OBJECTS[2:]}. Numbers at the foot are objects.",
}
_KINDS_EXPLAINED = (
    "Localisation: overlaps an object of its class by more than a tenth, but not enough. "
    "Classification: likewise with an object of another class. Background: on nothing. Repeated: "
    "another detection has the object. In brackets, the points of R40 that the class would gain if "
    "all errors of that kind were mended; the gains do not add up."
)


def write_report(
    path: Path,
    analysis: Analysis,
    *,
    title: str,
    facts: Mapping[str, str],
    pictures: Iterable[tuple[str, np.ndarray]] = (),
    browser: Iterable[str] = (),
    beside: Sequence[BrowsedRun] = (),
) -> None:
    """Writes a report with tables, plots and pictures inside.

    Args:
        path: the HTML file.
        analysis: what to report.
        title: of the page.
        facts: what was measured and how, by name: data, split, weights.
        pictures: (caption, uint8 [H, W, 3] RGB) of the worst frames.
        browser: pieces of HTML that show every frame, see `frame_browser.browser_parts`; they are
            written as they come.
        beside: other detectors on the same frames, whose AP is shown below.
    """
    figures = {
        name: _figure(to_png(figure), "png", _CAPTIONS[name])
        for name, figure in draw_plots(analysis).items()
    }
    frames = "\n".join(_figure(encode_jpeg(image), "jpeg", text) for text, image in pictures)
    contents = '<p><a href="#browser">Every frame</a></p>' if browser else ""
    template = resources.files("mobilenetdet.analysis") / "report_template.html"
    page = string.Template(template.read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        facts=_facts(facts, analysis) + contents,
        average_precision=_average_precision(analysis, beside),
        advice=_list(advise(analysis)),
        errors=_errors(analysis),
        frames=frames or '<p class="dim">No frame has an error, or no image was given.</p>',
        **figures,
    )
    # Names of folders may hold bytes that are no UTF-8; they are spelled.
    spelled: dict[str, Any] = {"errors": "backslashreplace", "newline": "\n"}
    before, _, after = page.partition(_BROWSER_PLACE)
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", **spelled) as file:
        file.write(before)
        file.writelines(browser)
        file.write(after)


def _facts(facts: Mapping[str, str], analysis: Analysis) -> str:
    protocol = {
        "current": "KITTI 2D, rules since April 2017",
        "pre2017": "KITTI 2D, rules before April 2017",
    }[analysis.protocol]
    every = {**facts, "frames": f"{analysis.num_frames:,}", "protocol": protocol}
    return f'<p class="dim">{" · ".join(html.escape(f"{k}: {v}") for k, v in every.items())}</p>'


def _average_precision(analysis: Analysis, beside: Sequence[BrowsedRun]) -> str:
    ap = summarise_curves(
        analysis.curves, protocol=analysis.protocol, num_frames=analysis.num_frames
    )
    tables = [_ap_table("percent", ap)]
    tables += [_ap_table(run.name, run.ap, ap) for run in beside if run.ap is not None]
    return "\n".join(tables)


def _ap_table(heading: str, ap: AveragePrecision, base: AveragePrecision | None = None) -> str:
    """A table of an AP, with how far it is above that of `base` in brackets."""
    columns = [(measure, key) for measure in MEASURES for key in DIFFICULTY_NAMES]
    bases = {} if base is None else {**base.classes, "mean": base.mean}
    rows = []
    for name, of_class in {**ap.classes, "mean": ap.mean}.items():
        cells = [name]
        for measure, key in columns:
            value = measure_of(of_class[key], measure)
            cells.append(f"{value:.2f}")
            if name in bases:
                cells[-1] += f" ({value - measure_of(bases[name][key], measure):+.2f})"
        rows.append(cells)
    return _table([heading, *(f"{measure} {key}" for measure, key in columns)], rows)


def _errors(analysis: Analysis) -> str:
    kinds = (CORRECT, *ERROR_KINDS)
    rows = []
    for difficulty, by_class in analysis.error_counts.items():
        for name, counts in by_class.items():
            costs: Mapping[str, Any] = analysis.error_costs[name] if difficulty == EXPLAINED else {}
            cells = [_count(kind, counts, costs) for kind in kinds]
            rows.append([f"{name}, {difficulty}", f"{analysis.thresholds[name]:.3f}", *cells])
    note = f'<p class="dim">{_KINDS_EXPLAINED}</p>'
    return _table(["", "score from", *kinds], rows) + note


def _count(kind: str, counts: Mapping[str, int], costs: Mapping[str, float]) -> str:
    """A count, its share of the objects (missed) or of the detections that count, and its cost."""
    objects = counts[CORRECT] + counts[MISSED]
    detections = sum(counts.values()) - counts[MISSED]
    share = 100 * counts[kind] / max(1, objects if kind == MISSED else detections)
    cost = f" ({round(costs[kind], 1) + 0:+.1f})" if kind in costs else ""
    return f"{counts[kind]:,} · {share:.1f} %{cost}"


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        """One line of the table."""
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + row(heading, "th") + "".join(row(cells, "td") for cells in rows) + "</table>"


def _list(lines: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"


def _figure(encoded: bytes, kind: str, caption: str) -> str:
    data = base64.b64encode(encoded).decode("ascii")
    text = html.escape(caption)
    return (
        f'<figure><img alt="{text}" src="data:image/{kind};base64,{data}">'
        f"<figcaption>{text}</figcaption></figure>"
    )
