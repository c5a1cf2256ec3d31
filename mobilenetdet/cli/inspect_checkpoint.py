"""Summarise weight files and checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from mobilenetdet.cli.options import parse
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.presets import PRESETS, make_preset
from mobilenetdet.config.storage import read_config
from mobilenetdet.findings import counted
from mobilenetdet.runs import is_run, open_run
from mobilenetdet.system.quiet import import_tensorflow_quietly
from mobilenetdet.system.terminal_text import printable
from mobilenetdet.training.inspect import (
    STATE_PARTS,
    ArrayShape,
    FileSummary,
    count_values,
    find_checkpoints,
    summarize_checkpoint,
)

if TYPE_CHECKING:
    import keras


_CLASSIFIER = "classifier"


@dataclass(frozen=True)
class Options:
    """Summarise weight files and checkpoints: names, shapes, numbers of values, sizes.

    Of a run's checkpoint.npz also what the optimizer and the averages add to the weights. With
    --into, what of each weight file would be loaded into that model, and what would not; nothing
    is changed.
    """

    # Weight files (.h5, .weights.h5), states (checkpoint.npz) or run directories.
    paths: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    # Model to compare with: a run directory, the name of weights that ship, a preset of a detector,
    # or "classifier".
    into: str = ""
    # Width multiplier of that classifier.
    alpha: float = 1.0
    # Its classes.
    num_classes: int = 1000
    # Whether to list every layer; else totals alone.
    layers: bool = True


def main(argv: list[str] | None = None) -> int:
    """Prints the contents and the comparison; returns 0.

    Raises:
        FileNotFoundError: a file or run is not there.
        ValueError: a file is damaged or of another kind; no model of that name.
    """
    options = parse(Options, argv)
    if not options.paths:
        raise ValueError("name weight files, states or run directories; --help says more")
    files = [file for path in options.paths for file in _find_files(path)]
    if options.into or any(file.suffix == ".npz" for file in files):
        import_tensorflow_quietly()  # Keras would say more
    target = _build_target(options) if options.into else None
    for file in files:
        summary = summarize_checkpoint(file)
        print(printable("\n".join(_describe(summary, options.layers))))
        if target is not None:
            print(_compare(summary, target, options.into))
        print()
    return 0


def _find_files(path: Path) -> list[Path]:
    """Files of a run, of weights that ship by their name, or the file itself."""
    return find_checkpoints(open_run(path).path if is_run(path) else path)


def _build_target(options: Options) -> keras.Model:
    """Builds the model of --into with fresh weights."""
    if options.into == _CLASSIFIER:
        return _build_classifier(options)
    if is_run(options.into):
        return _build_of_run(options)
    if options.into not in PRESETS:
        raise ValueError(
            f"--into {options.into!r} is neither a run directory nor {_CLASSIFIER!r} nor a preset "
            f"({', '.join(PRESETS)})"
        )
    return _build_detector(make_preset(options.into))


def _build_detector(config: DetectionConfig) -> keras.Model:
    # Not at the top: it takes seconds to import.
    from mobilenetdet.models.detector import build_detector

    return build_detector(config, load_weights=False)[0]


def _build_classifier(options: Options) -> keras.Model:
    # Not at the top: what is in a detector's files can be said without the classifier.
    try:
        from mobilenetdet.classification.model import build_classifier
    except ModuleNotFoundError:
        raise _without_classifier(options) from None
    return build_classifier((None, None, 3), num_classes=options.num_classes, alpha=options.alpha)


def _build_of_run(options: Options) -> keras.Model:
    """Builds the model of a run of either kind."""
    run = open_run(options.into)
    if not run.is_classifier():
        return _build_detector(run.read_config())
    try:
        from mobilenetdet.classification.config import ClassifierConfig
        from mobilenetdet.classification.train import compiled_classifier
    except ModuleNotFoundError:
        raise _without_classifier(options) from None
    config = read_config(run.config_file, ClassifierConfig)
    return compiled_classifier(config, steps=1, load_weights=False)


def _without_classifier(options: Options) -> ValueError:
    return ValueError(f"--into {options.into}: mobilenetdet.classification is absent")


def _compare(summary: FileSummary, target: keras.Model, name: str) -> str:
    if summary.is_state:
        return f"would load into {name}: nothing; the state of a run resumes that run only"
    from mobilenetdet.models.weights import compare_h5_layers

    report = compare_h5_layers(target, summary.path)
    return f"would load into {name}: {report.describe(max_named=None)}"


def _describe(summary: FileSummary, layers: bool) -> Iterator[str]:
    count, num_bytes = count_values(summary.arrays)
    size = summary.path.stat().st_size
    kind = "array" if summary.is_state else "layer"
    yield (
        f"{summary.path}: {counted(len(summary.arrays), kind)}, {counted(count, 'value')}, "
        f"{_size(num_bytes)} ({_size(size)} on disk)"
    )
    if summary.is_state:
        best = f"{summary.best:g}" if (summary.best or 0) >= 0 else "not yet measured"
        yield f"after epoch {summary.epoch}, best validation figure {best}"
        yield from _describe_parts(summary)
    if layers:
        rows = [("name", "shapes", "values", "bytes")]
        for name, shapes in summary.arrays.items():
            count, num_bytes = count_values({name: shapes})
            rows.append((name, _shapes(shapes), f"{count:,}", f"{num_bytes:,}"))
        yield from _aligned(rows)


def _describe_parts(summary: FileSummary) -> Iterator[str]:
    """Yields the sizes of weights, optimizer and averages, and their ratio to the weights."""
    weights, _ = count_values(summary.part("model"))
    rows = [("part", "arrays", "values", "size", "to the weights")]
    for prefix, what in STATE_PARTS.items():
        part = summary.part(prefix)
        count, num_bytes = count_values(part)
        share = f"{count / max(1, weights):.2f}"
        rows.append((what, str(len(part)), f"{count:,}", _size(num_bytes), share))
    yield from _aligned(rows)


def _shapes(shapes: Sequence[ArrayShape]) -> str:
    """Formats shapes: `3x3x3x32`, or `4 of 32` for equal ones."""
    texts = ["x".join(map(str, s.shape)) or "scalar" for s in shapes]
    if len(texts) > 1 and len(set(texts)) == 1:
        return f"{len(texts)} of {texts[0]}"
    return ", ".join(texts)


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Aligns the first column and the second to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, strict=True)
        yield "  " + "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(cells)
        )


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes >= 1e5 else f"{num_bytes / 1e3:.1f} kB"
