"""Pack a run: half-precision weights, config and a card."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mobilenetdet.cli.options import DEFAULT_RUN, parse, pretrained_run
from mobilenetdet.deploy.pack import pack_run

KITTI_LICENCE = (
    "trained on KITTI, which is published for non-commercial use "
    "(CC BY-NC-SA 3.0, https://www.cvlibs.net/datasets/kitti)."
)


@dataclass(frozen=True)
class Options:
    """Pack a run to give it away: its best weights in half precision, its config, and a card.

    The folder that comes out is a run directory for eval, visualize and predict.
    """

    # What it was trained and measured on, for the card.
    data: str
    # Run directory that scripts/train.py wrote.
    run_dir: Path = DEFAULT_RUN
    # Where config.json, best.weights.h5 and README.md go.
    output_dir: Path = field(default_factory=pretrained_run)
    # Licence of the weights, for the card.
    licence: str = KITTI_LICENCE


def main(argv: list[str] | None = None) -> int:
    """Packs and says where and how large; returns 0.

    Raises:
        FileNotFoundError: the run is not there, or was not evaluated.
    """
    options = parse(Options, argv)
    card = pack_run(options.run_dir, options.output_dir, data=options.data, licence=options.licence)
    size = sum(file.stat().st_size for file in options.output_dir.iterdir() if file.is_file())
    print(f"{card}: {size / 1e6:.1f} MB with weights and config")
    return 0
