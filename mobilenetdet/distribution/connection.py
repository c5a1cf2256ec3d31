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
        _set_options(train)
        with _ended_by_interrupt():
            jax.distributed.initialize(**named, heartbeat_timeout_seconds=_HEARTBEAT_SECONDS)
    except (AttributeError, TypeError) as error:  # of an option, of an argument that it lacks
        raise too_old_jax(error) from error
    except (ValueError, RuntimeError) as error:
        raise ValueError(_why_not_joined(train, error)) from error
    return jax.process_index(), jax.process_count()


def too_old_jax(error: Exception) -> ValueError:
    """Returns what to raise where JAX has not got something yet that several devices need.

    Args:
        error: what it has raised.
    """
    import jax

    said = " ".join(str(error).split())
    return ValueError(f"JAX {jax.__version__} is too old for this ({said}): pip install -U jax")


def _set_options(train: FitConfig) -> None:
    """Sets what JAX has to know before anything is computed."""
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # It catches SIGTERM, for programs that ask it when to stop: this one would go on.
    jax.config.update("jax_enable_preemption_service", False)
    if train.on_virtual_devices:
        jax.config.update("jax_num_cpu_devices", int(train.devices.removeprefix(VIRTUAL_DEVICES)))


@contextlib.contextmanager
def _ended_by_interrupt() -> Iterator[None]:
    """Lets Ctrl-C end the process at once: JAX waits where Python cannot be interrupted.

    What has other plans keeps them: a job in the background of a script, which ignores Ctrl-C, and
    a program with a handler of its own. Only the main thread has a say in signals.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
