"""How the processes of a training find each other: JAX's own service."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

from mobilenetdet.config.training import FitConfig
from mobilenetdet.config.validation import VIRTUAL_DEVICES
from mobilenetdet.distribution.lost_process import watch_stderr

# Of a process that does not answer, seconds. JAX's own is 100; the sign of life comes from a
# thread of its own, which no computation holds up.
_HEARTBEAT_SECONDS = 30


def connect(train: FitConfig) -> tuple[int, int]:
    """Waits for the other processes that `train.coordinator` says.

    Returns:
        The number of this process, from 0, and how many there are.

    Raises:
        ValueError: they do not find each other; says why.
    """
    import jax

    watch_stderr()
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # It catches SIGTERM, for programs that ask it when to stop: this one would go on.
    jax.config.update("jax_enable_preemption_service", False)
    if train.on_virtual_devices:  # before anything is computed
        jax.config.update("jax_num_cpu_devices", int(train.devices.removeprefix(VIRTUAL_DEVICES)))
    named: dict[str, Any] = {}
    if train.coordinator != "auto":
        named = {
            "coordinator_address": train.coordinator,
            "num_processes": train.num_processes,
            "process_id": train.process_id,
            "cluster_detection_method": "deactivate",
        }
        who = f"process {train.process_id} of {train.num_processes}"
        print(f"{who} waits for the others at {train.coordinator}, 5 minutes at most", flush=True)
    try:
        with _ended_by_interrupt():
            jax.distributed.initialize(**named, heartbeat_timeout_seconds=_HEARTBEAT_SECONDS)
    except TypeError as error:
        raise ValueError(
            f"JAX {jax.__version__} is too old for this: pip install -U jax"
        ) from error
    except (ValueError, RuntimeError) as error:
        raise ValueError(_why_not_joined(train, error)) from error
    return jax.process_index(), jax.process_count()


@contextlib.contextmanager
def _ended_by_interrupt() -> Iterator[None]:
    """Lets Ctrl-C end the process at once: JAX waits where Python cannot be interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread has a say in signals
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _why_not_joined(train: FitConfig, error: Exception) -> str:
    said = " ".join(str(error).split())
    if train.coordinator == "auto":
        return (
            "train.coordinator is auto, and JAX finds no SLURM, Kubernetes or Open MPI that has "
            f"started this process ({said}); start it there (srun, a Job with jax[k8s], mpirun), "
            "or name the processes: --train.coordinator HOST:PORT --train.num_processes N "
            "--train.process_id I"
        )
    return (
        f"train.coordinator is {train.coordinator}, and process {train.process_id} cannot join "
        f"there ({said}); is the port free on the first machine, and open to the others?"
    )
