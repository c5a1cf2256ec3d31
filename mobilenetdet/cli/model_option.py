"""The option --model: an exported file instead of a run."""

from __future__ import annotations

from pathlib import Path


def refuse_two_detectors(model: Path | None, run_dir: Path, default: Path) -> None:
    """Refuses an exported file together with a run.

    Args:
        model: of --model, or None.
        run_dir: of --run_dir.
        default: what --run_dir is where nobody has named one.

    Raises:
        ValueError: both are named.
    """
    if model is not None and run_dir != default:
        raise ValueError(f"--model {model} and --run_dir {run_dir} are two detectors; name one")
