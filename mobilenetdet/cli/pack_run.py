"""Pack a run: half-precision weights, config and a card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mobilenetdet.cli.options import DEFAULT_RUN, parse
from mobilenetdet.deploy.pack import pack_run
from mobilenetdet.runs import open_run

KITTI_LICENCE = (
    "trained on KITTI, which is published for non-commercial use "
    "(CC BY-NC-SA 3.0, https://www.cvlibs.net/datasets/kitti)."
)
_UNSAID_LICENCE = "not said (`pack_run --licence`); the terms of the data bind the weights, too."


@dataclass(frozen=True)
class Options:
    """Pack a run to give it away: its best weights in half precision, its config, and a card.

    The folder that comes out is a run directory for eval, visualize and predict.
    """

    # What it was trained and measured on, for the card, which needs it.
    data: str = ""
    # Run directory that mobilenetdet train wrote.
    run_dir: Path = DEFAULT_RUN
    # Where config.json, best.weights.h5 and README.md go; by default RUN_DIR/packed.
    output_dir: Path | None = None
    # Replaces such files that are there already.
    overwrite: bool = False
    # Licence of the weights, for the card; by default KITTI's where --data names KITTI.
    licence: str = ""


def main(argv: list[str] | None = None) -> int:
    """Packs and says where and how large; returns 0.

    Raises:
        FileExistsError: there are such files in the output directory, or it is the run itself.
        FileNotFoundError: the run is not there, or was not evaluated.
        ValueError: --data is missing.
    """
    options = parse(Options, argv)
    run = open_run(options.run_dir)
    if not options.data.strip():
        raise ValueError(
            "--data is missing: what the run was trained and measured on, for the card, such as "
            "'KITTI, 7,481 frames'"
        )
    of_data = KITTI_LICENCE if "kitti" in options.data.lower() else _UNSAID_LICENCE
    output_dir = options.output_dir or run.packed_dir
    card = pack_run(
        run,
        output_dir,
        data=options.data,
        licence=options.licence.strip() or of_data,
        overwrite=options.overwrite,
    )
    size = sum(file.stat().st_size for file in output_dir.iterdir() if file.is_file())
    print(f"{card}: {size / 1e6:.1f} MB with weights and config")
    return 0
