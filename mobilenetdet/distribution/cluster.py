"""Several processes, on several machines, that train one model together: JAX's own engine.

What moves values between the devices of all waits for every process; assigning a variable is
enough. So all of them do that in the same order, and where the training run branches by process,
neither branch does it. The first has the run directory; each other one has a copy of it in a
temporary folder, writes there what the first writes for the user, and removes it at its end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, starmap
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np

from mobilenetdet.config.training import FitConfig, TrainedConfig
from mobilenetdet.data.batch_share import BatchShare
from mobilenetdet.distribution.connection import connect
from mobilenetdet.distribution.lost_process import LOST, is_lost_process
from mobilenetdet.files.folder_lock import folder_lock
from mobilenetdet.inference.detect_records import DetectedFrame, detect_records
from mobilenetdet.inference.loaded_detector import LoadedDetector
from mobilenetdet.records.detection_record import read_frames
from mobilenetdet.records.shards import shard_paths
from mobilenetdet.runs import (
    BEST_F1_FILE,
    BEST_WEIGHTS,
    CALIBRATION_FILE,
    CONFIG_FILE,
    FRAMES_SEEN_FILE,
    HISTORY_FILE,
    LAST_WEIGHTS,
    STATE_FILE,
)
from mobilenetdet.system.job_share import JobShare

Config = TypeVar("Config", bound=TrainedConfig)

# What a run goes on from.
_STATE_OF_RUN = (
    *(CONFIG_FILE, STATE_FILE, BEST_WEIGHTS, LAST_WEIGHTS, HISTORY_FILE),
    *(CALIBRATION_FILE, BEST_F1_FILE, FRAMES_SEEN_FILE),
)
# No value of a setting.
_NOTHING = object()
# Settings that may differ from process to process: each machine may have records of its own.
_OWN_SETTINGS = ("data.records_dir", "data.data_dir")


@dataclass(frozen=True)
class Cluster:
    """The processes of a training, as one of them sees them.

    Attributes:
        process_id: from 0.
        num_processes: 1 for a process that is alone.
    """

    process_id: int = 0
    num_processes: int = 1

    @property
    def is_alone(self) -> bool:
        """Whether there is no other process."""
        return self.num_processes == 1

    def share(self, num_devices: int) -> BatchShare:
        """Returns the part of the work that falls to this process, of so many devices in all."""
        return BatchShare(self.process_id, self.num_processes, num_devices)

    def gather(self, value: Any) -> list[Any]:
        """Returns the values of all processes, in their order; each waits for all others.

        They are pickled: the processes of a training trust each other.
        """
        if self.is_alone:
            return [value]
        from jax.experimental.multihost_utils import process_allgather

        content = np.frombuffer(pickle.dumps(value), np.uint8)
        sizes = process_allgather(np.array([len(content)], np.int32)).ravel()
        padded = np.zeros(max(sizes), np.uint8)
        padded[: len(content)] = content
        rows = np.asarray(process_allgather(padded)).reshape(len(sizes), -1)
        return [pickle.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)]

    def broadcast(self, value: Any) -> Any:
        """Returns the value of the first process to all; each waits for all others."""
        if self.is_alone:
            return value
        from jax.experimental.multihost_utils import broadcast_one_to_all

        content = np.frombuffer(pickle.dumps(value), np.uint8)
        (size,) = broadcast_one_to_all(np.array([len(content)], np.int32))
        padded = np.zeros(size, np.uint8)
        if self.process_id == 0:
            padded[:] = content
        return pickle.loads(np.asarray(broadcast_one_to_all(padded)).tobytes())

    def agree(self, values: dict[str, Any], *, unknown: Any = _NOTHING) -> None:
        """Checks that all processes have the same values.

        Args:
            values: by what they are, for the message.
            unknown: a value that says nothing, and agrees with all.

        Raises:
            ValueError: they do not; names the first that differs.
        """
        everyone = self.gather(values)
        for key in everyone[0]:
            found = [(process, theirs.get(key)) for process, theirs in enumerate(everyone)]
            (first, value), *others = [each for each in found if each[1] != unknown] or found
            for process, other in others:
                if other != value:
                    raise ValueError(
                        f"{key} is {other!r} in process {process} and {value!r} in process "
                        f"{first}; give every process the same command but for train.process_id, "
                        "the same files and the same versions"
                    )

    def settle(self, config: Config) -> Config:
        """Checks that all processes have the same settings, and returns them.

        Those that name the processes are left out: a run may go on in another number of them.
        Of records there is a share for each process, at least.

        Raises:
            ValueError: a setting differs, or does not fit the number of processes; names it.
        """
        import mobilenetdet

        train = config.train.for_processes(self.num_processes, has_records=config.has_records)
        config = dataclasses.replace(config, train=train)
        if not self.is_alone:
            values = {
                f"{section}.{key}": value
                for section, settings in dataclasses.asdict(config).items()
                for key, value in settings.items()
            }
            versions = {"mobilenetdet": mobilenetdet.__version__, "keras": keras.__version__}
            versions["jax"] = sys.modules["jax"].__version__
            own = {key: value for key, value in values.items() if key not in _OWN_SETTINGS}
            self.agree(versions | own)
        return config

    @contextlib.contextmanager
    def run_dir(self, run_dir: Path, check: Callable[[Path], None]) -> Iterator[Path]:
        """Gives each process a run directory to write in; that of the first is the user's.

        Args:
            run_dir: of the user. Other machines need not see it.
            check: refuses a directory in which the run cannot begin or go on.

        Yields:
            The user's directory, locked, or a copy of what it goes on from.
        """
        if self.process_id == 0:
            with folder_lock(run_dir):
                check(run_dir)
                if not self.is_alone:
                    self.broadcast(_state_of(run_dir))
                yield run_dir
            return
        with tempfile.TemporaryDirectory(prefix=f"mobilenetdet_process_{self.process_id}_") as name:
            for file_name, content in self.broadcast(None).items():
                (Path(name) / file_name).write_bytes(content)
            yield Path(name)

    def detect_records(
        self,
        model: LoadedDetector,
        records_dir: str | os.PathLike[str],
        split: str,
        *,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[DetectedFrame]:
        """Detects as `inference.detect_records` does, each process in its share of the frames.

        All of them yield all frames. `progress` counts those of the share.
        """
        if self.is_alone:
            yield from detect_records(model, records_dir, split, progress=progress)
            return
        share = JobShare(self.process_id, self.num_processes)
        frames = detect_records(model, records_dir, split, progress=progress, share=share)
        found = chain.from_iterable(self.gather([detections for _, detections in frames]))
        whole = read_frames(shard_paths(records_dir, split))
        yield from starmap(DetectedFrame, zip(whole, found, strict=True))

    def predict(
        self, predict: Callable[[np.ndarray], np.ndarray], images: np.ndarray
    ) -> np.ndarray:
        """Predicts for a batch of images [B, ...], each process for its part; all get all of it."""
        if self.is_alone:
            return predict(images)
        own = np.array_split(images, self.num_processes)[self.process_id]
        found = predict(own if len(own) else images[:1])[: len(own)]
        return np.concatenate(self.gather(found))


ALONE = Cluster()


@contextlib.contextmanager
def join_cluster(train: FitConfig) -> Iterator[Cluster]:
    """Brings the processes of a training together, as `train.coordinator` says.

    It lasts as long as the process. All but the first print nothing but errors.

    Raises:
        ConnectionError: another process was lost in the `with` block, or none was found.
        ValueError: Keras does not run on JAX, or this process is not one of several.
    """
    if not train.coordinator:
        yield ALONE
        return
    if keras.backend.backend() != "jax":
        raise ValueError(
            f"train.coordinator is {train.coordinator}, and several machines train with JAX only; "
            f"Keras runs on {keras.backend.backend()} here: set KERAS_BACKEND=jax, which wants "
            "pip install 'mobilenetdet[jax]'"
        )
    cluster = _initialise(train)
    try:
        yield cluster
        _leave()
    except Exception as error:
        if is_lost_process(error):
            raise ConnectionError(LOST) from error
        raise


def _initialise(train: FitConfig) -> Cluster:
    cluster = Cluster(*connect(train))
    if cluster.process_id > 0:
        sys.stdout.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries print there, too
    print(f"{cluster.num_processes} processes train together")
    return cluster


def _leave() -> None:
    """Waits for the others, so that none finds another gone."""
    import jax

    jax.distributed.shutdown()


def _state_of(run_dir: Path) -> dict[str, bytes]:
    """Reads what a run goes on from; nothing before its first checkpoint."""
    if not (run_dir / STATE_FILE).is_file():
        return {}
    paths = [run_dir / name for name in _STATE_OF_RUN]
    return {path.name: path.read_bytes() for path in paths if path.is_file()}
