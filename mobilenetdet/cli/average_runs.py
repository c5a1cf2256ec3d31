"""Average the weights of several runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mobilenetdet.cli.options import parse
from mobilenetdet.kitti.metric_table import format_metrics
from mobilenetdet.records.shards import count_frames
from mobilenetdet.runs import open_run
from mobilenetdet.system.quiet import import_tensorflow_quietly


@dataclass(frozen=True)
class Options:
    """Average the weights of runs that were trained on from one another, and measure the mean.

    The mean of a detector and of those that were fine-tuned from it often finds more than each of
    them (arXiv 2203.05482), and takes no longer. It is measured and its scores are calibrated on
    the validation split of the last run.
    """

    # Run directories, or names of weights that ship: two or more, of one network and its classes.
    run_dir: tuple[Path, ...] = ()
    # Where the averaged run goes.
    output_dir: Path = Path("runs/averaged")
    # Share of each run in the mean; by default equal ones.
    shares: tuple[float, ...] = ()
    # Replaces a run that is there.
    overwrite: bool = False


def main(argv: list[str] | None = None) -> int:
    """Averages, measures and says where; returns 0.

    Raises:
        FileExistsError: there is a run in the output directory, or it is one of those to average.
        FileNotFoundError: a run is not there, or has no weights; or there are no records.
        ValueError: the runs have no mean.
    """
    options = parse(Options, argv)
    if not options.run_dir:
        raise ValueError("--run_dir is missing: the runs to average; --help has an example")
    runs = [open_run(path) for path in options.run_dir]
    data = runs[-1].read_config().data
    count_frames(data.records_dir, data.val_split)  # else a mean without AP would be left
    import_tensorflow_quietly()
    from mobilenetdet.training.train import finish_run
    from mobilenetdet.training.weight_average import average_runs, settle_average

    run = average_runs(runs, options.output_dir, shares=options.shares, overwrite=options.overwrite)
    evaluation = finish_run(run)
    settle_average(run)
    print(evaluation.seen)
    print(format_metrics(evaluation.ap))
    print(f"{run.path}: the mean of {', '.join(map(str, options.run_dir))}")
    return 0
