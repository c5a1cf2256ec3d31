"""How every command begins and ends."""

from __future__ import annotations

import difflib
import importlib
import os
import re
import sys
from typing import NoReturn

from mobilenetdet.cli.quiet import import_tensorflow_quietly

# The commands with what they do, and whether they need TensorFlow; mobilenetdet.cli.NAME has the
# `main` of each.
COMMANDS = {
    "kitti_synthesize": ("render a stand-in data set in KITTI's format", False),
    "kitti_split": ("divide KITTI's frames into train and val", False),
    "tf_convert_data": ("convert a KITTI folder to TFRecords", False),
    "imagenet_convert": ("convert ImageNet or any class folders to TFRecords", False),
    "inspect_records": ("say what is in the records", False),
    "train": ("train a detector", True),
    "train_classifier": ("train MobileNetV1 as a classifier on CIFAR-10 or ImageNet", True),
    "eval": ("measure a run's AP", True),
    "visualize": ("draw overlays of a run, of labels or of training batches", True),
    "predict": ("detect in images, folders and videos", True),
    "kitti_eval": ("score any detector's result files", False),
    "fit_anchors": ("fit anchor shapes to the boxes of a data set", False),
    "pack_run": ("pack a run to give it away: small weights, config, card", True),
    "inspect_checkpoint": ("say what is in weight files and checkpoints", True),
    "model_costs": ("print parameters and multiply-adds of the models", True),
    "plot_metrics": ("draw the losses and the AP of a run", False),
    "learning_curve": ("fit AP over the number of training frames", False),
    "pipeline_benchmark": ("time the input pipeline", True),
    "eval_benchmark": ("time the evaluation", False),
    "time_benchmark": ("time training and inference", True),
}


def run(command: str, argv: list[str] | None = None) -> NoReturn:
    """Runs a command and leaves the program with its exit code.

    What a user can mend (ValueError, OSError, and damaged input that TensorFlow reports) ends as
    one message on stderr and code 2, Ctrl-C as code 130. `MOBILENETDET_TRACEBACK=1` in the
    environment shows where it was raised.

    Args:
        command: one of `COMMANDS`.
        argv: its arguments, by default those of the program.
    """
    _, needs_tensorflow = COMMANDS[command]
    try:
        if needs_tensorflow:
            import_tensorflow_quietly()
        # Not at the top: each command imports what it needs and no more.
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
    if not arguments or arguments[0] in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        print("usage: mobilenetdet COMMAND [OPTIONS]; COMMAND --help says more\n")
        print("\n".join(f"  {name:{width}}  {what}" for name, (what, _) in COMMANDS.items()))
        sys.exit(0)
    command = arguments[0]
    if command not in COMMANDS:
        near = difflib.get_close_matches(command, COMMANDS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        print(
            f"error: unknown command {command!r}; {hint}mobilenetdet --help lists all",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.argv = [f"mobilenetdet {command}", *arguments[1:]]
    run(command)
