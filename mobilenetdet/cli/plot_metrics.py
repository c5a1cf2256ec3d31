"""Draw the losses, the learning rate and the AP of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mobilenetdet.cli.options import DEFAULT_RUN, parse
from mobilenetdet.evaluation.plots import plot_history


@dataclass(frozen=True)
class Options:
    """Draw the losses, the learning rate and the validation AP of a run over its epochs."""

    # Run directory that scripts/train.py wrote.
    run_dir: Path = DEFAULT_RUN
    # The picture; by default metrics.png in the run directory.
    output: Path | None = None


def main(argv: list[str] | None = None) -> int:
    """Draws and says where; returns 0."""
    options = parse(Options, argv)
    output = options.output or options.run_dir / "metrics.png"
    plot_history(options.run_dir / "metrics.csv", output)
    print(output)
    return 0
