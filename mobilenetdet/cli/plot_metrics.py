"""Draw the losses, the learning rate and the AP of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mobilenetdet.cli.options import DEFAULT_RUN, parse
from mobilenetdet.draw.history_plots import plot_comparison, plot_history


@dataclass(frozen=True)
class Options:
    """Draw the losses, the learning rate and the validation figures of a run over its epochs.

    Of several runs, their losses and their mean AP (or top-1) in one picture.
    """

    # Run directories that scripts/train.py or scripts/train_classifier.py wrote.
    run_dir: tuple[Path, ...] = (DEFAULT_RUN,)
    # The picture; by default metrics.png, or comparison.png, in the (first) run directory.
    output: Path | None = None


def main(argv: list[str] | None = None) -> int:
    """Draws and says where; returns 0."""
    options = parse(Options, argv)
    first, *others = options.run_dir
    if others:
        output = options.output or first / "comparison.png"
        plot_comparison({str(run): run / "metrics.csv" for run in options.run_dir}, output)
    else:
        output = options.output or first / "metrics.png"
        plot_history(first / "metrics.csv", output)
    print(output)
    return 0
