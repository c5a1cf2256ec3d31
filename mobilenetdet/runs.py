"""Run directories: the name of every file in them, opening and claiming them, finding weights.

    config.json                                    the resolved config
    metrics.csv  metrics.png  tensorboard/         losses, learning rate and AP by epoch
    best.weights.h5  last.weights.h5               averaged weights
    checkpoint.npz                                 what resuming needs
    calibration.json                               slope and offset of each class's scores
    frames_seen.json                               hashes of the frames that training has seen
    eval/  overlays/  labels/  batches/  matches/  what eval and visualize write
    packed/                                        what pack_run writes

Weights that ship with the package are run directories, too, and go by a name: `ssd_fpn`.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mobilenetdet.atomic_write import atomic_write
from mobilenetdet.config.detection import DetectionConfig
from mobilenetdet.config.presets import PRESETS
from mobilenetdet.config.storage import read_config, to_json

Config = TypeVar("Config")

CONFIG_FILE = "config.json"
BEST_WEIGHTS, LAST_WEIGHTS = "best.weights.h5", "last.weights.h5"
STATE_FILE = "checkpoint.npz"
CALIBRATION_FILE = "calibration.json"
FRAMES_SEEN_FILE = "frames_seen.json"
HISTORY_FILE, HISTORY_PLOT, COMPARISON_PLOT = "metrics.csv", "metrics.png", "comparison.png"
LEARNING_CURVE_PLOT = "learning_curve.png"
EVENTS_DIR, EVALUATION_DIR, OVERLAYS_DIR, PACKED_DIR = "tensorboard", "eval", "overlays", "packed"
# Inside of `EVALUATION_DIR`.
METRICS_FILE, DETECTIONS_DIR = "metrics.json", "detections"
REPORT_FILE, ANALYSIS_FILE = "report.html", "analysis.json"
# Says what packed weights are.
CARD_FILE = "README.md"

# The weights that are taken where none are named.
DEFAULT_WEIGHTS = "ssd_fpn"
_SHIPPED = Path(__file__).resolve().parent / "pretrained"
# Where they were until they became part of the package.
_OLD_SHIPPED = re.compile(r"(?:^|/)data/pretrained(?:/([^/]+)|/?$)")
# Files that training writes; a folder that holds one and no config is none of its runs.
_WRITTEN_BY_TRAINING = (BEST_WEIGHTS, LAST_WEIGHTS, STATE_FILE, CALIBRATION_FILE, HISTORY_FILE)


@dataclass(frozen=True)
class RunDir:
    """The places of a run directory, whether or not they exist.

    Attributes:
        path: of the directory.
        shipped_name: of weights that ship with the package, else "".
    """

    path: Path
    shipped_name: str = ""

    @property
    def name(self) -> str:
        """What to call the run in a title."""
        return self.shipped_name or self.path.resolve().name

    @property
    def config_file(self) -> Path:
        """The resolved config."""
        return self.path / CONFIG_FILE

    @property
    def best_weights(self) -> Path:
        """Averaged weights of the epoch with the best AP."""
        return self.path / BEST_WEIGHTS

    @property
    def state_file(self) -> Path:
        """What resuming needs."""
        return self.path / STATE_FILE

    @property
    def calibration_file(self) -> Path:
        """Slope and offset of each class, see `PostprocessConfig.calibration`."""
        return self.path / CALIBRATION_FILE

    @property
    def frames_seen_file(self) -> Path:
        """Hashes of the frames that the weights were trained on, see `kitti.frames_seen`."""
        return self.path / FRAMES_SEEN_FILE

    @property
    def history_file(self) -> Path:
        """Losses, learning rate and AP by epoch."""
        return self.path / HISTORY_FILE

    @property
    def history_plot(self) -> Path:
        """The same as a picture."""
        return self.path / HISTORY_PLOT

    @property
    def events_dir(self) -> Path:
        """Logs for TensorBoard."""
        return self.path / EVENTS_DIR

    @property
    def evaluation_dir(self) -> Path:
        """AP, result files and report."""
        return self.output_dir / EVALUATION_DIR

    @property
    def metrics_file(self) -> Path:
        """AP of the last evaluation."""
        return self.evaluation_dir / METRICS_FILE

    @property
    def overlays_dir(self) -> Path:
        """Pictures of detections, and a montage."""
        return self.output_dir / OVERLAYS_DIR

    @property
    def packed_dir(self) -> Path:
        """Small weights with config and card."""
        return self.output_dir / PACKED_DIR

    @property
    def output_dir(self) -> Path:
        """Where commands write unless told otherwise: the run itself, never the package."""
        return Path("runs/pretrained") / self.shipped_name if self.shipped_name else self.path

    def find_weights(self) -> Path:
        """Returns the best weights, or the last if no AP was measured yet.

        Raises:
            FileNotFoundError: there are none.
        """
        for name in (BEST_WEIGHTS, LAST_WEIGHTS):
            if (self.path / name).is_file():
                return self.path / name
        raise FileNotFoundError(
            f"{self.path} holds neither {BEST_WEIGHTS} nor {LAST_WEIGHTS}; train it with "
            "mobilenetdet train, or name the weights with --weights"
        )

    def read_config(self, kind: type[Config] = DetectionConfig) -> Config:
        """Reads the config; that of a detector has the calibration which training has left.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is damaged, or of another kind.
        """
        config = read_config(self.config_file, kind)
        if kind is not DetectionConfig or not self.calibration_file.is_file():
            return config
        lines = json.loads(self.calibration_file.read_text())
        calibration = tuple(tuple(line) for line in lines)
        return dataclasses.replace(
            config, postprocess=dataclasses.replace(config.postprocess, calibration=calibration)
        )


def shipped_weights() -> dict[str, RunDir]:
    """Returns the weights that ship with the package, by name."""
    folders = sorted(_SHIPPED.iterdir()) if _SHIPPED.is_dir() else []
    return {
        folder.name: RunDir(folder, folder.name)
        for folder in folders
        if (folder / CONFIG_FILE).is_file()
    }


def is_run(source: str | os.PathLike[str]) -> bool:
    """Returns whether `open_run` finds a run by this name or path."""
    return str(source) in shipped_weights() or (Path(source) / CONFIG_FILE).is_file()


def open_run(source: str | os.PathLike[str]) -> RunDir:
    """Finds a run.

    Args:
        source: the name of weights that ship, or the path of a run directory. A directory that
            has the name of such weights goes by its absolute path.

    Raises:
        FileNotFoundError: there is no such run; says how to come by one.
    """
    shipped = shipped_weights()
    if str(source) in shipped:
        return shipped[str(source)]
    path = Path(source)
    if (path / CONFIG_FILE).is_file():
        return RunDir(path)
    raise FileNotFoundError(_no_run(path))


def find_detector_weights(source: str | os.PathLike[str]) -> Path:
    """Finds the weight file of a whole detector.

    Args:
        source: the name of weights that ship, a run directory, or a weight file.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if is_run(source):
        return open_run(source).find_weights()
    path = Path(source)
    if path.is_file():
        return path
    moved = _OLD_SHIPPED.search(path.as_posix())
    names = ", ".join(shipped_weights())
    raise FileNotFoundError(
        _no_run(path)
        if moved
        else f"{path} is no weight file and no run directory; weights that ship: {names}"
    )


