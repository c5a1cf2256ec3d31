"""The program `mobilenetdet`: runs a command, and tells its errors."""

from __future__ import annotations

import difflib
import importlib
import os
import re
import sys
from typing import NoReturn

import mobilenetdet
from mobilenetdet.cli.commands import COMMANDS, overview


def run(command: str, argv: list[str] | None = None) -> NoReturn:
    """Runs a command and leaves the program with its exit code.

    What a user can mend (ValueError, OSError, and damaged input that TensorFlow reports) ends as
    one message on stderr and code 2, Ctrl-C as code 130. `MOBILENETDET_TRACEBACK=1` in the
    environment shows where it was raised.

    Args:
        command: one of `COMMANDS`.
        argv: its arguments, by default those of the program.
    """
    try:
        # Not at the top: each command imports what it needs, when it needs it.
        module = importlib.import_module(f"mobilenetdet.cli.{command}")
        try:
            code = module.main(argv) or 0
        except SystemExit as end:  # --help, whose text may still be on its way
            code = end.code
        sys.stdout.flush()
        sys.exit(code)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where it can", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader has seen enough (`... | head`). Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        message = _message_for_user(error)
        if message is None or os.environ.get("MOBILENETDET_TRACEBACK"):
            raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


def _message_for_user(error: Exception) -> str | None:
    """What is wrong with the input, or None for a fault of the program."""
    if isinstance(error, (ValueError, OSError)):
        return str(error)
    kind = type(error).__name__
    if kind == "DataLossError":
        return f"a TFRecord file is damaged ({error}); convert the data again with --overwrite"
    if kind == "InvalidArgumentError":
        return _message_of_pipeline(str(error))
    return None


def _message_of_pipeline(text: str) -> str | None:
    """Finds what the input pipeline said in the text that TensorFlow wraps it in."""
    if raised := re.search(r"^(?:\{\{.*?\}\} )?ValueError: (.*)$", text, re.MULTILINE):
        return raised.group(1)
    if asserted := re.search(r"assertion failed: \[(.*?)\] \[(-?\d+)\]", text):
        return f"{asserted.group(1)} ({asserted.group(2)})"
    if "Invalid JPEG data" in text:
        return "an image in the records is damaged; convert the data again, or repair them"
    return None


def main() -> NoReturn:
    """The console command: `mobilenetdet COMMAND ...`."""
    arguments = sys.argv[1:]
    first = arguments[0] if arguments else "--help"
    if first in ("-h", "--help"):
        print(overview())
        sys.exit(0)
    if first == "--version":
        print(f"mobilenetdet {mobilenetdet.__version__}")
        sys.exit(0)
    if first.replace("_", "-") == "--print-completion":
        sys.exit(_print_completion(arguments[1:]))
    if first not in COMMANDS:
        near = difflib.get_close_matches(first, COMMANDS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        print(
            f"error: unknown command {first!r}; {hint}mobilenetdet --help lists all",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.argv = [f"mobilenetdet {first}", *arguments[1:]]
    run(first)


def _print_completion(arguments: list[str]) -> int:
    """Prints the script for a shell, bash unless named; returns the exit code."""
    # Not at the top: it imports every command.
    from mobilenetdet.cli.completion import SHELLS, completion_script

    shell = arguments[0] if arguments else SHELLS[0]
    if shell not in SHELLS:
        print(f"error: shell {shell!r}; there are {', '.join(SHELLS)}", file=sys.stderr)
        return 2
    print(completion_script(shell))
    return 0
