"""Timing of steps, and a description of the machine and the versions."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from mobilenetdet.system.cores import num_cores

Step = Callable[[], object]
Key = TypeVar("Key")
# What the backbone is compared with: the same network in Keras 2.
REFERENCE = "tf_keras.applications.MobileNet"
NOT_INSTALLED = "not installed"


@dataclass(frozen=True)
class Rounds:
    """How often each step runs: first untimed, then timed."""

    warm_up: int = 3
    repeats: int = 10

    def __post_init__(self) -> None:
        """Checks the counts."""
        if self.warm_up < 0 or self.repeats < 1:
            raise ValueError(
                f"warm_up is {self.warm_up} and repeats is {self.repeats}; "
                "they must be at least 0 and 1"
            )


def median_milliseconds(steps: Mapping[Key, Step], rounds: Rounds) -> dict[Key, float]:
    """Times steps by turns, so that a change of the machine's load meets all of them.

    Args:
        steps: functions that return when their work is done.
        rounds: how often.

    Returns:
        The median time of each step, milliseconds.
    """
    for step in steps.values():
        for _ in range(rounds.warm_up):
            step()
    times: dict[Key, list[float]] = {name: [] for name in steps}
    for _ in range(rounds.repeats):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(of_step)) for name, of_step in times.items()}


def describe_machine() -> dict[str, str]:
    """Names the hardware and the versions that times depend on."""
    import tensorflow as tf

    gpus = [
        tf.config.experimental.get_device_details(device).get("device_name", device.name)
        for device in tf.config.list_physical_devices("GPU")
    ]
    packages = ("tensorflow", "keras", "tf-keras", "numpy")
    return {
        "cpu": cpu_name(),
        "cores": str(num_cores()),
        "gpu": ", ".join(gpus) or "none",
        "python": platform.python_version(),
        **{name: package_version(name) for name in packages},
    }


def cpu_name() -> str:
    """Names the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def tf_keras_installed() -> bool:
    """Whether `REFERENCE` can be timed."""
    return package_version("tf-keras") != NOT_INSTALLED


def package_version(package: str) -> str:
    """Returns the installed version of a package, or `NOT_INSTALLED`."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return NOT_INSTALLED
