"""Run directories: the name of every file in them, opening them, finding weights.

    config.json                                    the resolved config
    metrics.csv  metrics.png  tensorboard/         losses, learning rate and AP by epoch
    best.weights.h5  last.weights.h5               averaged weights
    checkpoint.npz                                 what resuming needs
    calibration.json                               slope and offset of each class's scores
    best_f1_scores.json                            from which scores on detections are drawn
    frames_seen.json                               hashes of the frames that training has seen
    eval/  overlays/  labels/  batches/  matches/  what eval and visualize write
    packed/                                        what pack_run writes
    export/480x1568/                               the network for another engine, see predict

Weights that ship with the package are run directories, too, and go by a name: `ssd_fpn`.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mobilenetdet.files.text import read_json

# Where it is needed and not before: most commands that name files of runs read no config, and its
# classes take a tenth of a second.
if TYPE_CHECKING:
    from mobilenetdet.config.detection import DetectionConfig

CONFIG_FILE = "config.json"
BEST_WEIGHTS, LAST_WEIGHTS = "best.weights.h5", "last.weights.h5"
STATE_FILE = "checkpoint.npz"
CALIBRATION_FILE = "calibration.json"
BEST_F1_FILE = "best_f1_scores.json"
FRAMES_SEEN_FILE = "frames_seen.json"
HISTORY_FILE, HISTORY_PLOT, COMPARISON_PLOT = "metrics.csv", "metrics.png", "comparison.png"
LEARNING_CURVE_PLOT = "learning_curve.png"
EVENTS_DIR, EVALUATION_DIR, OVERLAYS_DIR, PACKED_DIR = "tensorboard", "eval", "overlays", "packed"
EXPORT_DIR = "export"
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
    def best_f1_file(self) -> Path:
        """Score of the best F1 of each class, see `EvalConfig.best_f1_scores`."""
        return self.path / BEST_F1_FILE

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
    def export_dir(self) -> Path:
        """Exported files; those of weights that ship lie in the user's cache."""
        return user_cache() / self.shipped_name if self.shipped_name else self.path / EXPORT_DIR

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
            f"{self.path} holds neither {BEST_WEIGHTS} nor {LAST_WEIGHTS}; train it first, or name "
            "another run"
        )

    def is_classifier(self) -> bool:
        """Whether the config is that of a classifier, by the settings that no other has.

        Raises:
            FileNotFoundError, ValueError: there is none, or it is damaged.
        """
        from mobilenetdet.config.detection import DetectionConfig
        from mobilenetdet.config.storage import find_other_kind

        tree = read_json(self.config_file, "train the run again")
        return find_other_kind(tree, DetectionConfig) is not None

    def read_config(self) -> DetectionConfig:
        """Reads the config of a detector, with what training has measured of its scores.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is damaged, or of another kind.
        """
        from mobilenetdet.config.detection import DetectionConfig
        from mobilenetdet.config.storage import read_config

        config = read_config(self.config_file, DetectionConfig)
        if self.best_f1_file.is_file():
            config = _with_best_f1_scores(config, self.best_f1_file)
        if not self.calibration_file.is_file():
            return config
        remedy = "copy it again, or remove it, and scores stay as predicted"
        lines = read_json(self.calibration_file, remedy)
        try:
            calibration = tuple((float(slope), float(offset)) for slope, offset in lines)
            postprocess = dataclasses.replace(config.postprocess, calibration=calibration)
            return dataclasses.replace(config, postprocess=postprocess)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.calibration_file} is damaged ({error}); {remedy}") from None


def _with_best_f1_scores(config: DetectionConfig, path: Path) -> DetectionConfig:
    remedy = "remove it, and `mobilenetdet eval` measures the scores again"
    scores = read_json(path, remedy)
    try:
        scored = dataclasses.replace(config.eval, best_f1_scores=scores)
        return dataclasses.replace(config, eval=scored)
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}); {remedy}") from None


def hash_weights(path: str | os.PathLike[str]) -> str:
    """Returns the first 16 hex digits of the SHA-256 of a weight file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def user_cache() -> Path:
    """Returns the folder for what can be made again, by the XDG Base Directory specification."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    root = named if os.path.isabs(named) else os.path.expanduser("~/.cache")
    return Path(root) / "mobilenetdet"


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
    return str(source).rstrip("/") in shipped_weights() or (Path(source) / CONFIG_FILE).is_file()


def open_run(source: str | os.PathLike[str] | None) -> RunDir:
    """Finds a run by its path or the name of weights that ship; None is `DEFAULT_WEIGHTS`.

    Raises:
        FileNotFoundError: there is no such run; says how to come by one.
        ValueError: a run in this folder has the name of weights that ship.
    """
    shipped = shipped_weights()
    if source is None:
        return shipped[DEFAULT_WEIGHTS]
    path, name = Path(source), str(source).rstrip("/")
    named = shipped.get(path.name)
    if named and path.resolve() == named.path:  # what is measured goes to `output_dir`
        return named
    is_folder, is_name = (path / CONFIG_FILE).is_file(), name in shipped
    if is_folder and is_name:
        raise ValueError(
            f"{source} is the name of weights that ship and of a run in this folder; name the run "
            f"as {path.resolve()}, or the weights as {shipped[name].path}"
        )
    if not (is_folder or is_name):
        raise FileNotFoundError(_no_run(path))
    if is_name:
        return shipped[name]
    return RunDir(path.resolve() if str(path) in shipped else path)  # "./ssd_fpn"


def find_detector_weights(source: str | os.PathLike[str]) -> Path:
    """Finds the weight file of a whole detector.

    Args:
        source: the name of weights that ship, a run directory, or a weight file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: see `open_run`.
    """
    if is_run(source):
        return open_run(source).find_weights()
    path = Path(source)
    if path.is_file():
        return path
    names = ", ".join(shipped_weights())
    raise FileNotFoundError(
        _no_run(path)
        if _OLD_SHIPPED.search(path.as_posix())
        else f"{path} is no weight file and no run directory; weights that ship: {names}"
    )


def _no_run(path: Path) -> str:
    from mobilenetdet.config.presets import PRESETS

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
