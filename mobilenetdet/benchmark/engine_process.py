"""A detector, or sgemm, in a process of its own: the parent's end of `engine_server.py`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mobilenetdet
from mobilenetdet.system.cores import num_cores

_MODULE = "mobilenetdet.benchmark.engine_server"
# Libraries that do not count the cores of their process themselves.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
# Seconds that a process has to end when it is asked to.
_PATIENCE = 10.0


class EngineError(ValueError):
    """An engine cannot do what it is asked, or its process has ended; the message says why."""


class EngineProcess:
    """A process that runs one engine on so many cores, until it is closed."""

    def __init__(self, num_threads: int) -> None:
        """Starts the process.

        Args:
            num_threads: cores that it may use, and threads that its libraries start.

        Raises:
            ValueError: the system cannot keep a process to fewer cores than there are.
        """
        self._errors = tempfile.TemporaryFile()
        with cores_limited(num_threads):
            self._process = subprocess.Popen(
                [sys.executable, "-m", _MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=_environment(num_threads),
                encoding="utf-8",
            )

    def ask(self, what: str, **values: Any) -> dict[str, Any]:
        """Asks for one of the requests of `engine_server.Server`, and waits for the answer.

        Raises:
            EngineError: it cannot be done, or the process has ended.
        """
        try:
            print(json.dumps({"do": what, **values}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except (BrokenPipeError, ValueError):
            line = ""
        if not line.endswith("\n"):
            raise EngineError(self._reason())
        answer = json.loads(line)
        if "error" in answer:
            raise EngineError(answer["error"])
        return answer

    def close(self) -> None:
        """Ends the process; closing twice does no harm."""
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _reason(self) -> str:
        """Why the process has ended: its signal, or the last line that it printed."""
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return "its process was killed, as the system does where memory is short"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        ended = f"its process has ended with code {code}"
        return f"{ended}: {lines[-1]}" if lines else ended


@contextlib.contextmanager
def cores_limited(count: int) -> Iterator[None]:
    """Keeps what is started in the `with` block to the first `count` cores of this process.

    Raises:
        ValueError: this process has fewer, or the system has no such limit.
    """
    available = num_cores()
    if not 1 <= count <= available:
        raise ValueError(f"{count} threads are asked for; this process may use 1 to {available}")
    if count == available:
        yield
        return
    if not hasattr(os, "sched_setaffinity"):
        raise ValueError(
            f"this system keeps no process to {count} of {available} cores; leave --threads out"
        )
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _environment(num_threads: int) -> dict[str, str]:
    """The environment of the process, in which it finds this very package."""
    package = str(Path(mobilenetdet.__file__).resolve().parents[1])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    threads = dict.fromkeys(_THREADS, str(num_threads))
    # The folder that the command is given in may hold an onnx.py of its own.
    place = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}
    return {**os.environ, **threads, **place}
