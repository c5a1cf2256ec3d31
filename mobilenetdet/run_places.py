"""Folders that a run is written to: what lies there already and must not be lost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mobilenetdet.files.output_folder import refuse_link
from mobilenetdet.runs import (
    ANALYSIS_FILE,
    BEST_F1_FILE,
    BEST_WEIGHTS,
    CALIBRATION_FILE,
    DETECTIONS_DIR,
    EVALUATION_DIR,
    EVENTS_DIR,
    FRAMES_SEEN_FILE,
    HISTORY_FILE,
    HISTORY_PLOT,
    LAST_WEIGHTS,
    METRICS_FILE,
    OVERLAYS_DIR,
    REPORT_FILE,
    STATE_FILE,
    RunDir,
    shipped_weights,
)

# What training writes beside the config; other files in these folders stay as they are.
WRITTEN_BY_TRAINING = (
    *(BEST_WEIGHTS, LAST_WEIGHTS, STATE_FILE, CALIBRATION_FILE, BEST_F1_FILE, FRAMES_SEEN_FILE),
    *(HISTORY_FILE, HISTORY_PLOT, EVENTS_DIR, f"{OVERLAYS_DIR}/montage.jpg"),
    *(f"{EVALUATION_DIR}/{name}" for name in (METRICS_FILE, DETECTIONS_DIR)),
)


def refuse_shipped(folder: Path, option: str) -> None:
    """Refuses a folder that is, or has the name of, weights that ship.

    Args:
        folder: where a run is to be written.
        option: that names it, such as "--run_dir".

    Raises:
        ValueError: it is one; later commands would take the one for the other.
    """
    shipped = shipped_weights()
    if str(folder) in shipped or folder.resolve() in [run.path for run in shipped.values()]:
        raise ValueError(f"{folder} names weights that ship; name another folder with {option}")


def refuse_training(folder: Path, option: str) -> None:
    """Refuses a folder with a checkpoint, which other weights would not go with.

    Args:
        folder: where weights are to be written.
        option: that names it, such as "--output_dir".

    Raises:
        FileExistsError: it holds one.
    """
    if (folder / STATE_FILE).exists():
        raise FileExistsError(
            f"{folder} holds a training, which would go on from other weights than those of its "
            f"config; name another folder with {option}"
        )


def refuse_links(run: RunDir) -> None:
    """Refuses links in the place of the folders that commands write to in a run.

    Raises:
        FileExistsError: one is a link.
    """
    for folder in (run.events_dir, run.evaluation_dir, run.overlays_dir):
        refuse_link(folder)


def first_there(folder: Path, names: Iterable[str]) -> Path | None:
    """Returns the first file, or folder that is not empty, of these names in a folder."""
    for path in (folder / name for name in names):
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            return path
    return None


def remove_measurements(run: RunDir) -> None:
    """Removes what was measured of weights that are about to be replaced.

    The next to read the run would take it for that of the new weights. Pictures stay, and files of
    other names.
    """
    names = (METRICS_FILE, REPORT_FILE, ANALYSIS_FILE)
    files = [run.calibration_file, run.best_f1_file, *(run.evaluation_dir / n for n in names)]
    results = (run.evaluation_dir / DETECTIONS_DIR).glob("*.txt")
    for path in (*files, *(path for path in results if path.stem.isdigit())):  # frame ids
        path.unlink(missing_ok=True)
