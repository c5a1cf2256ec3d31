"""How much of the machine a process may use."""

from __future__ import annotations

import os


def num_cores() -> int:
    """Returns how many cores this process may use; in a container fewer than the machine has."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores or 1
