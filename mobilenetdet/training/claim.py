"""Taking a run directory: whose it is, and which settings may change when a run goes on."""

from __future__ import annotations

import dataclasses
import fnmatch
from pathlib import Path
from typing import Any

from mobilenetdet.config.storage import Config, read_config, to_json
from mobilenetdet.files.atomic_write import atomic_write
from mobilenetdet.files.text import read_json
from mobilenetdet.run_places import (
    WRITTEN_BY_TRAINING,
    first_there,
    refuse_links,
    refuse_shipped,
)
from mobilenetdet.runs import (
    BEST_WEIGHTS,
    CALIBRATION_FILE,
    CONFIG_FILE,
    EVALUATION_DIR,
    LAST_WEIGHTS,
    METRICS_FILE,
    STATE_FILE,
    RunDir,
)

# Sections that the config of any training has.
_SECTIONS = ("data", "model", "train")
# Settings that may change when a run goes on. The state does not depend on them: where records and
# teachers lie (their content is compared by itself), how it is measured, how far it goes. Or they
# are what helps a run that has failed: memory, NaN.
_MAY_CHANGE = (
    "data.records_dir",
    "data.data_dir",
    "data.train_split",
    "data.val_split",
    "data.shuffle_buffer",
    "eval.*",
    "postprocess.*",
    "train.batch_size",
    "train.clip_norm",
    "train.devices",
    "train.epochs",
    "train.eval_every",
    "train.learning_rate",
    "train.logger",
    "train.precision",
    "train.record_shares",
    "train.tensorboard_images",
)
# Files that a run began from; a checkpoint holds all weights, and files may have moved.
_FILES = ("model.weights", "model.detector_weights")


def check_run_dir(config: Config, run_dir: Path) -> None:
    """Checks that a run of this config may begin or go on in a directory; changes nothing.

    While there is no checkpoint, a config of this kind in it is that of a start which failed.

    Raises:
        FileExistsError: the directory has files of the names that training writes, and is no run
            that can go on; or a folder in it is a link.
        ValueError: its state belongs to a run with other settings; names what differs. Or it is
            the name of weights that ship.
    """
    refuse_shipped(run_dir, "--run_dir")
    run = RunDir(run_dir)
    refuse_links(run)
    if not run.config_file.exists():
        _refuse_foreign(run_dir)
    elif not run.state_file.exists():
        _refuse_foreign_config(run, type(config))
        _refuse_finished(run)
    elif fixed := [change for change in config_changes(run, config) if not change.is_free]:
        raise ValueError(
            f"{run_dir} holds a run with other settings that its state depends on:\n  "
            + "\n  ".join(map(str, fixed))
            + f"\ngo on with the same (--config {run.config_file}), or choose another --run_dir"
        )


def claim_run_dir(config: Config, run_dir: Path) -> None:
    """Writes config.json, once everything that training needs is there.

    What has changed since the run began is printed.

    Raises:
        FileExistsError: see `check_run_dir`.
        ValueError: see `check_run_dir`.
    """
    check_run_dir(config, run_dir)
    run = RunDir(run_dir)
    if run.state_file.exists():
        changes = config_changes(run, config)
        if not changes:
            return
        print("\n  ".join([f"{run_dir}: going on with other settings:", *map(str, changes)]))
    with atomic_write(run.config_file) as temporary:
        temporary.write_text(to_json(config), encoding="utf-8")


@dataclasses.dataclass(frozen=True)
class Change:
    """A setting that a run had otherwise when it was last at work.

    Attributes:
        key: dotted.
        old: value in its config.json.
        new: value now.
    """

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        """The key and both values."""
        return f"{self.key}: {self.old!r} there, {self.new!r} now"

    @property
    def is_free(self) -> bool:
        """Whether the run can go on with it."""
        if self.key in _FILES:
            old, new = Path(self.old), Path(self.new)
            # Weights of all runs have these names; the folder says which run.
            depth = 2 if old.name in (BEST_WEIGHTS, LAST_WEIGHTS) else 1
            return old.parts[-depth:] == new.parts[-depth:]
        if self.key == "train.teachers":  # others of the same weights, see `RunFacts.teachers`
            return bool(self.old) == bool(self.new)
        if self.key == "train.precision":  # the scale of its loss is part of the state
            return "mixed_float16" not in (self.old, self.new)
        return any(fnmatch.fnmatchcase(self.key, pattern) for pattern in _MAY_CHANGE)


def config_changes(run: RunDir, config: Config) -> list[Change]:
    """Lists the settings in which a config differs from that of a run."""
    old = dataclasses.asdict(read_config(run.config_file, type(config)))
    return [
        Change(f"{section}.{leaf}", old[section].get(leaf), value)
        for section, leaves in dataclasses.asdict(config).items()
        for leaf, value in leaves.items()
        if old[section].get(leaf) != value
    ]


def _refuse_foreign(run_dir: Path) -> None:
    if path := first_there(run_dir, WRITTEN_BY_TRAINING):
        raise FileExistsError(
            f"{path} is there, but no {CONFIG_FILE}: training would replace "
            "what is none of its runs; choose another --run_dir"
        )


def _refuse_foreign_config(run: RunDir, kind: type[Config]) -> None:
    """Keeps a file that has the name of a config and is none."""
    remedy = "choose another --run_dir"
    try:
        read_config(run.config_file, kind)
        lacking = [name for name in _SECTIONS if name not in read_json(run.config_file, remedy)]
        reason = f"it has no section {lacking[0]}" if lacking else ""
    except ValueError as error:
        reason = str(error).splitlines()[0].rstrip(":")
    if reason:
        raise FileExistsError(
            f"{run.config_file} is there, was not written by training, and is not replaced "
            f"({reason}); {remedy}"
        )


def _refuse_finished(run: RunDir) -> None:
    """Keeps weights and results that are worth more than a first epoch which was interrupted."""
    weights = first_there(run.path, (BEST_WEIGHTS, LAST_WEIGHTS))
    results = first_there(run.path, (CALIBRATION_FILE, f"{EVALUATION_DIR}/{METRICS_FILE}"))
    if _num_lines(run.history_file) > 2:  # the heading and that epoch
        results = results or run.history_file
    if results or (weights and not run.events_dir.exists()):
        raise FileExistsError(
            f"{weights or results} is there, but no {STATE_FILE} to go on from: training would "
            "replace it; choose another --run_dir"
        )


def _num_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0
