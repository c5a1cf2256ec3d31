"""The program `mobilenetdet`: runs a command, and tells its errors."""

from __future__ import annotations

import contextlib
import difflib
import errno
import gc
import importlib
import io
import logging
import os
import sys
from collections.abc import Callable
from typing import NoReturn

import mobilenetdet
from mobilenetdet.cli.commands import COMMANDS, command_module, overview
from mobilenetdet.cli.errors import tell
from mobilenetdet.system.garbage_collection import gc_paused

# Exit code of a command whose output nobody reads any more, as the shell has it for SIGPIPE.
_READER_GONE = 141
# Libraries with threads of their own.
_THREADED = ("tensorflow", "openvino", "onnxruntime", "ai_edge_litert")


def run(command: str, argv: list[str] | None = None) -> NoReturn:
    """Runs a command and leaves the program with its exit code.

    What a user can mend ends as one message on stderr and code 2, Ctrl-C as code 130, a fault of
    the program as one line and code 1; see `errors.tell`.

    Args:
        command: one of `COMMANDS`.
        argv: its arguments; None for those of the program, which then ends as a whole.
    """

    def call() -> int:
        """Imports what the command needs, when it needs it, and runs it."""
        with gc_paused():
            module = importlib.import_module(command_module(command))
        if argv is None:
            gc.freeze()  # what is imported stays: no collection need look at it
        return module.main(argv)

    _end_with(call, command, whole=argv is None)


def _end_with(call: Callable[[], int | None], name: str, *, whole: bool) -> NoReturn:
    """Leaves the program with the exit code of a call, and tells its errors; see `run`."""
    if whole:
        _prepare_streams()
    is_help = name.startswith("-") or bool({"-h", "--help"}.intersection(sys.argv))
    code: int | str | None = 0 if is_help else _READER_GONE
    try:
        try:
            code = call() or 0
        except SystemExit as end:  # --help, whose text may still be on its way
            code = end.code
        sys.stdout.flush()
        if whole:
            # Python's last collection takes a second with TensorFlow. Objects in cycles are not
            # finalised then; files are closed by `with`, and what libraries end with is in atexit.
            gc.freeze()
        sys.exit(code)
    except BrokenPipeError:
        # The reader has seen enough (`--help | head`). Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if code == _READER_GONE:
            tell(ValueError("who reads the output has left before the work was done"), name)
            if whole and _may_have_threads():
                _leave_at_once(_READER_GONE)
        sys.exit(code)
    except (Exception, KeyboardInterrupt) as error:
        _name_standard_output(error)
        code = tell(error, name)
        if whole and _may_have_threads():
            _leave_at_once(code)
        sys.exit(code)


def _prepare_streams() -> None:
    """Makes standard output and error ready for whatever is printed."""
    _open_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        # A name that the encoding of a terminal does not have is spelled: the work is done by then.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _open_missing_streams() -> None:
    """Opens what a caller has closed (`>&-`), and throws away what goes there.

    The next file to be opened would take the place of standard output or error, and what libraries
    print would go into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))


def _name_standard_output(error: BaseException) -> None:
    """Names standard output where it is what cannot be written to, and gives it up."""
    nameless = isinstance(error, OSError) and error.errno and not error.filename
    if nameless and error.errno == errno.ENOENT:  # no writing fails so
        return
    try:
        if nameless:  # what could not be written is gone, and another try tells
            sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError as failure:
        if nameless and error.errno == failure.errno:
            error.filename = "standard output"
        # Python would try once more at its end, complain, and end with another code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _may_have_threads() -> bool:
    """Whether a library was imported whose threads an error leaves at work."""
    return any(name in sys.modules for name in _THREADED)


def _leave_at_once(code: int) -> NoReturn:
    """Ends the process without Python's own end.

    After an error threads of tf.data and of engines may still be at work, and the end of the
    interpreter aborts or hangs with them. All files are closed by now: `with` blocks have ended,
    and event files are flushed after each epoch.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def main() -> NoReturn:
    """The console command: `mobilenetdet COMMAND ...`."""
    first = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if first in COMMANDS:
        sys.argv = [f"mobilenetdet {first}", *sys.argv[2:]]
        run(first)
    _end_with(lambda: _answer(first), first, whole=True)


def _answer(first: str) -> None:
    """Prints what is asked for instead of a command.

    Raises:
        ValueError: there is no such command, or no such shell.
    """
    if first in ("-h", "--help"):
        print(overview())
    elif first == "--version":
        print(f"mobilenetdet {mobilenetdet.__version__}")
    elif first.replace("_", "-") == "--print-completion":
        _print_completion(sys.argv[2:])
    else:
        near = difflib.get_close_matches(first, COMMANDS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"unknown command {first!r}; {hint}mobilenetdet --help lists all")


def _print_completion(arguments: list[str]) -> None:
    """Prints the script for a shell, bash unless named."""
    # Not at the top: it imports every command.
    from mobilenetdet.cli.completion import SHELLS, completion_script

    shell = arguments[0] if arguments else SHELLS[0]
    if shell not in SHELLS:
        raise ValueError(f"unknown shell {shell!r}; there are {', '.join(SHELLS)}")
    print(completion_script(shell))
