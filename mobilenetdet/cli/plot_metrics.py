"""Draw the losses, the learning rate and the AP of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mobilenetdet.cli.options import DEFAULT_RUN, parse
from mobilenetdet.cli.output_file import output_file
from mobilenetdet.drawing.history_plots import plot_comparison, plot_history
from mobilenetdet.files.names import refuse_repeated_paths
from mobilenetdet.runs import COMPARISON_PLOT, RunDir


@dataclass(frozen=True)
class Options:
    """Draw the losses, the learning rate and the validation metrics of a run over its epochs.

    Of several runs, their losses and their mean AP (or top-1) in one picture.
    """

    # Run directories that mobilenetdet train or train_classifier wrote.
    run_dir: tuple[Path, ...] = (DEFAULT_RUN,)
    # The picture; by default metrics.png, or comparison.png, in the (first) run directory.
    output: Path | None = None
    # Replaces a file of others that has the name of --output.
    overwrite: bool = False


def main(argv: list[str] | None = None) -> int:
    """Draws and says where; returns 0.

    Raises:
        FileExistsError: a file of others has the name of the picture.
        FileNotFoundError: a run has no metrics.
        ValueError: a run is named twice.
    """
    options = parse(Options, argv)
    runs = [RunDir(path) for path in options.run_dir]
    refuse_repeated_paths(options.run_dir, "run", "each is one line of the picture")
    if len(runs) > 1:
        output = options.output or runs[0].path / COMPARISON_PLOT
        with output_file(output, overwrite=options.overwrite) as path:
            plot_comparison({str(run.path): run.history_file for run in runs}, path)
    elif options.output is None:
        output = runs[0].history_plot  # training draws it, too
        plot_history(runs[0].history_file, output)
    else:
        output = options.output
        with output_file(output, overwrite=options.overwrite) as path:
            plot_history(runs[0].history_file, path)
    print(output)
    return 0
