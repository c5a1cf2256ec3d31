"""What to say when one of several processes of a training is gone.

Where JAX finds that out itself, it writes a stack trace and aborts the process, and nothing in it
could say another word. So standard error goes through a second process, which outlives the first,
and puts a sentence in the place of the trace. That process runs this file; it imports nothing else
of the package.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

LOST = (
    "another process of this training is gone or cannot be reached, so this one ends, too; what "
    "that one printed says why. Give the command again on every machine: the run goes on after "
    "its last complete epoch"
)
TWICE = (
    "another process has joined with the same train.process_id, which took the place of this one; "
    "stop all of them, and give each process a number of its own, from 0 on"
)
# How the last words of JAX begin, and what of them says more.
_FATAL = re.compile(rb"[^\n]*Terminating process because the JAX distributed service")
_STATUS = re.compile(r"absl::Status: (.*?)(?:\n\n|\n\*\*\*|RPC:|$)", re.DOTALL)
_MAX_STATUS = 300
# What the coordinator says to the first of two processes of one number.
_NEWER = "newer incarnation"
# Errors which Python sees: a status of JAX, and a word of what processes talk through. Some come
# as JaxRuntimeError, gloo's as ValueError.
_OF_TALK = re.compile(
    r"[A-Z_]{5,}: .*\b(?i:gloo|nccl|coordination ?service|heartbeat|barrier)", re.DOTALL
)


def is_lost_process(error: BaseException) -> bool:
    """Whether an error of JAX says that another process does not answer."""
    return isinstance(error, RuntimeError | ValueError) and bool(_OF_TALK.match(str(error)))


def watch_stderr() -> None:
    """Sends standard error through a process of its own, as long as this one lives."""
    # Isolated: modules beside this file are never taken for those of the standard library.
    command = [sys.executable, "-I", "-S", os.path.realpath(__file__)]
    # In a session of its own Ctrl-C does not reach it.
    source, target = os.pipe()
    subprocess.Popen(command, stdin=source, start_new_session=True)
    os.close(source)
    sys.stderr.flush()
    os.dup2(target, 2)
    os.close(target)


def told(words: bytes) -> bytes:
    """Returns what to print instead of JAX's last words."""
    status = _STATUS.search(words.decode(errors="replace"))
    said = " ".join(status[1].split())[:_MAX_STATUS] if status else ""
    why = TWICE if _NEWER in said else LOST
    return f"error: {why}{f' (JAX says: {said})' if said else ''}\n".encode()


def pass_on(source: int, target: int) -> None:
    """Copies from one file descriptor to another until the end, with the last words replaced."""
    last_words = b""
    while chunk := os.read(source, 65536):
        found = None if last_words else _FATAL.search(chunk)
        if last_words:
            last_words += chunk
        elif found:
            os.write(target, chunk[: found.start()])
            last_words = chunk[found.start() :]
        else:
            os.write(target, chunk)
    if last_words:
        os.write(target, told(last_words))


if __name__ == "__main__":
    pass_on(0, 2)
