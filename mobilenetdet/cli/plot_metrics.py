"""Draw the losses, the learning rate and the AP of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mobilenetdet.cli.options import DEFAULT_RUN, parse
from mobilenetdet.drawing.history_plots import plot_comparison, plot_history
from mobilenetdet.runs import COMPARISON_PLOT, RunDir


@dataclass(frozen=True)
class Options:
    """Draw the losses, the learning rate and the validation figures of a run over its epochs.

    Of several runs, their losses and their mean AP (or top-1) in one picture.
    """

    # Run directories that mobilenetdet train or train_classifier wrote.
    run_dir: tuple[Path, ...] = (DEFAULT_RUN,)
    # The picture; by default metrics.png, or comparison.png, in the (first) run directory.
    output: Path | None = None


def main(argv: list[str] | None = None) -> int:
    """Draws and says where; returns 0."""
    options = parse(Options, argv)
    runs = [RunDir(path) for path in options.run_dir]
    if len(runs) > 1:
        output = options.output or runs[0].path / COMPARISON_PLOT
        plot_comparison({str(run.path): run.history_file for run in runs}, output)
    else:
        output = options.output or runs[0].history_plot
        plot_history(runs[0].history_file, output)
    print(output)
    return 0
