"""The mean of the weights of several runs that go back to one: a model soup (arXiv 2203.05482)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.storage import to_json
from mobilenetdet.files.names import refuse_repeated_paths
from mobilenetdet.files.output_folder import OutputFolder
from mobilenetdet.kitti.frames_seen import FramesSeen, read_frames_seen, write_frames_seen
from mobilenetdet.models.weight_file import (
    OPTIMIZER,
    check_weight_file,
    first_non_finite,
    non_finite_text,
    rewrite_weights,
)
from mobilenetdet.run_places import (
    WRITTEN_BY_TRAINING,
    first_there,
    refuse_links,
    refuse_shipped,
    refuse_training,
    remove_measurements,
)
from mobilenetdet.runs import BEST_WEIGHTS, CONFIG_FILE, FRAMES_SEEN_FILE, STATE_FILE, RunDir

# What lies beside the files of a mean where there is a run already.
_BESIDE = tuple(name for name in WRITTEN_BY_TRAINING if name != STATE_FILE)


def average_runs(
    runs: Sequence[RunDir],
    output_dir: Path,
    *,
    shares: Sequence[float] = (),
    overwrite: bool = False,
) -> RunDir:
    """Writes a run whose weights are the mean of those of others.

    The weights have to lie on one slope, as those do that were trained on from one another or from
    a common beginning; the mean of networks that began at random detects nothing. The statistics of
    batch normalisation are averaged like the weights, not measured anew.

    Args:
        runs: two or more different ones, of one network and the same classes; of each its best
            weights.
        output_dir: gets config.json (that of the last run), best.weights.h5 and frames_seen.json
            with the frames of all runs, which says whether these are surely all.
        shares: of each run in the mean, above 0; divided by their sum. By default equal ones.
        overwrite: replaces a run that is there already, with what was measured of it; never one of
            the runs, nor a training.

    Returns:
        The run, not yet measured or calibrated; see `settle_average`.

    Raises:
        FileExistsError: one of these files or of what is measured is there, the output is one of
            the runs or a training, or another process is writing there.
        FileNotFoundError: a run has no config or no weights.
        ValueError: the runs are of other networks or classes, one is named twice, the output is the
            name of weights that ship, or a weight file is damaged.
    """
    if len(runs) < 2:
        raise ValueError("the mean of one run is that run; name two or more")
    remedy = "name it once, and say with --shares how much it counts"
    refuse_repeated_paths([Path(run.shipped_name or run.path) for run in runs], "run", remedy)
    if shares and not (len(shares) == len(runs) and all(0 < share < math.inf for share in shares)):
        named = " ".join(f"{share:g}" for share in shares)
        raise ValueError(f"shares are {named}; each of the {len(runs)} runs needs one above 0")
    _refuse_output(output_dir, runs)
    configs = [run.read_config() for run in runs]
    for run, config in zip(runs, configs, strict=True):
        _refuse_other_network(run, config, runs[-1], configs[-1])
    averaged = _average([run.find_weights() for run in runs], shares or [1.0] * len(runs))
    lists = [read_frames_seen(run.frames_seen_file) for run in runs]
    seen = lists[-1] or FramesSeen(complete=False)
    for other in lists[:-1]:
        seen |= other or FramesSeen(complete=False)
    config = configs[-1].without_scores()
    with OutputFolder(output_dir, overwrite=overwrite).locked() as folder:
        _make_room(folder, overwrite=overwrite)
        with folder.writing(FRAMES_SEEN_FILE) as path:
            write_frames_seen(path, seen)
        with folder.writing(BEST_WEIGHTS) as path:
            path.write_bytes(averaged)
        with folder.writing(CONFIG_FILE) as path:
            path.write_text(to_json(config), encoding="utf-8")
    return RunDir(output_dir)


def _make_room(folder: OutputFolder, *, overwrite: bool) -> None:
    """Removes what was measured of earlier weights; a run that is not to be replaced is refused.

    A mean that was not settled is this program's own, and all that lies beside it.
    """
    names = [CONFIG_FILE, BEST_WEIGHTS, FRAMES_SEEN_FILE]
    is_unsettled = any(map(folder.is_own, names))
    foreign = [name for name in names if not folder.is_own(name)]
    if not overwrite and (
        there := first_there(folder.path, foreign if is_unsettled else (*names, *_BESIDE))
    ):
        raise FileExistsError(
            f"{there} is there already; name another folder with --output_dir, or replace the run "
            "with --overwrite"
        )
    folder.refuse_foreign(names)
    # First, so that the folder is no run until all is there: the config is written last.
    (folder.path / CONFIG_FILE).unlink(missing_ok=True)
    remove_measurements(RunDir(folder.path))


def _refuse_output(output_dir: Path, runs: Sequence[RunDir]) -> None:
    """Refuses a folder whose weights would be lost, or whose checkpoint is of other weights."""
    refuse_shipped(output_dir, "--output_dir")
    refuse_links(RunDir(output_dir))
    if output_dir.resolve() in [run.path.resolve() for run in runs]:
        raise FileExistsError(
            f"{output_dir} is one of the runs, whose weights would be lost; name another folder "
            "with --output_dir"
        )
    refuse_training(output_dir, "--output_dir")


def settle_average(run: RunDir) -> None:
    """Leaves a mean that was measured to the user.

    Until then `average_runs` replaces it, so that what was broken off can be given again; from now
    on it does so only if it is asked to.
    """
    OutputFolder(run.path).disown([FRAMES_SEEN_FILE, BEST_WEIGHTS, CONFIG_FILE])


def _refuse_other_network(
    run: RunDir, config: DetectionConfig, last: RunDir, expected: DetectionConfig
) -> None:
    """Refuses a run whose weights mean something else than those of the last one."""
    for name, own, wanted in (
        ("data.classes", config.data.classes, expected.data.classes),
        ("model.levels", config.model.levels, expected.model.levels),
        ("model.alpha", config.model.alpha, expected.model.alpha),
        ("head.kind", config.head.kind, expected.head.kind),
    ):
        if own != wanted:
            text = f"{name} {own} and {last.path} {wanted}"
            if name == "model.levels":  # pages of anchors
                text = f"other {name} than {last.path}"
            raise ValueError(
                f"{run.path} has {text}; only runs of one network and the same classes have a mean"
            )


def _average(paths: Sequence[Path], shares: Sequence[float]) -> bytes:
    """Returns a Keras weight file of the mean, in float32, laid out as the last file is."""
    for path in paths:
        check_weight_file(path)
    means = _mean_arrays(paths, shares)
    if bad := first_non_finite(means.items()):  # too large for float32
        raise ValueError(non_finite_text(f"the mean of {', '.join(map(str, paths))}", bad))
    return rewrite_weights(paths[-1], lambda name, values: means.get(name, values))


def _mean_arrays(paths: Sequence[Path], shares: Sequence[float]) -> dict[str, np.ndarray]:
    """Returns the mean of each array of real numbers by its place in the files."""
    sums: dict[str, np.ndarray] = {}
    weights = np.divide(shares, max(shares))  # of the largest numbers there is no sum
    for path, share in zip(paths, weights / weights.sum(), strict=True):
        arrays = _real_arrays(path)
        if sums and {name: array.shape for name, array in arrays.items()} != {
            name: array.shape for name, array in sums.items()
        }:
            raise ValueError(f"{path} holds other weights than {paths[0]}: they have no mean")
        if bad := first_non_finite(arrays.items()):
            raise ValueError(non_finite_text(str(path), bad))
        for name, array in arrays.items():
            sums[name] = sums.get(name, 0.0) + share * array
    return {name: array.astype(np.float32) for name, array in sums.items()}


def _real_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads the arrays of real numbers of a weight file, in float64, by their places."""
    arrays: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:

        def read(name: str, item: h5py.Group | h5py.Dataset) -> None:
            """Keeps an array."""
            is_array = isinstance(item, h5py.Dataset) and item.dtype.kind == "f"
            if is_array and name.split("/")[0] != OPTIMIZER:
                arrays[name] = item[()].astype(np.float64)

        file.visititems(read)
    return arrays
