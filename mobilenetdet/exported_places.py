"""Where exported files lie, and where what is measured of them goes."""

from __future__ import annotations

import os
from pathlib import Path

from mobilenetdet.runs import CONFIG_FILE, RunDir, shipped_weights


def find_exported(path: str | os.PathLike[str]) -> Path:
    """Returns the place of an exported file; `ssd_fpn/FILE` is one beside weights that ship.

    Where there is no such file, it returns the path as it is.
    """
    path = Path(path)
    shipped = shipped_weights().get(path.parts[0]) if len(path.parts) == 2 else None
    if shipped is None or path.exists() or not (shipped.path / path.name).exists():
        return path
    if (path.parent / CONFIG_FILE).is_file():  # a run of this name, which lacks the file
        return path
    return shipped.path / path.name


def beside_exported(path: Path) -> RunDir:
    """Returns the place of the results of an exported file: DIR/detector_int8_tflite."""
    folder = find_exported(path).parent
    if folder.resolve() in [run.path for run in shipped_weights().values()]:
        path = RunDir(folder, folder.name).output_dir / path.name
    return RunDir(path.with_name(path.name.replace(".", "_")))
