"""Commands as processes of their own, started by `fork_server.py`, and what becomes of them."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
# No command on these small inputs takes as long, however busy the machine is.
PATIENCE = 120.0
# All libraries are loaded at once.
PATIENCE_AT_START = 600.0


@dataclass
class Request:
    """A command and what it is to suffer from; see `handicaps.py`.

    Attributes:
        arguments: what follows `mobilenetdet`.
        folder: where it runs.
        stdout: file, as `stderr`.
        environment: changes; None removes a variable.
        touches: log of the touches of files in `folder`, or None.
        kill_at: the touch before which it kills itself.
        limits: of the system, by the name after RLIMIT_.
        obeys_permissions: also as root.
        user: number of the user that it becomes.
        closed: streams that it finds closed.
        temporary: the only folder for temporary files.
        whole_end: whether it frees all memory at its end, as Python does; it takes seconds.
        traced: whether TensorFlow makes graphs of the model, as it does for users. For a few steps
            of a small model that takes most of the time, and has no part in what is tested.
    """

    arguments: list[str]
    folder: str
    stdout: str
    stderr: str
    environment: dict[str, str | None] = field(default_factory=dict)
    touches: str | None = None
    kill_at: int = 0
    signal: int = signal.SIGKILL
    limits: dict[str, int] = field(default_factory=dict)
    obeys_permissions: bool = False
    user: int | None = None
    closed: tuple[str, ...] = ()
    temporary: str | None = None
    whole_end: bool = False
    traced: bool = False


@dataclass
class Running:
    """A command that was started."""

    server: "ForkServer"
    pid: int
    request: Request

    def wait(self, patience=PATIENCE):
        """Returns the exit code, or minus the signal that ended it."""
        return self.server.code_of(self.pid, patience)

    @property
    def out(self):
        return read(self.request.stdout)

    @property
    def err(self):
        return read(self.request.stderr)

    def kill(self, number):
        """Sends a signal, to this process alone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kin(self):
        """The processes of its session that are running."""
        return [pid for pid, session in sessions() if session == self.pid]


def read(path):
    return Path(path).read_text(errors="replace") if Path(path).is_file() else ""


def sessions():
    """Yields (process, session) of all processes that have not ended."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if stat[0] not in "ZX":
                yield int(folder.name), int(stat[3])


class ForkServer:
    """The process that starts commands; ends with the `with` block, and all commands with it.

    Attributes:
        networks: whether it has loaded TensorFlow, without which half of the commands start slowly.
    """

    def __init__(self, networks):
        self.networks = networks

    def __enter__(self):
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)]),
            "TF_CPP_MIN_LOG_LEVEL": "2",
        }
        self.process = subprocess.Popen(
            [
                sys.executable,
                str(TESTS / "faults/fork_server.py"),
                "networks" if self.networks else "",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self.codes, self.started, self.waiting = {}, [], b""
        assert self._next_message(PATIENCE_AT_START) == {"ready": True}
        self.number = 0
        return self

    def __exit__(self, *error):
        self.end_all()
        self.process.stdin.close()
        self.process.wait()

    def end_all(self):
        """Kills what a failed test has left running."""
        for pid in self.started:
            if pid not in self.codes:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                self.code_of(pid, PATIENCE)

    def start(self, words, folder, **handicaps):
        """Starts a command; `words` is a line as in a shell, without quotes."""
        self.number += 1
        logs = Path(folder).parent / f"logs_{Path(folder).name}"
        logs.mkdir(exist_ok=True)
        streams = {name: str(logs / f"{self.number}.{name}") for name in ("stdout", "stderr")}
        request = Request(words.split(), str(folder), **(streams | handicaps))
        self.process.stdin.write(json.dumps(asdict(request)).encode() + b"\n")
        self.process.stdin.flush()
        while True:
            message = self._next_message(PATIENCE)
            if "started" in message:
                self.started.append(message["started"])
                return Running(self, message["started"], request)

    def run(self, words, folder, **handicaps):
        """Starts a command and waits for its end; returns it and its exit code."""
        running = self.start(words, folder, **handicaps)
        return running, running.wait()

    def code_of(self, pid, patience):
        end = time.monotonic() + patience
        while pid not in self.codes:
            if self._next_message(end - time.monotonic()) is None:
                os.kill(pid, signal.SIGABRT)
                raise TimeoutError(f"process {pid} is still running after {patience:.0f} s")
        return self.codes[pid]

    def _next_message(self, patience):
        """Returns the next message of the server, or None where none comes."""
        end = time.monotonic() + patience
        descriptor = self.process.stdout.fileno()
        while b"\n" not in self.waiting:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return None
            received = os.read(descriptor, 1 << 16)
            if not received:
                raise RuntimeError("the server of the tests has ended")
            self.waiting += received
        line, _, self.waiting = self.waiting.partition(b"\n")
        message = json.loads(line)
        if "ended" in message:
            self.codes[message["ended"]] = message["code"]
        return message
