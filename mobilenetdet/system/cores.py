"""How much of the machine a process may use."""

from __future__ import annotations

import os


def num_cores() -> int:
    """Returns how many cores this process may use; in a container fewer than the machine has."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores or 1


def num_engine_threads() -> int:
    """Returns how many threads an engine computes with: OMP_NUM_THREADS, or one a core.

    Ray and other schedulers set it to the cores that each of their workers is given.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(asked), num_cores()) if asked.isdecimal() and int(asked) > 0 else num_cores()