def _no_run(path: Path) -> str:
    names = ", ".join(shipped_weights())
    if moved := _OLD_SHIPPED.search(path.as_posix()):
        return f"{path} has moved into the package; its name will do: {moved[1] or names}"
    start = f"{path} is no run directory (it has no {CONFIG_FILE})"
    if path.name == str(path) and path.name in PRESETS:
        start = f"no weights ship for the preset {path}"
    there = f"mobilenetdet train --preset {path.name if path.name in PRESETS else 'ssd_fpn'}"
    near = difflib.get_close_matches(str(path), shipped_weights(), n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{start}; {hint}weights that ship: {names}; {there} --run_dir DIR trains"


def claim_run_dir(config: Config, run_dir: Path) -> None:
    """Writes config.json into a new run directory, or checks that the old one is equal.

    Raises:
        FileExistsError: the directory has files of the names that training writes, and no config.
        ValueError: the directory belongs to a run with another config; names what differs. Or it
            is the name of weights that ship.
    """
    shipped = shipped_weights()
    if str(run_dir) in shipped or run_dir.resolve() in [run.path for run in shipped.values()]:
        raise ValueError(f"{run_dir} names weights that ship; train into another --run_dir")
    path = run_dir / CONFIG_FILE
    if not path.exists():
        for name in _WRITTEN_BY_TRAINING:
            if (run_dir / name).exists():
                raise FileExistsError(
                    f"{run_dir / name} is there, but no {CONFIG_FILE}: training would replace "
                    "what is none of its runs; choose another --run_dir"
                )
        with atomic_write(path) as temporary:
            temporary.write_text(to_json(config))
        return
    differences = config_differences(read_config(path, type(config)), config)
    if differences:
        raise ValueError(
            f"{run_dir} holds a run with another config:\n  "
            + "\n  ".join(differences)
            + "\nresume with the same options, or choose another --run_dir"
        )


def config_differences(old: Config, new: Config) -> list[str]:
    """Lists the leaves in which two configs differ, with both values."""
    old_tree, new_tree = dataclasses.asdict(old), dataclasses.asdict(new)
    return [
        f"{section}.{leaf}: {old_tree[section][leaf]!r} there, {value!r} now"
        for section, leaves in new_tree.items()
        for leaf, value in leaves.items()
        if old_tree[section][leaf] != value
    ]
